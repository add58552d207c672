/** Marks sentences in what is shown of an answer: a rehype plugin that wraps their text in `<span>`. */
import type { Element, ElementContent, Root, RootContent, Text } from "hast";

import type { Range } from "./passage";

/** Why a sentence is marked: its source does not support it, or its quote is being read. */
export const MARK_CLASS = { unsupported: "unsupported-text", read: "read-text" } as const;

export interface Mark extends Range {
  kind: keyof typeof MARK_CLASS;
}

/** Offsets of `marks` are UTF-16 offsets in the Markdown that was parsed. */
export function rehypeMarks(marks: Mark[]): (tree: Root) => void {
  return (tree) => {
    if (marks.length > 0) tree.children = tree.children.flatMap((child) => mark(child, marks) as RootContent[]);
  };
}

function mark(node: RootContent | ElementContent, marks: Mark[]): (RootContent | ElementContent)[] {
  if (node.type === "text") return markText(node, marks);
  if (node.type === "element" && node.tagName !== "code") {
    node.children = node.children.flatMap((child) => mark(child, marks) as ElementContent[]);
  }
  return [node];
}

function markText(node: Text, marks: Mark[]): ElementContent[] {
  const from = node.position?.start.offset;
  const to = node.position?.end.offset;
  if (from === undefined || to === undefined) return [node];
  const inside = marks.filter(({ start, end }) => start < to && end > from);
  if (inside.length === 0) return [node];
  // With an escape in it, a place in the text is not the same place in the Markdown: then all of it is marked.
  const exact = to - from === node.value.length;
  const ranges = inside.map(({ start, end, kind }) => {
    const begin = exact ? Math.max(0, start - from) : 0;
    const finish = exact ? Math.min(node.value.length, end - from) : node.value.length;
    return { start: begin, end: begin + node.value.slice(begin, finish).trimEnd().length, kind };
  });
  const cuts = [...new Set([0, node.value.length, ...ranges.flatMap(({ start, end }) => [start, end])])];
  cuts.sort((a, b) => a - b);
  return cuts.slice(1).map((end, n) => {
    const start = cuts[n] ?? 0;
    const kinds = ranges.filter((range) => range.start <= start && range.end >= end).map(({ kind }) => kind);
    return wrap(node.value.slice(start, end), kinds);
  });
}

function wrap(value: string, kinds: Mark["kind"][]): ElementContent {
  const text: Text = { type: "text", value };
  // A full stop behind a marker needs no line under it.
  if (kinds.length === 0 || !/[\p{L}\p{N}]/u.test(value)) return text;
  const className = [...new Set(kinds)].map((kind) => MARK_CLASS[kind]);
  return { type: "element", tagName: "span", properties: { className }, children: [text] } satisfies Element;
}
