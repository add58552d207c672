import { expect, test } from "vitest";

import { cutText } from "../src/text/passage";
import { findWraps } from "../src/text/wrapping";

/** The text as it looks: each wrap is one space. */
function reflow(text: string): string {
  return cutText(text, findWraps(text))
    .map((piece) => (piece.marked ? " " : piece.text))
    .join("");
}

const LONG = "This sentence is as long as a line that an editor has wrapped,";

test("the lines of a wrapped paragraph become one", () => {
  expect(reflow(`${LONG}\n${LONG}\nand ends.\n\nAnother one.`)).toBe(`${LONG} ${LONG} and ends.\n\nAnother one.`);
});

test("an item's next lines join it with their indentation, and the next item begins a line", () => {
  expect(reflow(`- ${LONG} \n  and ends.\n- ${LONG}\n2. two`)).toBe(`- ${LONG} and ends.\n- ${LONG}\n2. two`);
});

test("every character is in exactly one piece", () => {
  const text = `${LONG} \n   ${LONG}\n- 💧 item\n`;
  const pieces = cutText(text, findWraps(text));
  expect(pieces.map((piece) => piece.text).join("")).toBe(text);
  expect(pieces.filter((piece) => piece.marked).map((piece) => piece.text)).toEqual([" \n   "]);
});

test.each([
  ["short lines", "Roses are red,\nviolets are blue."],
  ["whole paragraphs", `${LONG.repeat(3)}\n${LONG.repeat(3)}`],
  ["a heading", `# ${LONG}\nText.`],
  ["a line under a heading", `${LONG}\n======`],
  ["a table", `| ${LONG} |\n| ${LONG} |`],
  ["a quotation", `> ${LONG}\n> goes on`],
  ["a Markdown line break", `${LONG}  \nText.`],
  ["columns", `stream.py sse.py             events as SSE, NDJSON or text\nask.py bodies.py`],
  ["indented code", `    ${LONG}\n    ${LONG}`],
  ["code in fences", `\`\`\`sh\n${LONG}\n${LONG}\n\`\`\``],
  ["code whose beginning is not there", `${LONG}\n${LONG}\n\`\`\`\n\n\`\`\`sh\n${LONG}\n${LONG}\n`],
])("%s stay as they are", (_, text) => {
  expect(reflow(text)).toBe(text);
});

test("text after code is reflowed again", () => {
  expect(reflow(`\`\`\`sh\nx\n\`\`\`\n${LONG}\nend`)).toBe(`\`\`\`sh\nx\n\`\`\`\n${LONG} end`);
});
