/** The passage of a source, cut into marked and unmarked pieces. */
import { Offsets } from "./offsets";
import type { Citation, SourceRecord } from "./wire";

export interface Piece {
  text: string;
  marked: boolean;
}

interface Range {
  start: number;
  end: number;
}

/** The passage's text with the quotes of `citations` marked, and the quotes that are not in it. */
export function markQuotes(source: SourceRecord, citations: Citation[]): { pieces: Piece[]; missing: string[] } {
  const offsets = new Offsets(source.text);
  const ranges: Range[] = [];
  const missing = new Set<string>();
  for (const citation of citations) {
    const range = findQuote(source, offsets, citation);
    if (range === null) missing.add(citation.quote);
    else ranges.push(range);
  }
  return { pieces: cutText(source.text, mergeRanges(ranges)), missing: [...missing] };
}

/** Where the span says, if the quote stands there; else where the quote is found; else null. */
function findQuote(source: SourceRecord, offsets: Offsets, { span, quote }: Citation): Range | null {
  const start = span.start - source.start;
  const end = span.end - source.start;
  if (start >= 0 && offsets.slice({ start, end }) === quote) {
    return { start: offsets.toUnits(start), end: offsets.toUnits(end) };
  }
  const found = quote === "" ? -1 : source.text.indexOf(quote);
  return found < 0 ? null : { start: found, end: found + quote.length };
}

function mergeRanges(ranges: Range[]): Range[] {
  const merged: Range[] = [];
  for (const range of ranges.toSorted((a, b) => a.start - b.start)) {
    const last = merged.at(-1);
    if (last !== undefined && range.start <= last.end) last.end = Math.max(last.end, range.end);
    else merged.push({ ...range });
  }
  return merged;
}

function cutText(text: string, ranges: Range[]): Piece[] {
  const pieces: Piece[] = [];
  let done = 0;
  for (const { start, end } of ranges) {
    pieces.push({ text: text.slice(done, start), marked: false }, { text: text.slice(start, end), marked: true });
    done = end;
  }
  pieces.push({ text: text.slice(done), marked: false });
  return pieces.filter((piece) => piece.text !== "");
}
