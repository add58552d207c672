import { expect, test } from "vitest";

import { chooseWords } from "../src/words";
import { en } from "../src/words/en";
import { zh } from "../src/words/zh";

test.each([
  [["zh-CN", "en"], "zh-CN"],
  [["zh-Hant-TW"], "zh-CN"],
  [["de-DE", "en-GB", "zh"], "en"],
  [["de"], "en"],
  [[], "en"],
])("a browser that wants %j gets %s", (wanted, lang) => {
  expect(chooseWords(wanted).lang).toBe(lang);
});

test("every error that English has words for has Chinese ones", () => {
  expect(Object.keys(en.errors).filter((code) => !Object.hasOwn(zh.errors, code))).toEqual([]);
  expect(Object.keys(en.fileProblems)).toEqual(Object.keys(zh.fileProblems));
});
