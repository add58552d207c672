/** The passage of a source, cut into marked and unmarked pieces. */
import { Offsets } from "./offsets";
import type { Citation, SourceRecord } from "../wire";

export interface Piece {
  text: string;
  /** Its UTF-16 offset in the passage. */
  start: number;
  marked: boolean;
}

/** Half-open range of UTF-16 offsets. */
export interface Range {
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

/** Cut a text at both ends of ascending ranges, of which some may lie outside; what lies in one of them is marked. */
export function cutText(text: string, ranges: Range[]): Piece[] {
  const pieces: Piece[] = [];
  let done = 0;
  const cut = (to: number, marked: boolean) => {
    const end = Math.min(to, text.length);
    if (end <= done) return;
    pieces.push({ text: text.slice(done, end), start: done, marked });
    done = end;
  };
  for (const { start, end } of ranges) {
    cut(start, false);
    cut(end, true);
  }
  cut(text.length, false);
  return pieces;
}
