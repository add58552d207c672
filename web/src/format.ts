/** Numbers and places as a person reads them. */
import type { Source } from "./wire";

/** A duration: `38 ms`, `1.2 s`. */
export function formatMs(ms: number): string {
  return ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`;
}

/** Where in its document a passage stands: heading path and page, as far as known. */
export function formatPlace(place: { heading?: string | null; page?: number | null }): string {
  const parts = [place.heading, place.page == null ? null : `page ${place.page}`];
  return parts.filter((part) => part != null && part !== "").join(" · ");
}

/** The name of a source's document. */
export function formatTitle(source: Source): string {
  return source.metadata.title || source.metadata.source;
}
