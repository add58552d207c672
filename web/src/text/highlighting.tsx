/** The colours of code: highlight.js's grammars, fetched when the first block of code is complete; elements, not HTML. */
import { toJsxRuntime } from "hast-util-to-jsx-runtime";
import type { ReactNode } from "react";
import { Fragment, jsx, jsxs } from "react/jsx-runtime";

/** Longer code is shown as it is: colouring it would hold up the page. */
const MAX_CHARS = 20_000;

/** `code` in colours, or null when its language is unknown. */
export async function highlight(code: string, language: string): Promise<ReactNode> {
  if (code.length > MAX_CHARS) return null;
  const { lowlight } = await import("./grammars");
  if (!lowlight.registered(language)) return null;
  return toJsxRuntime(lowlight.highlight(language, code), { Fragment, jsx, jsxs });
}
