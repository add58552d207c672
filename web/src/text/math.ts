/**
 * Formulas: a Markdown extension for the ways in which models write them.
 *
 * `$x$` by pandoc's rule, so that prices stay prices: no white space inside its dollars, no digit behind it, no dollar
 * within. `\(x\)`, `\[x\]` and `$$x$$` as LaTeX has them. Blocks between lines of `$$` are read by micromark's own
 * extension, unless something stands behind the dollars: that would vanish.
 */
import type { CompileContext, Extension as FromMarkdownExtension, Token as MdastToken } from "mdast-util-from-markdown";
import { mathFromMarkdown } from "mdast-util-math";
import { math } from "micromark-extension-math";
import type { Code, Construct, Effects, Extension, State, TokenizeContext } from "micromark-util-types";
import type { Processor } from "unified";

declare module "micromark-util-types" {
  interface TokenTypeMap {
    formula: "formula";
  }
}

/** Class names that tell the page's components what is a formula. */
export const FORMULA_CLASS = { inline: "math-inline", display: "math-display" } as const;

const DOLLAR = 36;
const OPENING_PARENTHESIS = 40;
const CLOSING_PARENTHESIS = 41;
const OPENING_BRACKET = 91;
const BACKSLASH = 92;
const CLOSING_BRACKET = 93;

/** Add formulas to a remark processor. */
export function remarkFormulas(this: Processor): void {
  const data = this.data() as { micromarkExtensions?: Extension[]; fromMarkdownExtensions?: FromMarkdownExtension[] };
  (data.micromarkExtensions ??= []).push(syntax);
  const inText = { enter: { formula: enterFormula }, exit: { formula: exitFormula } };
  (data.fromMarkdownExtensions ??= []).push(mathFromMarkdown(), inText);
}

/** `\[` and `\]` alone on their lines, outside code, as the lines of `$$` that they mean; offsets stay as they are. */
export function unifyDisplays(text: string): string {
  if (!text.includes("\\[")) return text;
  return text.replaceAll(
    /^( {0,3}(`{3,}|~{3,})[\s\S]*?(?:^ {0,3}\2|$(?![\s\S])))|^( *)\\\[( *\n(?:(?!\s*\n\s*\n)[\s\S])*?\n *)\\\]( *)$/gm,
    (all: string, code: string | undefined, _fence, before: string, body: string, after: string) =>
      code === undefined ? `${before}$$${body}$$${after}` : all,
  );
}

const formula: Construct = { name: "formula", tokenize: tokenizeFormula };

/** Dollars with nothing behind them on their line. */
const bareFence: Construct = { name: "bareFence", tokenize: tokenizeBareFence, partial: true };

const block: Construct = { name: "formulaBlock", tokenize: tokenizeBlock, concrete: true };

const syntax: Extension = { flow: { [DOLLAR]: block }, text: { [DOLLAR]: formula, [BACKSLASH]: formula } };

function tokenizeBlock(this: TokenizeContext, effects: Effects, ok: State, nok: State): State {
  return effects.check(bareFence, effects.attempt(math().flow?.[DOLLAR] ?? [], ok, nok), nok);
}

function tokenizeBareFence(effects: Effects, ok: State, nok: State): State {
  return function dollars(code: Code): State | undefined {
    if (code === DOLLAR) {
      effects.enter("data");
      effects.consume(code);
      effects.exit("data");
      return dollars;
    }
    return code === null || isSpace(code) ? rest(code) : nok(code);
  };

  function rest(code: Code): State | undefined {
    if (code === null || code < -2) return ok(code);
    if (!isSpace(code)) return nok(code);
    effects.enter("whitespace");
    effects.consume(code);
    effects.exit("whitespace");
    return rest;
  }
}

type Kind = "dollar" | "dollars" | "parentheses" | "brackets";

function tokenizeFormula(effects: Effects, ok: State, nok: State): State {
  let kind: Kind = "dollar";
  let last: Code = null;
  let length = 0;

  return function start(code: Code) {
    effects.enter("formula");
    effects.enter("data");
    effects.consume(code);
    return code === DOLLAR ? afterDollar : afterBackslash;
  };

  function afterBackslash(code: Code): State | undefined {
    if (code !== OPENING_PARENTHESIS && code !== OPENING_BRACKET) return nok(code);
    kind = code === OPENING_PARENTHESIS ? "parentheses" : "brackets";
    effects.consume(code);
    return inside;
  }

  function afterDollar(code: Code): State | undefined {
    if (code !== DOLLAR) return isSpace(code) ? nok(code) : inside(code);
    kind = "dollars";
    effects.consume(code);
    return inside;
  }

  function inside(code: Code): State | undefined {
    if (code === null) return nok(code);
    if (code < -2) {
      effects.exit("data");
      effects.enter("lineEnding");
      effects.consume(code);
      effects.exit("lineEnding");
      effects.enter("data");
      last = code;
      return inside;
    }
    if (code === BACKSLASH) {
      effects.consume(code);
      return escaped;
    }
    if (code === DOLLAR && (kind === "dollar" || kind === "dollars")) {
      if (length === 0 || (kind === "dollar" && isSpace(last))) return nok(code);
      effects.consume(code);
      return kind === "dollar" ? closed : secondDollar;
    }
    effects.consume(code);
    last = code;
    length += 1;
    return inside;
  }

  function escaped(code: Code): State | undefined {
    if (code === null || code < -2) return inside(code);
    const closes =
      (kind === "parentheses" && code === CLOSING_PARENTHESIS) || (kind === "brackets" && code === CLOSING_BRACKET);
    if (closes && length === 0) return nok(code);
    effects.consume(code);
    last = code;
    length += 1;
    return closes ? closed : inside;
  }

  function secondDollar(code: Code): State | undefined {
    if (code !== DOLLAR) return nok(code);
    effects.consume(code);
    return closed;
  }

  function closed(code: Code): State | undefined {
    if (kind === "dollar" && code !== null && code >= 48 && code <= 57) return nok(code);
    effects.exit("data");
    effects.exit("formula");
    return ok(code);
  }
}

/** White space as micromark tells it: spaces, tabs and line ends. */
function isSpace(code: Code): boolean {
  return code === null || code < 0 || code === 32;
}

function enterFormula(this: CompileContext, token: MdastToken): void {
  const written = this.sliceSerialize(token);
  const marks = written.startsWith("$") && !written.startsWith("$$") ? 1 : 2;
  const value = written.slice(marks, -marks).trim();
  const display = written.startsWith("$$") || written.startsWith("\\[");
  const className = ["language-math", display ? FORMULA_CLASS.display : FORMULA_CLASS.inline];
  const data = { hName: "code", hProperties: { className }, hChildren: [{ type: "text" as const, value }] };
  this.enter({ type: "inlineMath", value, data } as never, token);
  // What is in the formula's own tokens is text of its own, which nobody asks for.
  this.buffer();
}

function exitFormula(this: CompileContext, token: MdastToken): void {
  this.resume();
  this.exit(token);
}
