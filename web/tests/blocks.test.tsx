import { renderToStaticMarkup } from "react-dom/server";
import Markdown from "react-markdown";
import remarkGfm from "remark-gfm";
import { expect, test } from "vitest";

import { splitBlocks } from "../src/text/blocks";
import { remarkMarkers } from "../src/text/markers";
import { remarkFormulas, unifyDisplays } from "../src/text/math";

const SAMPLES = [
  "One.\n\nTwo [1].\n\n\nThree.",
  "# Heading\n\nText\nmore text\n\n## Next\nText",
  "- a\n- b\n\n- c\n\n  still c\n\nAfter.",
  "1. a\n\n2. b\n   ```sh\n   x\n\n   y\n   ```\n\n3. c\n\nAfter\n\n1. new",
  "```py\na\n\nb\n```\n\nAfter",
  "~~~\n```\n\nin\n~~~\n\nAfter",
  "````md\n```\n\nx\n```\n\ny\n````\n\nAfter",
  "```open\n\nnever closed\n\nmore",
  "`` ` `` in a line\n\n```not `a` fence\n\nAfter",
  "| a | b |\n|---|---|\n| 1 | 2 |\n\nAfter",
  "> a\n\n> b\n>\n> c\n\nAfter",
  "Steps:\n* a\n\n* b\n\n    deep\n\nAfter",
  "$$\na\n\n- b\n$$\n\nAfter",
  "\\[\nx = y\n\\]\n\nAfter",
  "Text\n---\n\n---\n\nText",
  "- a\n```\ncode\n\n- x\n```\n\nAfter",
  "a\r\n\r\nb\r\n",
  "   \n\n  indented\n\n\tTab",
  "猫睡。\n\n• 项目 [2]\n\n1) 一\n\n2) 二",
  "[1]: word\n\nSee [1] and [^2].\n\n[^2]: note",
];

const render = (text: string) =>
  renderToStaticMarkup(<Markdown remarkPlugins={[remarkGfm, remarkFormulas, remarkMarkers]}>{text}</Markdown>);

/** Rendered, but for white space between blocks and where markers stand. */
const plain = (html: string) =>
  html
    .replaceAll(/\n+/g, "\n")
    .replaceAll(/(<cite-marker[^>]*?) start="\d+"/g, "$1")
    .trim();

test.each(SAMPLES)("blocks alone make what the whole makes: %j", (sample) => {
  const text = unifyDisplays(sample);
  for (let end = 0; end <= text.length; end += 1) {
    const part = text.slice(0, end);
    const blocks = splitBlocks(part);
    expect(blocks.map((block) => block.text).join("")).toBe(part);
    for (const { text: own, start } of blocks) expect(part.slice(start, start + own.length)).toBe(own);
    expect(plain(blocks.map((block) => render(block.text)).join("\n"))).toBe(plain(render(part)));
  }
});

test("a long answer is many blocks", () => {
  const text = Array.from({ length: 50 }, (_, n) => `Paragraph ${n} [1].`).join("\n\n");
  expect(splitBlocks(text)).toHaveLength(50);
});
