/**
 * Markers: a Markdown extension that reads `[3]` as what it is.
 *
 * It works in the tokenizer and not on finished text, because only the tokenizer knows where a marker stands in the
 * answer, that `\[12]` is an escaped bracket, and what is code. Citations are found by that place.
 */
import type { CompileContext, Extension as FromMarkdownExtension, Token as MdastToken } from "mdast-util-from-markdown";
import type { Parent, PhrasingContent } from "mdast";
import type { Code, Construct, Effects, Extension, State } from "micromark-util-types";
import type { Processor } from "unified";

/** Tag under which a marker leaves the Markdown library; it never reaches the document. */
export const MARKER_TAG = "cite-marker";

/** A marker in an answer; `start` is a UTF-16 offset. */
export interface Marker {
  index: number;
  start: number;
}

interface MarkerNode extends Parent {
  type: "marker";
  children: PhrasingContent[];
}

declare module "mdast" {
  interface PhrasingContentMap {
    marker: MarkerNode;
  }
  interface RootContentMap {
    marker: MarkerNode;
  }
}

declare module "micromark-util-types" {
  interface TokenTypeMap {
    marker: "marker";
  }
}

/** Add markers to a remark processor. */
export function remarkMarkers(this: Processor): void {
  const data = this.data() as { micromarkExtensions?: Extension[]; fromMarkdownExtensions?: FromMarkdownExtension[] };
  (data.micromarkExtensions ??= []).push(syntax);
  (data.fromMarkdownExtensions ??= []).push({ enter: { marker: enterMarker }, exit: { marker: exitMarker } });
}

const MAX_DIGITS = 4;
const EXCLAMATION_MARK = 33;
const OPENING_PARENTHESIS = 40;
const OPENING_BRACKET = 91;
const CLOSING_BRACKET = 93;

const marker: Construct = { name: "marker", tokenize: tokenizeMarker };

const syntax: Extension = {
  text: {
    [OPENING_BRACKET]: marker,
    // "Indeed![1]" would begin an image.
    [EXCLAMATION_MARK]: { name: "exclamationBeforeMarker", tokenize: tokenizeExclamation },
  },
  // What an answer says is shown: `[1]: word` would vanish as a link definition (and make links of markers), a
  // footnote would leave its place, tags would vanish as HTML, and code by indentation is not what the service takes
  // for code.
  disable: { null: ["definition", "gfmFootnoteDefinition", "htmlFlow", "htmlText", "codeIndented"] },
};

function tokenizeMarker(effects: Effects, ok: State, nok: State): State {
  let digits = 0;

  return function start(code: Code) {
    // After an exclamation mark this is asked of anything, and of the end.
    if (code !== OPENING_BRACKET) return nok(code);
    effects.enter("marker");
    effects.consume(code);
    return digit;
  };

  function digit(code: Code): State | undefined {
    if (isDigit(code) && digits < MAX_DIGITS) {
      digits += 1;
      effects.consume(code);
      return digit;
    }
    if (code !== CLOSING_BRACKET || digits === 0) return nok(code);
    effects.consume(code);
    effects.exit("marker");
    return after;
  }

  /** `[1](` is a link whose text is a number. */
  function after(code: Code): State | undefined {
    return code === OPENING_PARENTHESIS ? nok(code) : ok(code);
  }
}

function tokenizeExclamation(effects: Effects, ok: State, nok: State): State {
  return function start(code: Code) {
    effects.enter("data");
    effects.consume(code);
    effects.exit("data");
    return effects.check(marker, ok, nok);
  };
}

function isDigit(code: Code): boolean {
  return code !== null && code >= 48 && code <= 57;
}

/** A marker keeps its text as a child, which is what is shown where it cannot be a button. */
function enterMarker(this: CompileContext, token: MdastToken): void {
  const text = this.sliceSerialize(token);
  const node: MarkerNode = { type: "marker", children: [] };
  if (!this.stack.some((parent) => parent.type === "link")) {
    node.data = {
      hName: MARKER_TAG,
      hProperties: { index: Number(text.slice(1, -1)), start: token.start.offset },
    };
  } else {
    node.data = { hName: "span" };
  }
  this.enter(node, token);
  this.enter({ type: "text", value: text }, token);
}

function exitMarker(this: CompileContext, token: MdastToken): void {
  this.exit(token);
  this.exit(token);
}
