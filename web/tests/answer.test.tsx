import { renderToStaticMarkup } from "react-dom/server";
import { expect, test } from "vitest";

import { newTurn, type Outcome, type Turn } from "../src/state/turn";
import { Answer } from "../src/views/Answer";
import type { Citation, Source } from "../src/wire";

const sources = [1, 2, 3].map((index): Source => ({
  index,
  id: `s${index}`,
  text: "",
  score: 1,
  url: "",
  metadata: { source: `${index}.md`, title: `Document ${index}`, start: 0, end: 9, doc_sha256: "" },
}));

function render(answer: string, citations: Citation[] = [], running = true): string {
  const outcome: Outcome = { kind: "done", status: "completed", cited: [], grounding: null, totalMs: null };
  const turn: Turn = { ...newTurn("run", "q"), answer, citations, sources, outcome: running ? null : outcome };
  return renderToStaticMarkup(<Answer turn={turn} onOpen={() => undefined} />);
}

/** The buttons of a rendered answer as `index:verdict`. */
function markersIn(html: string): string[] {
  return Array.from(html.matchAll(/data-index="(\d+)" data-verdict="(\w+)"/g), (match) => `${match[1]}:${match[2]}`);
}

const textOf = (html: string) => html.replaceAll(/<[^>]*>/g, "");

/** A citation for a sentence of the answer, with the offsets that a server would send. */
function citing(answer: string, sentence: string, index: number, verified: Citation["verified"]): Citation {
  const start = Array.from(answer.slice(0, answer.indexOf(sentence))).length;
  const span = { start, end: start + Array.from(sentence).length };
  return { index, source_id: `s${index}`, answer: span, span, quote: "", verified, support: 1, origin: "claimed" };
}

test.each([
  ["in a sentence", "One [1] and two.", ["1:pending"]],
  ["side by side", "Both.[1][2]", ["1:pending", "2:pending"]],
  ["after an exclamation mark", "Indeed![1]", ["1:pending"]],
  ["in bold and in a list", "**a [1]**\n\n- b [2]", ["1:pending", "2:pending"]],
  ["in a table", "| x |\n|-|\n| c [3] |", ["3:pending"]],
  ["in an indented line", "Text.\n\n    indented [1]", ["1:pending"]],
  ["between tags", "<p>One [1]</p>\n\n<b>two [2]</b>", ["1:pending", "2:pending"]],
])("a marker %s is a button", (_, answer, expected) => {
  expect(markersIn(render(answer))).toEqual(expected);
});

test.each([
  ["code", "`a[1]` and\n\n```\nb[2]\n```"],
  ["an escaped bracket", "quoted \\[1] here"],
  ["a link", "[1](https://example.org) and [see [2] there](https://example.org)"],
  ["a picture", "![1](https://example.org/a.png)"],
  ["a number of no source", "see [9]"],
  ["anything but a number", "[a] [] [1a] [12345] [ 1 ]"],
])("%s is no marker", (_, answer) => {
  expect(markersIn(render(answer))).toEqual([]);
});

test("what is no marker is still shown", () => {
  expect(textOf(render("quoted \\[1], [9] and [see [2] there](https://example.org)"))).toBe(
    "quoted [1], [9] and see [2] there (example.org)",
  );
  expect(textOf(render("Text [1].\n\n[1]: https://example.org"))).toContain("[1]: https://example.org");
});

test("a marker shows the verdict on its own sentence", () => {
  const answer = "💧 First [1]. **Second** [1][2]. Third [1] has 2 parts. Fourth [1].";
  const citations = [
    citing(answer, "💧 First", 1, "exact"),
    citing(answer, "**Second**", 1, "supported"),
    citing(answer, "**Second**", 2, "unsupported"),
    citing(answer, "Third [1] has 2 parts.", 1, "exact"),
  ];
  const expected = ["1:exact", "1:supported", "2:unsupported", "1:exact"];
  expect(markersIn(render(answer, citations))).toEqual([...expected, "1:pending"]);
  expect(markersIn(render(answer, citations, false))).toEqual([...expected, "1:unchecked"]);
});

test("a marker between sentences belongs to the one before it, and at the start of a line to the one after", () => {
  const answer = "First. [1] Second [1].\n[1] Third.";
  const citations = [
    citing(answer, "First.", 1, "exact"),
    citing(answer, "Second", 1, "supported"),
    citing(answer, "Third.", 1, "unsupported"),
  ];
  expect(markersIn(render(answer, citations))).toEqual(["1:exact", "1:supported", "1:unsupported"]);
});

test("a citation that the answer did not claim is of no marker", () => {
  const answer = "First [1].";
  const found: Citation = { ...citing(answer, "First", 1, "exact"), origin: "found" };
  expect(markersIn(render(answer, [found]))).toEqual(["1:pending"]);
});

test("a verdict is there in words", () => {
  const answer = "First [1].";
  expect(render(answer, [citing(answer, "First", 1, "unsupported")])).toContain(
    'aria-label="Source 1: Document 1. Not supported by the source"',
  );
});

test("a link says where it goes and tells nobody where it came from", () => {
  const html = render("[here](https://example.org/x)");
  expect(html).toContain('title="https://example.org/x"');
  expect(html).toContain('rel="noopener noreferrer nofollow"');
});

test.each(["ingest.md", "/v1/threads", "//example.org", "#part", "javascript:alert(1)"])(
  "a document's own link to %s is only its words",
  (address) => {
    const html = render(`[see [2] there](${address})`);
    expect(html).not.toContain("<a ");
    expect(textOf(html)).toBe("see [2] there");
  },
);

test("a picture that is a link is one link", () => {
  const html = render("[![build](https://example.org/b.svg)](https://example.org/build)");
  expect(html.match(/<a /g)).toHaveLength(1);
  expect(html).toContain('href="https://example.org/build"');
  expect(textOf(html)).toBe("build (example.org)");
});

test("a footnote stays where it was written", () => {
  const html = render("Text [^1] goes on [1].\n\n[^1]: A note.");
  expect(html).not.toContain("<a ");
  expect(textOf(html)).toContain("Text [^1] goes on");
  expect(textOf(html)).toContain("[^1]: A note.");
});

test("a picture is not loaded", () => {
  const named = "![a pump](https://example.org/p.png) ![](https://example.org/q.png)";
  const html = render(`${named} ![x](data:image/png;base64,AA)`);
  expect(html).not.toContain("<img");
  expect(html).toContain('href="https://example.org/p.png"');
  expect(textOf(html)).toBe("a pump (example.org) https://example.org/q.png x");
});

test("nothing in an answer can run", () => {
  const html = render('<script>alert(1)</script> <img src=x onerror="alert(1)"> [x](javascript:alert(1))');
  expect(html).not.toMatch(/<script|<img|href/);
  expect(textOf(html)).toContain("&lt;script&gt;alert(1)&lt;/script&gt;");
});
