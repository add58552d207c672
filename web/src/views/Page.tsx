/** The page: header, conversation, question box, and the source that is open beside them. */
import { useCallback, useEffect, useRef, useState } from "react";

import type { OpenSource } from "../citations";
import { useConversation } from "../conversation";
import { isRunning } from "../turn";
import { Ask } from "./Ask";
import { ConversationView } from "./Conversation";
import { SourcePanel } from "./SourcePanel";

export function Page() {
  const [conversation, actions] = useConversation();
  const [source, setSource] = useState<OpenSource | null>(null);
  const opener = useRef<Element | null>(null);
  const running = conversation.turns.find(isRunning);

  const openSource = useCallback((opened: OpenSource) => {
    opener.current = document.activeElement;
    setSource(opened);
  }, []);

  const closeSource = useCallback(() => {
    setSource(null);
    if (opener.current instanceof HTMLElement) opener.current.focus({ preventScroll: true });
  }, []);

  // Another conversation, also by the browser's Back: its sources are others.
  useEffect(() => setSource(null), [conversation.threadId]);

  return (
    <div className={source === null ? "page" : "page with-panel"}>
      <header className="top">
        <span className="wordmark">
          cite<span>stream</span>
        </span>
        <button type="button" className="quiet" data-testid="new-thread" onClick={actions.startNew}>
          New conversation
        </button>
      </header>
      <main className="main">
        <ConversationView
          conversation={conversation}
          onOpen={openSource}
          onAsk={actions.ask}
          onReconnect={actions.reconnect}
        />
        <Ask
          first={conversation.turns.length === 0}
          disabled={conversation.loading}
          onAsk={actions.ask}
          onStop={running === undefined ? null : () => actions.stop(running)}
        />
      </main>
      {source !== null && <SourcePanel key={source.id} source={source} onClose={closeSource} />}
    </div>
  );
}
