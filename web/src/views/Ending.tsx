/** How a turn stands or ended, in plain words, and what can be done about it. */
import type { Turn } from "../state/turn";
import { explain, words } from "../words";
import { Icon } from "./Icon";

export interface EndingActions {
  onRetry: (turn: Turn) => void;
  onReconnect: (turn: Turn) => void;
  onShowSources: (turn: Turn) => void;
  onBringDocuments: () => void;
  /** Null when there are no others. */
  onChooseCollections: (() => void) | null;
}

interface Props extends EndingActions {
  turn: Turn;
  /** A question is being answered: another one has to wait. */
  busy: boolean;
}

export function Ending({ turn, busy, ...actions }: Props) {
  const { outcome } = turn;
  if (outcome === null) {
    return (
      <p className={turn.dropped ? "status dropped" : "status running"} data-testid="status" data-status="running">
        {turn.dropped && <Icon name="offline" />}
        {turn.dropped ? words.dropped : words.working}
      </p>
    );
  }
  if (outcome.kind !== "done") {
    return (
      <div className="notice" role="alert" data-testid="error" data-code={outcome.code}>
        <Icon name="warning" />
        <p dir="auto">{explain(outcome)}</p>
        <div className="notice-actions">
          {outcome.code === "index_empty" && (
            <button type="button" onClick={actions.onBringDocuments}>
              {words.bringDocuments}
            </button>
          )}
          {outcome.kind === "lost" ? (
            <button type="button" disabled={busy} onClick={() => actions.onReconnect(turn)}>
              {words.reconnect}
            </button>
          ) : (
            <button type="button" disabled={busy} onClick={() => actions.onRetry(turn)}>
              {words.askAgain}
            </button>
          )}
        </div>
      </div>
    );
  }
  const { status, grounding } = outcome;
  if (status === "abstained" && !isGreeting(turn)) return <Abstained turn={turn} {...actions} />;
  return (
    <p className={`status ${status} ${grounding ?? ""}`} data-testid="status" data-status={status}>
      {status === "completed" && grounding !== null && <Icon name={GROUNDING_ICONS[grounding]} />}
      {describe(turn)}
    </p>
  );
}

const GROUNDING_ICONS = { full: "check", partial: "almost", none: "cross" } as const;

/** A greeting is answered without a search. Where the steps are not known, only what was found tells it. */
function isGreeting(turn: Turn): boolean {
  if (turn.steps.length === 0) return turn.sources.length === 0;
  return turn.steps.some((step) => step.node === "retrieve" && step.state === "skip");
}

function describe(turn: Turn): string {
  const { outcome } = turn;
  if (outcome?.kind !== "done") return "";
  const { status, grounding } = outcome;
  if (status === "stopped") return turn.answer === "" ? words.outcomes.stoppedEmpty : words.outcomes.stopped;
  if (status === "incomplete") return words.outcomes.incomplete;
  if (status === "abstained") return words.outcomes.noPassages;
  return grounding === null ? "" : words.grounding[grounding];
}

/** Why no answer was given, and what could help. */
function Abstained({ turn, onShowSources, onBringDocuments, onChooseCollections }: { turn: Turn } & EndingActions) {
  const found = turn.sources.length;
  return (
    <section className="no-answer" data-testid="status" data-status="abstained">
      <h3>{words.abstained}</h3>
      <p>{found === 0 ? words.abstainedNothing : words.abstainedThin(found)}</p>
      <h3>{words.abstainedTry}</h3>
      <ul>
        {words.abstainedTips.map((tip) => (
          <li key={tip}>{tip}</li>
        ))}
      </ul>
      <div className="notice-actions">
        {found > 0 && (
          <button type="button" onClick={() => onShowSources(turn)}>
            {words.abstainedRead}
          </button>
        )}
        {onChooseCollections !== null && (
          <button type="button" onClick={onChooseCollections}>
            {words.abstainedCollections}
          </button>
        )}
        <button type="button" onClick={onBringDocuments}>
          {words.abstainedDocuments}
        </button>
      </div>
    </section>
  );
}
