/** One question and its answer. */
import { memo, useCallback, useDeferredValue } from "react";

import { citationsOf, groupSources, type Reading } from "../state/reading";
import { isRunning, type Turn } from "../state/turn";
import { toMarkdown } from "../text/copying";
import { formatPlace, formatTitle } from "../text/format";
import type { Citation, Feedback } from "../wire";
import { words } from "../words";
import { Answer } from "./Answer";
import { CopyButton } from "./CopyButton";
import { Ending, type EndingActions } from "./Ending";
import { Icon } from "./Icon";
import { Question } from "./Question";
import { Steps } from "./Steps";
import { Thumbs } from "./Thumbs";

export interface TurnActions extends EndingActions {
  onRead: (reading: Reading) => void;
  onAsk: (question: string, replaces?: string | null) => void;
  onJudge: (turn: Turn, feedback: Feedback | null) => Promise<void>;
}

interface Props {
  turn: Turn;
  /** This turn or another one is being answered. */
  busy: boolean;
  last: boolean;
  /** The citation of this turn that is being read beside it. */
  read: Citation | null;
  actions: TurnActions;
}

/** Drawn again only when something of this turn is new: a long conversation does not slow its last answer down. */
export const TurnView = memo(function TurnView({ turn, busy, last, read, actions }: Props) {
  const running = isRunning(turn);
  // While words come, typing and clicking go first; an end is told together with its last words.
  const deferred = useDeferredValue(turn);
  const shown = running ? deferred : turn;
  const { runId, citations } = shown;
  const { messageId } = turn;
  const { onRead, onAsk, onJudge } = actions;
  const canReplace = !busy && messageId !== null;

  const openSource = useCallback(
    (index: number, some?: Citation[]) =>
      onRead({ runId, index, citations: some ?? citations.filter((one) => one.index === index) }),
    [onRead, runId, citations],
  );

  return (
    <article className="turn" aria-busy={running} data-run={turn.runId}>
      <Question question={turn.question} onChange={canReplace ? (changed) => onAsk(changed, messageId) : null} />
      <Steps turn={turn} onShowSources={actions.onShowSources} />
      {shown.answer !== "" && <Answer turn={shown} read={read} onOpen={openSource} />}
      <Ending turn={turn} busy={busy} {...actions} />
      {!running && <CitedSources turn={turn} onRead={onRead} />}
      {!running && turn.outcome?.kind === "done" && (
        <div className="actions">
          {turn.answer !== "" && (
            <CopyButton
              text={() => toMarkdown(turn)}
              label={turn.citations.length > 0 ? words.copyAnswer : words.copy}
              labelled
            />
          )}
          {last && canReplace && (
            <button
              type="button"
              className="action"
              data-testid="regenerate"
              onClick={() => onAsk(turn.question, messageId)}
            >
              <Icon name="again" />
              {words.regenerate}
            </button>
          )}
          {turn.sources.length > 0 && (
            <button
              type="button"
              className="action"
              data-testid="all-sources"
              onClick={() => onRead({ runId, index: null, citations: [] })}
            >
              <Icon name="books" />
              {words.showSources} ({turn.sources.length})
            </button>
          )}
          {messageId !== null && turn.answer !== "" && <Thumbs turn={turn} onJudge={onJudge} />}
        </div>
      )}
      {last && !busy && turn.suggestions.length > 0 && (
        <section className="suggestions" aria-label={words.suggestions} data-testid="suggestions">
          <h3>{words.suggestions}</h3>
          {turn.suggestions.map((question) => (
            <button key={question} type="button" dir="auto" onClick={() => onAsk(question)}>
              {question}
            </button>
          ))}
        </section>
      )}
    </article>
  );
});

/** The sources that an answer cites, in one line each. */
function CitedSources({ turn, onRead }: { turn: Turn; onRead: (reading: Reading) => void }) {
  const { cited } = groupSources(turn);
  const { runId } = turn;
  if (cited.length === 0) return null;
  return (
    <ul className="cited" data-testid="sources" aria-label={words.cited}>
      {cited.map((source) => (
        <li key={source.id}>
          <button
            type="button"
            className="source-chip"
            data-index={source.index}
            onClick={() => onRead({ runId, index: source.index, citations: citationsOf(turn, source.index) })}
          >
            <span className="source-index">{source.index}</span>
            <span className="source-title" dir="auto">
              {formatTitle(source)}
            </span>
            <span className="source-place" dir="auto">
              {formatPlace(source)}
            </span>
          </button>
        </li>
      ))}
    </ul>
  );
}
