import { expect, test } from "vitest";

import { parseRoute, pathOf } from "../src/hooks/route";

const parse = (path: string) => parseRoute(new URL(path, "http://host"));

test.each(["/", "/documents", "/t/177a4052", "/t/with%20space"])("%s is what it leads to", (path) => {
  expect(pathOf(parse(path))).toBe(path);
});

test("links of the page's first version still lead to their conversations", () => {
  expect(parse("/?thread=177a")).toEqual({ page: "thread", threadId: "177a" });
  expect(parse("/nowhere")).toEqual({ page: "thread", threadId: null });
});
