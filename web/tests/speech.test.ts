import { expect, test } from "vitest";

import { speakSentences } from "../src/text/speech";

test("only whole sentences are told, and nothing of them changes later", () => {
  const answer = "The **lamp** burns [1]. It is `trimmed` daily [2].\n\n- One item.\n\n```sh\nvalve. open\n```\n\nDone";
  let told: string[] = [];
  for (let end = 0; end <= answer.length; end += 1) {
    const now = speakSentences(answer.slice(0, end), false, "Code");
    expect(now.slice(0, told.length)).toEqual(told);
    told = now;
  }
  expect(speakSentences(answer, true, "Code")).toEqual([
    "The lamp burns.",
    "It is trimmed daily.",
    "One item.",
    "Code",
    "Done",
  ]);
});

test("Chinese sentences are told one by one", () => {
  expect(speakSentences("猫每天睡十六个小时[1]。狗比猫睡得少[1]。", true, "代码")).toEqual([
    "猫每天睡十六个小时。",
    "狗比猫睡得少。",
  ]);
});
