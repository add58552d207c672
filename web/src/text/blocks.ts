/**
 * An answer's Markdown, cut into blocks that stand alone.
 *
 * While an answer grows only its last block changes, so only that one is parsed again. A cut is made where CommonMark
 * surely begins a new block: at a line without indent after a blank one, outside fences, and not between two items of
 * one list. Nothing here reaches over blocks, as definitions and footnotes are not read in answers (`markers.ts`).
 */
export interface Block {
  text: string;
  /** Its UTF-16 offset in the answer. */
  start: number;
}

const ITEM = /^ {0,3}([-*+]|\d{1,9}[.)])(\s|$)/;
const FENCE = /^ {0,3}(`{3,}|~{3,}|\${2,})(.*)$/;
/** In a list a fence with more indent belongs to an item, and ends with it. */
const FENCE_BESIDE_LIST = /^ ?(`{3,}|~{3,}|\${2,})(.*)$/;

export function splitBlocks(text: string): Block[] {
  const blocks: Block[] = [];
  let start = 0;
  let lineStart = 0;
  let fence: string | null = null;
  let inList = false;
  let afterBlank = false;
  for (const line of text.split(/(?<=\n)/)) {
    if (fence === null && afterBlank && /^\S/.test(line) && !(inList && ITEM.test(line))) {
      blocks.push({ text: text.slice(start, lineStart), start });
      start = lineStart;
      inList = false;
    }
    if (fence === null) inList ||= ITEM.test(line);
    fence = fenceAfter(line.trimEnd(), fence, inList);
    afterBlank = line.trim() === "";
    lineStart += line.length;
  }
  if (start < text.length) blocks.push({ text: text.slice(start), start });
  return blocks;
}

/** The fence that is open after a line, or null. */
function fenceAfter(line: string, open: string | null, inList: boolean): string | null {
  const [, marks = "", rest = ""] = (inList && open === null ? FENCE_BESIDE_LIST : FENCE).exec(line) ?? [];
  if (open !== null) return marks.startsWith(open) && rest.trim() === "" ? null : open;
  if (marks.startsWith("$")) return rest.trim() === "" ? marks : null;
  // Backticks with more of them in the line are code in a line.
  return marks === "" || (marks.startsWith("`") && rest.includes("`")) ? null : marks;
}
