import { expect, test } from "vitest";

import { markQuotes } from "../src/text/passage";
import type { Citation, SourceRecord } from "../src/wire";

const TEXT = "Water 💧 first. The station was built in 1968. It still runs.";

const source: SourceRecord = {
  id: "s",
  document: {
    id: "d",
    source: "stations.md",
    title: "Stations",
    collection: "default",
    format: "md",
    lang: "en",
    sha256: "",
    chunks: 1,
    ingested_at: "2025-01-01T00:00:00Z",
    status: "indexed",
  },
  version: "1",
  live: true,
  text: TEXT,
  start: 100,
  end: 100 + Array.from(TEXT).length,
  before: "",
  after: "",
};

function citationOf(quote: string, start: number): Citation {
  const span = { start, end: start + Array.from(quote).length };
  return { index: 1, source_id: "s", answer: span, span, quote, verified: "exact", support: 1, origin: "claimed" };
}

const BUILT = "The station was built in 1968.";
const placeOf = (quote: string) => 100 + Array.from(TEXT.slice(0, TEXT.indexOf(quote))).length;
const marked = (citations: Citation[]) =>
  markQuotes(source, citations)
    .pieces.filter((piece) => piece.marked)
    .map((piece) => piece.text);

test("the quote is marked where its code points say", () => {
  const { pieces, missing } = markQuotes(source, [citationOf(BUILT, placeOf(BUILT))]);
  expect(pieces).toEqual([
    { text: "Water 💧 first. ", start: 0, marked: false },
    { text: BUILT, start: 16, marked: true },
    { text: " It still runs.", start: 46, marked: false },
  ]);
  expect(missing).toEqual([]);
});

test("of two places with the same words, the one that the span says is marked", () => {
  const { pieces } = markQuotes(source, [citationOf("st", placeOf("station"))]);
  expect(pieces[0]?.text).toBe("Water 💧 first. The ");
});

test("a quote that stands elsewhere is found", () => {
  expect(marked([citationOf(BUILT, 103)])).toEqual([BUILT]);
  expect(marked([citationOf(BUILT, 3)])).toEqual([BUILT]);
});

test("a quote that is not in the passage is told, and nothing is marked", () => {
  const { pieces, missing } = markQuotes(source, [citationOf("It was sold.", 110)]);
  expect(pieces).toEqual([{ text: TEXT, start: 0, marked: false }]);
  expect(missing).toEqual(["It was sold."]);
});

test("quotes that overlap are marked as one", () => {
  const quotes = ["It still runs.", "station was built", "was built in 1968"];
  expect(marked(quotes.map((quote) => citationOf(quote, placeOf(quote))))).toEqual([
    "station was built in 1968",
    "It still runs.",
  ]);
});
