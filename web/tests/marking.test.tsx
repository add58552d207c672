import { renderToStaticMarkup } from "react-dom/server";
import Markdown from "react-markdown";
import { expect, test } from "vitest";

import { type Mark, rehypeMarks } from "../src/text/marking";

function marked(text: string, ...marks: [string, Mark["kind"]][]): string {
  const ranges = marks.map(([part, kind]) => ({
    start: text.indexOf(part),
    end: text.indexOf(part) + part.length,
    kind,
  }));
  const html = renderToStaticMarkup(<Markdown rehypePlugins={[[rehypeMarks, ranges]]}>{text}</Markdown>);
  return html
    .replaceAll(
      /<span class="(.*?)">(.*?)<\/span>/g,
      (_, names: string, inside: string) => `{${names.replaceAll("-text", "")}:${inside}}`,
    )
    .replaceAll(/<\/?p>/g, "");
}

test("a sentence is marked through its emphasis, and nothing of its neighbours", () => {
  expect(marked("One **big** thing. Two.", ["One **big** thing", "read"])).toBe(
    "{read:One} <strong>{read:big}</strong>{read: thing}. Two.",
  );
});

test("what is not supported and what is read may be the same, or overlap", () => {
  expect(marked("One two three.", ["One two", "unsupported"], ["One two", "read"])).toBe(
    "{unsupported read:One two} three.",
  );
  expect(marked("One two three.", ["One two", "unsupported"], ["two three", "read"])).toBe(
    "{unsupported:One }{unsupported read:two}{read: three}.",
  );
});

test("code, full stops and white space are left alone", () => {
  expect(marked("Use `x y` now. Go", ["Use `x y` now. ", "unsupported"])).toBe(
    "{unsupported:Use} <code>x y</code>{unsupported: now.} Go",
  );
});

test("a text with an escape in it is marked as a whole", () => {
  expect(marked("a \\[1] b. c", ["a \\[1] b", "read"])).toBe("{read:a [1] b. c}");
});
