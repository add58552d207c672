/** A marker in an answer: a button that opens its source and says how far the sentence is supported. */
import { useContext } from "react";

import { citationAt, type Verdict } from "../text/citations";
import { formatTitle } from "../text/format";
import type { Marker } from "../text/markers";
import { words } from "../words";
import { BlockContext, MarkerContext } from "./surroundings";
import { VerdictIcon } from "./Icon";
import { usePeek } from "./QuoteCard";

declare module "react" {
  namespace JSX {
    interface IntrinsicElements {
      "cite-marker": Marker;
    }
  }
}

export function MarkerButton({ index, start }: Marker) {
  const surroundings = useContext(MarkerContext);
  const block = useContext(BlockContext);
  const peek = usePeek();
  const source = surroundings?.sources.find((candidate) => candidate.index === index);
  if (surroundings === null || source === undefined) return <>[{index}]</>;

  const { answer, offsets, citations, running, onOpen } = surroundings;
  const citation = citationAt(answer, offsets, { index, start: block.start + start }, citations);
  const verdict: Verdict = citation?.verified ?? (running ? "pending" : "unchecked");
  const card = { source, citation, verdict };
  return (
    <button
      type="button"
      className={`marker ${verdict}`}
      data-testid="marker"
      data-index={index}
      data-verdict={verdict}
      aria-label={words.markerLabel(index, formatTitle(source), words.verdicts[verdict])}
      onClick={() => {
        peek.close();
        onOpen(index, citation === undefined ? undefined : [citation]);
      }}
      onFocus={(event) => peek.show(event.currentTarget, card)}
      onBlur={peek.hide}
      onPointerEnter={(event) => event.pointerType === "mouse" && peek.show(event.currentTarget, card)}
      onPointerLeave={peek.hide}
    >
      <span className="bracket">[</span>
      {index}
      <span className="bracket">]</span>
      <VerdictIcon verdict={verdict} />
    </button>
  );
}
