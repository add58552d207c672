/** A marker in an answer: a button that opens its source and says how far the sentence is supported. */
import { useContext, useEffect, useRef } from "react";

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
  const button = useRef<HTMLButtonElement>(null);
  const source = surroundings?.sources.find((candidate) => candidate.index === index);
  const citation =
    surroundings === null
      ? undefined
      : citationAt(
          surroundings.answer,
          surroundings.offsets,
          { index, start: block.start + start },
          surroundings.citations,
        );
  const isRead = citation !== undefined && citation === surroundings?.read;
  // Who walks through the citations in the panel sees where he is in the answer.
  useEffect(() => {
    if (isRead) button.current?.scrollIntoView({ block: "nearest" });
  }, [isRead]);
  if (surroundings === null || source === undefined) return <>[{index}]</>;

  const { running, onOpen } = surroundings;
  const verdict: Verdict = citation?.verified ?? (running ? "pending" : "unchecked");
  const card = { source, citation, verdict };
  return (
    <button
      ref={button}
      type="button"
      className={`marker ${verdict}`}
      aria-current={isRead || undefined}
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
