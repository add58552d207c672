/** One question and its answer. */
import { useDeferredValue } from "react";

import type { OpenSource } from "../citations";
import { isRunning, type Turn } from "../turn";
import { Answer } from "./Answer";
import { Ending } from "./Ending";
import { Sources } from "./Sources";
import { Steps } from "./Steps";

interface Props {
  turn: Turn;
  /** This turn or another one is being answered. */
  busy: boolean;
  onOpen: (source: OpenSource) => void;
  onAsk: (question: string) => void;
  onReconnect: (turn: Turn) => void;
}

export function TurnView({ turn, busy, onOpen, onAsk, onReconnect }: Props) {
  // A long answer is parsed anew with every delta: let typing and clicking go first.
  const shown = useDeferredValue(turn);

  function openSource(index: number, citations = turn.citations.filter((citation) => citation.index === index)) {
    const source = turn.sources.find((candidate) => candidate.index === index);
    if (source !== undefined) onOpen({ id: source.id, index, citations });
  }

  return (
    <article className="turn" aria-busy={isRunning(turn)}>
      <h2 className="question">{turn.question}</h2>
      <Steps turn={turn} />
      {shown.answer !== "" && <Answer turn={shown} onOpen={openSource} />}
      <Ending turn={turn} busy={busy} onAsk={onAsk} onReconnect={onReconnect} />
      {!isRunning(turn) && turn.sources.length > 0 && <Sources turn={turn} onOpen={openSource} />}
    </article>
  );
}
