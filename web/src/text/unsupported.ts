/** Marks the sentences that their source does not support: a rehype plugin that wraps their text in `<span>`. */
import type { Element, ElementContent, Root, RootContent, Text } from "hast";

import type { Range } from "./passage";

export const UNSUPPORTED_CLASS = "unsupported-text";

/** `ranges` are UTF-16 offsets in the Markdown that was parsed. */
export function rehypeUnsupported(ranges: Range[]): (tree: Root) => void {
  return (tree) => {
    if (ranges.length > 0) tree.children = tree.children.flatMap((child) => mark(child, ranges) as RootContent[]);
  };
}

function mark(node: RootContent | ElementContent, ranges: Range[]): (RootContent | ElementContent)[] {
  if (node.type === "text") return markText(node, ranges);
  if (node.type === "element" && node.tagName !== "code") {
    node.children = node.children.flatMap((child) => mark(child, ranges) as ElementContent[]);
  }
  return [node];
}

function markText(node: Text, ranges: Range[]): ElementContent[] {
  const from = node.position?.start.offset;
  const to = node.position?.end.offset;
  if (from === undefined || to === undefined) return [node];
  const inside = ranges.filter(({ start, end }) => start < to && end > from);
  if (inside.length === 0) return [node];
  // With an escape in it, a place in the text is not the same place in the Markdown: then all of it is marked.
  if (to - from !== node.value.length) return [wrap(node.value)];
  const pieces: ElementContent[] = [];
  let done = 0;
  for (const { start, end } of inside) {
    const begin = Math.max(done, start - from);
    const finish = begin + node.value.slice(begin, end - from).trimEnd().length;
    // A full stop behind a marker needs no line under it.
    if (!/[\p{L}\p{N}]/u.test(node.value.slice(begin, finish))) continue;
    if (begin > done) pieces.push({ type: "text", value: node.value.slice(done, begin) });
    pieces.push(wrap(node.value.slice(begin, finish)));
    done = finish;
  }
  if (done < node.value.length) pieces.push({ type: "text", value: node.value.slice(done) });
  return pieces;
}

function wrap(value: string): Element {
  const properties = { className: [UNSUPPORTED_CLASS] };
  return { type: "element", tagName: "span", properties, children: [{ type: "text", value }] };
}
