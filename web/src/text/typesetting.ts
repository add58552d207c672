/** KaTeX with its style sheet, as one piece that is loaded when a formula comes. */
import katex from "katex";
import "katex/dist/katex.css";

/** Formulas are written by a model: no links, no pictures, no endless macros. */
const OPTIONS = { throwOnError: false, trust: false, strict: "ignore", maxExpand: 200, maxSize: 20 } as const;

export function typesetInto(element: HTMLElement, tex: string, display: boolean): void {
  katex.render(tex, element, { ...OPTIONS, displayMode: display });
}
