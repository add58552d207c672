/** What a screen reader hears of an answer that is on its way: steps, whole sentences and the end, politely; no tokens. */
import { useEffect, useRef, useState } from "react";

import { isRunning, type Turn } from "../state/turn";
import { speakSentences } from "../text/speech";
import { words } from "../words";

/** Lines that are kept; what was said before needs not be there any more. */
const KEPT = 30;
/** Sentences that come within this time are told together. */
const PACE_MS = 1000;

export function Announcer({ turn }: { turn: Turn | undefined }) {
  const [lines, setLines] = useState<{ id: string; text: string }[]>([]);
  const heard = useRef({ runId: "", said: 0, live: false, at: 0 });

  useEffect(() => {
    if (turn === undefined) return;
    const { runId } = turn;
    // An old answer that is only shown was not asked for just now.
    if (heard.current.runId !== runId) heard.current = { runId, said: 0, live: isRunning(turn), at: 0 };
    if (!heard.current.live) return;
    const speak = () => {
      const all = tell(turn);
      const { said } = heard.current;
      heard.current = { runId, said: all.length, live: isRunning(turn), at: Date.now() };
      const news = all.slice(said).map((text, n) => ({ id: `${runId} ${said + n}`, text }));
      if (news.length > 0) setLines((before) => [...before, ...news].slice(-KEPT));
    };
    const timer = setTimeout(speak, isRunning(turn) ? heard.current.at + PACE_MS - Date.now() : 0);
    return () => clearTimeout(timer);
  }, [turn]);

  return (
    <div className="unseen" role="log" aria-live="polite" aria-relevant="additions" data-testid="announcer">
      {lines.map(({ id, text }) => (
        <p key={id}>{text}</p>
      ))}
    </div>
  );
}

/** All there is to say of a turn so far; it only ever grows at its end. */
function tell(turn: Turn): string[] {
  const ended = !isRunning(turn);
  const steps = turn.steps.filter(({ node }) => node !== "finalize").map(({ node }) => words.steps[node]);
  const sentences = turn.answer === "" ? [] : speakSentences(turn.answer, ended, words.code);
  if (!ended) return [...steps, ...sentences];
  return [...steps, ...sentences, ...tellEnd(turn)];
}

function tellEnd({ outcome, answer }: Turn): string[] {
  if (outcome === null) return [];
  // A notice about an error is an alert already.
  if (outcome.kind !== "done") return [];
  if (outcome.status === "stopped") return [answer === "" ? words.outcomes.stoppedEmpty : words.outcomes.stopped];
  if (outcome.status === "incomplete") return [words.outcomes.incomplete];
  return outcome.status === "completed" && outcome.grounding !== null ? [words.grounding[outcome.grounding]] : [];
}
