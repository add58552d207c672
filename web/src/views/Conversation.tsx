/** A thread's turns, one below the other; or what to do when there are none. */
import { useRef } from "react";

import type { OpenSource } from "../citations";
import type { Conversation } from "../conversation";
import { useFollowing } from "../following";
import { isRunning, type Turn } from "../turn";
import { TurnView } from "./Turn";

interface Props {
  conversation: Conversation;
  onOpen: (source: OpenSource) => void;
  onAsk: (question: string) => void;
  onReconnect: (turn: Turn) => void;
}

export function ConversationView({ conversation, onOpen, onAsk, onReconnect }: Props) {
  const { turns, loading, error } = conversation;
  const content = useRef<HTMLDivElement>(null);
  const busy = turns.some(isRunning);
  const last = turns.at(-1);
  const troubled = last?.outcome != null && last.outcome.kind !== "done";
  useFollowing(content, busy, `${turns.length} ${troubled}`);

  return (
    <div className="conversation" ref={content}>
      {loading && <p className="muted">Loading the conversation…</p>}
      {error !== null && (
        <p className="notice" role="alert" data-testid="error">
          {error}
        </p>
      )}
      {turns.length === 0 && !loading && <Welcome />}
      {turns.map((turn) => (
        <TurnView
          key={turn.runId}
          turn={turn}
          busy={busy}
          onOpen={onOpen}
          onAsk={onAsk}
          onReconnect={onReconnect}
        />
      ))}
    </div>
  );
}

function Welcome() {
  return (
    <div className="welcome">
      <h1>Ask your own documents.</h1>
      <p>
        Every sentence of the answer is bound to the characters of a source. Click a number to read them where they
        stand.
      </p>
    </div>
  );
}
