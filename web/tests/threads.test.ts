import { expect, test } from "vitest";

import type { ThreadItem } from "../src/wire";
import { findThreads, groupThreads, mergeThreads } from "../src/state/threads";

function thread(id: string, title: string, updated: Date): ThreadItem {
  return { id, title, created_at: updated.toISOString(), updated_at: updated.toISOString() };
}

const NOW = new Date(2026, 4, 20, 0, 30);
const at = (...date: [number, number, number, number]) => new Date(...date);

test("threads are grouped by the reader's own days", () => {
  const threads = [
    thread("a", "", at(2026, 4, 20, 0)),
    thread("b", "", at(2026, 4, 19, 23)),
    thread("c", "", at(2026, 4, 19, 1)),
    thread("d", "", at(2026, 4, 14, 12)),
    thread("e", "", at(2026, 4, 13, 12)),
    thread("f", "", at(2026, 3, 20, 23)),
    // A clock that goes wrong.
    thread("g", "", at(2026, 5, 1, 1)),
  ];
  const groups = groupThreads(threads, NOW).map(({ day, threads: some }) => [day, some.map(({ id }) => id).join("")]);
  expect(groups).toEqual([
    ["today", "ag"],
    ["yesterday", "bc"],
    ["week", "d"],
    ["month", "e"],
    ["older", "f"],
  ]);
});

test("a search finds all its words in a title, in any case, order and accent", () => {
  const threads = [
    thread("a", "Élan der Pumpen", NOW),
    thread("b", "Pumpstation", NOW),
    thread("c", "猫睡多久？", NOW),
  ];
  const found = (search: string) =>
    findThreads(threads, search)
      .map(({ id }) => id)
      .join("");
  expect(found("")).toBe("abc");
  expect(found("pump")).toBe("ab");
  expect(found("pumpen elan")).toBe("a");
  expect(found("多久")).toBe("c");
  expect(found("pump fox")).toBe("");
});

test("pages are put together newest first, and the newer copy of a thread counts", () => {
  const older = [thread("a", "old", at(2026, 4, 1, 1)), thread("b", "b", at(2026, 4, 2, 1))];
  const newer = [thread("a", "new", at(2026, 4, 3, 1))];
  expect(mergeThreads(older, newer).map(({ id, title }) => id + title)).toEqual(["anew", "bb"]);
});
