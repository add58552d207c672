/**
 * Hard-wrapped text: which line ends only broke a paragraph at the width that its author's editor had.
 *
 * A narrower column that kept them would look ragged. They are told by looks, as a passage may be Markdown, plain text
 * or a page of a PDF, and may begin in the middle of anything. In doubt a line stays a line.
 */
import type { Range } from "./passage";

/** A line as long as editors break prose at. Shorter ones are verses, addresses, items; longer ones whole paragraphs. */
const WRAPPED_LENGTH = { min: 50, max: 160 };

/** A line that ends where its author wanted: a heading, a row of a table, a quotation, columns, a Markdown break. */
const CLOSED = /^ {0,3}(#|>|\|)|^ {4}|\S(\t| {3,})\S|( {2}|\\)$/;

/** A line that begins something: all of the above, an item of a list, a line under a heading, code, a blank line. */
const OPENING = /^ {0,3}(#|>|\||[-*+•] |\d+[.)] |=|-{3}|`{3}|~{3})|^ {4}|^\s*$|\S(\t| {3,})\S/;

const FENCE = /^\s*(`{3,}|~{3,})\s*(\w*)/;

/** The line ends in `text` that are mere wraps, each with the white space around it, ascending. */
export function findWraps(text: string): Range[] {
  const lines = text.split("\n");
  const wraps: Range[] = [];
  let inCode = beginsInCode(lines);
  let lineStart = 0;
  lines.forEach((line, n) => {
    const next = lines[n + 1];
    if (FENCE.test(line)) inCode = !inCode;
    else if (!inCode && next !== undefined && isWrapped(line, next)) {
      const lineEnd = lineStart + line.length;
      wraps.push({ start: lineStart + line.trimEnd().length, end: lineEnd + 1 + next.search(/\S/) });
    }
    lineStart += line.length + 1;
  });
  return wraps;
}

function isWrapped(line: string, next: string): boolean {
  const { min, max } = WRAPPED_LENGTH;
  return line.length >= min && line.length <= max && !CLOSED.test(line) && !OPENING.test(next);
}

/** Whether the first fence closes a block: only an opening one names a language, and they alternate. */
function beginsInCode(lines: string[]): boolean {
  const languages = lines.flatMap((line) => FENCE.exec(line)?.[2] ?? []);
  return languages.findIndex((language) => language !== "") % 2 === 1;
}
