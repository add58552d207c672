/** A marker in an answer: a button that opens its source and says how far the sentence is supported. */
import { createContext, useContext } from "react";

import { citationAt, VERDICT_WORDS, type Verdict } from "../citations";
import { formatTitle } from "../format";
import type { Marker } from "../markers";
import type { Offsets } from "../offsets";
import type { Citation, Source } from "../wire";
import { VerdictIcon } from "./Icon";

declare module "react" {
  namespace JSX {
    interface IntrinsicElements {
      "cite-marker": Marker;
    }
  }
}

interface MarkerSurroundings {
  answer: string;
  offsets: Offsets;
  citations: Citation[];
  sources: Source[];
  running: boolean;
  onOpen: (index: number, citations?: Citation[]) => void;
}

/** What the markers of one answer need to know. A context, so that a new citation does not parse the answer anew. */
export const MarkerContext = createContext<MarkerSurroundings | null>(null);

export function MarkerButton({ index, start }: Marker) {
  const surroundings = useContext(MarkerContext);
  const source = surroundings?.sources.find((candidate) => candidate.index === index);
  if (surroundings === null || source === undefined) return <>[{index}]</>;

  const { answer, offsets, citations, running, onOpen } = surroundings;
  const citation = citationAt(answer, offsets, { index, start }, citations);
  const verdict: Verdict = citation?.verified ?? (running ? "pending" : "unchecked");
  const words = `${formatTitle(source)}. ${VERDICT_WORDS[verdict]}`;
  return (
    <button
      type="button"
      className={`marker ${verdict}`}
      data-testid="marker"
      data-index={index}
      data-verdict={verdict}
      aria-label={`Source ${index}: ${words}`}
      title={words}
      onClick={() => onOpen(index, citation === undefined ? undefined : [citation])}
    >
      <span className="bracket">[</span>
      {index}
      <span className="bracket">]</span>
      <VerdictIcon verdict={verdict} />
    </button>
  );
}
