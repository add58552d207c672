/** Citations: which one belongs to a marker, and how far a sentence can be trusted. */
import type { Marker } from "./markers";
import type { Offsets } from "./offsets";
import type { Citation } from "../wire";

/** The state of a marker. `pending`: its sentence is still being written. `unchecked`: the run ended before. */
export type Verdict = Citation["verified"] | "pending" | "unchecked";

/**
 * The citation of a marker: the one of its number whose sentence it stands in or at.
 *
 * A citation names its sentence without the markers at its ends. A marker between two sentences belongs to the one
 * before it, unless a line break comes between them. `answer` may be older than the marker: it has no citation then.
 */
export function citationAt(
  answer: string,
  offsets: Offsets,
  marker: Marker,
  citations: Citation[],
): Citation | undefined {
  if (marker.start >= answer.length) return undefined;
  const markerEnd = marker.start + `[${marker.index}]`.length;
  const placed = citations
    .filter((citation) => citation.index === marker.index && citation.origin === "claimed")
    .map((citation) => {
      const start = offsets.toUnits(citation.answer.start);
      const end = offsets.toUnits(citation.answer.end);
      const follows = start <= marker.start && isGap(answer.slice(end, marker.start));
      const leads = markerEnd <= start && isGap(answer.slice(markerEnd, start));
      return { citation, follows, leads, sameLine: !answer.slice(end, marker.start).includes("\n") };
    });
  const found =
    placed.findLast(({ follows, sameLine }) => follows && sameLine) ??
    placed.find(({ leads }) => leads) ??
    placed.findLast(({ follows }) => follows);
  return found?.citation;
}

/** True for what stands between a sentence and a marker at one of its ends: markers, white space, punctuation. */
function isGap(text: string): boolean {
  return !/[\p{L}\p{N}]/u.test(text.replaceAll(/\[\d+\]/g, ""));
}
