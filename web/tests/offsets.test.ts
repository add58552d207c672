import { expect, test } from "vitest";

import { Offsets } from "../src/offsets";

const TEXT = "a💧b𝒞c";

test("code points and UTF-16 units convert both ways at every character", () => {
  const offsets = new Offsets(TEXT);
  let units = 0;
  Array.from(TEXT).forEach((character, points) => {
    expect(offsets.toUnits(points)).toBe(units);
    expect(offsets.toPoints(units)).toBe(points);
    units += character.length;
  });
  expect(offsets.toUnits(5)).toBe(TEXT.length);
  expect(offsets.toPoints(TEXT.length)).toBe(5);
});

test("a slice is what the server means by it", () => {
  expect(new Offsets(TEXT).slice({ start: 1, end: 4 })).toBe("💧b𝒞");
});
