/** A thread's turns, one below the other; or what to do when there are none. */
import { useRef, type KeyboardEvent, type ReactNode } from "react";

import { useFollowing } from "../hooks/following";
import { readIn, type Reading } from "../state/reading";
import type { Conversation } from "../state/thread";
import { isRunning } from "../state/turn";
import { explain, words } from "../words";
import { TurnView, type TurnActions } from "./Turn";

interface Props {
  conversation: Conversation;
  /** What is read beside it. */
  reading: Reading | null;
  actions: TurnActions;
  onReopen: () => void;
  /** Shown before the first question. */
  welcome: ReactNode;
}

export function ConversationView({ conversation, reading, actions, onReopen, welcome }: Props) {
  const { turns, loading, error } = conversation;
  const content = useRef<HTMLDivElement>(null);
  const busy = turns.some(isRunning);
  const last = turns.at(-1);
  const troubled = last?.outcome != null && last.outcome.kind !== "done";
  useFollowing(content, busy, `${last?.runId} ${turns.length} ${troubled}`);

  return (
    <div className="conversation" ref={content} onKeyDown={moveBetweenMarkers}>
      {loading && <p className="muted">{words.loading}</p>}
      {error !== null && (
        <div className="notice" role="alert" data-testid="error" data-code={error.code}>
          <p dir="auto">{error.code === "thread_not_found" ? words.threadGone : explain(error)}</p>
          {error.code !== "thread_not_found" && (
            <div className="notice-actions">
              <button type="button" onClick={onReopen}>
                {words.retry}
              </button>
            </div>
          )}
        </div>
      )}
      {turns.length === 0 && !loading && error === null && welcome}
      {turns.map((turn) => (
        <TurnView
          key={turn.runId}
          turn={turn}
          busy={busy}
          last={turn === last}
          read={readIn(turn, reading)}
          actions={actions}
        />
      ))}
    </div>
  );
}

/** Left and right lead from citation to citation, through the whole conversation. */
function moveBetweenMarkers(event: KeyboardEvent<HTMLElement>) {
  const by = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
  const marker = (event.target as HTMLElement).closest(".marker");
  if (by === undefined || marker === null) return;
  const markers = [...event.currentTarget.querySelectorAll<HTMLElement>(".marker")];
  const next = markers[markers.indexOf(marker as HTMLElement) + by];
  if (next === undefined) return;
  event.preventDefault();
  next.focus();
}
