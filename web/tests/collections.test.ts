import { expect, test } from "vitest";

import { chooseFrom } from "../src/hooks/library";

const collections = [
  { name: "default", documents: 3, chunks: 9, embedding: "minilm" },
  { name: "manuals", documents: 1, chunks: 2, embedding: "minilm" },
  { name: "empty", documents: 0, chunks: 0, embedding: "minilm" },
];

test.each([
  [["manuals"], ["manuals"]],
  [["gone", "manuals", "default"], ["manuals", "default"]],
  [["gone"], ["default"]],
  [["empty"], ["default"]],
  [[], ["default"]],
])("of the wanted collections %j those are searched that are there: %j", (wanted, searched) => {
  expect(chooseFrom(collections, wanted)).toEqual(searched);
});

test("without a default collection the first one is searched", () => {
  expect(chooseFrom(collections.slice(1), [])).toEqual(["manuals"]);
  expect(chooseFrom([], ["manuals"])).toEqual([]);
});
