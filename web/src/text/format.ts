/** Numbers, days and places as a person reads them. */
import { words } from "../words";
import type { Source } from "../wire";

/** A duration: `38 ms`, `1.2 s`. */
export function formatMs(ms: number): string {
  return ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`;
}

/** A day: `3 May 2026`. */
export function formatDay(time: string): string {
  return new Date(time).toLocaleDateString(words.lang, { day: "numeric", month: "short", year: "numeric" });
}

/** A share as `0.81`. */
export function formatScore(score: number): string {
  return score.toFixed(2);
}

/** Between the headings of a path, as the service writes it. */
const BELOW = " > ";

/** Where in its document a passage stands: heading path, without the document's title, and page, as far as known. */
export function formatPlace({ metadata }: Source): string {
  const { heading = "", title, page } = metadata;
  const path =
    heading === title ? "" : heading.startsWith(title + BELOW) ? heading.slice(title.length + BELOW.length) : heading;
  return [path, page == null ? "" : words.page(page)].filter((part) => part !== "").join(" · ");
}

/** The name of a source's document. */
export function formatTitle(source: Source): string {
  return source.metadata.title || source.metadata.source;
}
