/** Taking an answer elsewhere: Markdown with its sources and quotes, and the clipboard. */
import type { Turn } from "../state/turn";
import { words } from "../words";
import { formatPlace, formatTitle } from "./format";

/** The answer as Markdown, followed by the sources that it cites, each with its quotes and how they were verified. */
export function toMarkdown({ answer, sources, citations }: Pick<Turn, "answer" | "sources" | "citations">): string {
  const lines = sources.flatMap((source) => {
    const quotes = citations.filter((citation) => citation.index === source.index);
    if (quotes.length === 0) return [];
    const place = formatPlace(source);
    const told = [`**${formatTitle(source)}**`, place, source.metadata.source].filter(Boolean).join(" · ");
    const seen = new Set<string>();
    const quoted = quotes.flatMap(({ quote, verified }) => {
      const line = `   > ${quote.replaceAll(/\s*\n\s*/g, " ")} — ${words.verdicts[verified]}`;
      return seen.has(line) ? [] : (seen.add(line), [line]);
    });
    return [`- [${source.index}] ${told}`, ...quoted.flatMap((line) => ["", line]), ""];
  });
  return lines.length === 0
    ? `${answer.trim()}\n`
    : `${answer.trim()}\n\n---\n\n${words.sources}\n\n${lines.join("\n").trim()}\n`;
}

/** Put a text on the clipboard; false when the browser does not allow it. */
export async function copyText(text: string): Promise<boolean> {
  try {
    // There on https and localhost only.
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return copyBySelection(text);
  }
}

function copyBySelection(text: string): boolean {
  const box = document.createElement("textarea");
  box.value = text;
  box.className = "unseen";
  document.body.append(box);
  const before = document.activeElement;
  box.select();
  const copied = document.execCommand("copy");
  box.remove();
  if (before instanceof HTMLElement) before.focus({ preventScroll: true });
  return copied;
}
