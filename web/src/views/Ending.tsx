/** How a turn stands or ended, in plain words, and what can be done about it. */
import type { Outcome, Turn } from "../turn";
import type { DoneStatus, Grounding } from "../wire";

const DONE_WORDS: Record<Exclude<DoneStatus, "completed">, string> = {
  stopped: "Stopped. What was written until then is kept.",
  abstained: "No answer given: the documents do not say enough about this.",
  incomplete: "The answer broke off before its end. What was written until then is kept.",
};

const GROUNDING_WORDS: Record<Grounding, string> = {
  full: "Answered. Every sentence is backed by a source.",
  partial: "Answered. Parts of it are not backed by a source.",
  none: "Answered, but no sentence is backed by a source.",
};

interface Props {
  turn: Turn;
  /** A question is being answered: another one has to wait. */
  busy: boolean;
  onAsk: (question: string) => void;
  onReconnect: (turn: Turn) => void;
}

export function Ending({ turn, busy, onAsk, onReconnect }: Props) {
  const { outcome } = turn;
  if (outcome !== null && outcome.kind !== "done") {
    return (
      <div className="notice" role="alert" data-testid="error" data-code={outcome.code}>
        <p>{outcome.message}</p>
        {outcome.kind === "lost" ? (
          <button type="button" disabled={busy} onClick={() => onReconnect(turn)}>
            Reconnect
          </button>
        ) : (
          <button type="button" disabled={busy} onClick={() => onAsk(turn.question)}>
            Ask again
          </button>
        )}
      </div>
    );
  }
  const status = outcome === null ? "running" : outcome.status;
  return (
    <p className={`status ${status}`} role="status" data-testid="status" data-status={status}>
      {outcome === null ? "Working on the answer" : describeDone(outcome, turn.sources.length)}
    </p>
  );
}

function describeDone(outcome: Extract<Outcome, { kind: "done" }>, sources: number): string {
  // A greeting, or an empty collection: the answer itself says it.
  if (outcome.status === "abstained" && sources === 0) return "No passages were used.";
  if (outcome.status !== "completed") return DONE_WORDS[outcome.status];
  return outcome.grounding === null ? "Answered." : GROUNDING_WORDS[outcome.grounding];
}
