import { expect, test } from "vitest";

import { Offsets } from "../src/text/offsets";

const TEXT = "a💧b𝒞c";

test("every code point is found at its UTF-16 offset", () => {
  const offsets = new Offsets(TEXT);
  let units = 0;
  Array.from(TEXT).forEach((character, points) => {
    expect(offsets.toUnits(points)).toBe(units);
    units += character.length;
  });
  expect(offsets.toUnits(5)).toBe(TEXT.length);
});

test("a slice is what the server means by it", () => {
  expect(new Offsets(TEXT).slice({ start: 1, end: 4 })).toBe("💧b𝒞");
});
