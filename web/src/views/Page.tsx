/** The page: conversations, the one that is shown, the question box, and the source that is read beside them. */
import { useCallback, useEffect, useMemo, useRef, useState } from "react";

import { useConversation } from "../hooks/conversation";
import { DEFAULT_COLLECTION, useLibrary } from "../hooks/library";
import { useMedia } from "../hooks/media";
import { useReading } from "../hooks/reading";
import { useRoute, type Route } from "../hooks/route";
import { useShortcuts } from "../hooks/shortcuts";
import { useTheme } from "../hooks/theme";
import { useThreads } from "../hooks/threads";
import { useUploads } from "../hooks/uploads";
import { isRunning, type Turn } from "../state/turn";
import { words } from "../words";
import { Announcer } from "./Announcer";
import { Ask } from "./Ask";
import { IconButton } from "./Button";
import { Collections, COLLECTIONS_ID } from "./Collections";
import { ConversationView } from "./Conversation";
import { Keys } from "./Dialog";
import { DocumentsView } from "./Documents";
import { Drawer } from "./Drawer";
import { Drop } from "./Drop";
import { QuoteCards } from "./QuoteCard";
import { Sidebar } from "./Sidebar";
import { SourcePanel } from "./SourcePanel";
import type { TurnActions } from "./Turn";
import { Welcome } from "./Welcome";

export function Page() {
  const [route, go] = useRoute();
  const [theme, setTheme] = useTheme();
  const library = useLibrary();
  const [draft, setDraft] = useState("");
  const [collection, setCollection] = useState(DEFAULT_COLLECTION);
  const [menu, setMenu] = useState(false);
  const [keys, setKeys] = useState(false);
  const box = useRef<HTMLTextAreaElement>(null);
  const shown = useRef<string | null>(null);
  const wide = useMedia("(min-width: 60rem)");

  const list = useThreads((id) => {
    if (id === shown.current) go({ page: "thread", threadId: null }, true);
  });
  const [conversation, actions] = useConversation({
    threadId: route.page === "thread" ? route.threadId : undefined,
    collections: library.chosen,
    onThreads: list.refresh,
  });
  const uploads = useUploads(library.refresh);

  const { threadId, turns } = conversation;
  const running = turns.find(isRunning);
  const title = list.threads.find((thread) => thread.id === threadId)?.title ?? turns[0]?.question;
  const asking = route.page === "thread";
  const [reading, onRead, closeReading] = useReading(asking ? threadId : undefined, wide);
  const readTurn = turns.find((turn) => turn.runId === reading?.runId);

  // The thread of a new question is known with its first event: the address becomes a link to it.
  useEffect(() => {
    shown.current = threadId;
    if (threadId !== null && asking && route.threadId === null) go({ page: "thread", threadId });
    // Only a thread that is new, and not a way to another one.
  }, [threadId]);

  useEffect(() => {
    document.title = asking && title !== undefined ? `${title} · citestream` : "citestream";
  }, [asking, title]);

  const onGo = useCallback(
    (next: Route) => {
      setMenu(false);
      go(next);
    },
    [go],
  );

  const onNew = useCallback(() => {
    onGo({ page: "thread", threadId: null });
    if (shown.current === null) actions.startNew();
    // The box is there with the next frame where the page showed something else.
    requestAnimationFrame(() => box.current?.focus());
  }, [onGo, actions]);

  const showKeys = useCallback(() => setKeys(true), []);

  const onBringDocuments = useCallback(() => onGo({ page: "documents" }), [onGo]);

  const severalCollections = (library.collections ?? []).filter(({ documents }) => documents > 0).length > 1;
  const turnActions = useMemo(
    (): TurnActions => ({
      onRead,
      onAsk: actions.ask,
      onJudge: actions.judge,
      onRetry: actions.retry,
      onReconnect: actions.reconnect,
      onShowSources: (turn: Turn) => onRead({ runId: turn.runId, index: null, citations: [] }),
      onBringDocuments,
      onChooseCollections: severalCollections ? () => document.getElementById(COLLECTIONS_ID)?.click() : null,
    }),
    [actions, onRead, onBringDocuments, severalCollections],
  );

  const { add } = uploads;
  const onFiles = useCallback(
    (files: File[]) => {
      add(files, collection.trim() || DEFAULT_COLLECTION);
      onBringDocuments();
    },
    [add, collection, onBringDocuments],
  );

  useEffect(() => {
    if (asking && turns.length === 0 && wide) box.current?.focus();
    // When there is nothing else to do, and not when the window changes.
  }, [asking, turns.length === 0]);

  useShortcuts({
    "/": () => box.current?.focus(),
    "?": showKeys,
    Escape: () => {
      if (reading !== null) closeReading();
      else if (running !== undefined) void actions.stop(running).catch(() => undefined);
    },
  });

  const sidebar = (
    <Sidebar
      list={list}
      current={asking ? threadId : null}
      route={route}
      theme={theme}
      onTheme={setTheme}
      onGo={onGo}
      onNew={onNew}
      onKeys={showKeys}
    />
  );

  return (
    <QuoteCards>
      <div className={readTurn === undefined ? "page" : "page with-panel"}>
        {asking && (
          <a className="skip" href="#question" onClick={(event) => (event.preventDefault(), box.current?.focus())}>
            {words.skip}
          </a>
        )}
        {wide ? sidebar : menu && <Drawer onClose={() => setMenu(false)}>{sidebar}</Drawer>}
        {!wide && (
          <header className="top">
            <IconButton icon="menu" label={words.openMenu} data-testid="menu" onClick={() => setMenu(true)} />
            <span className="top-title" dir="auto">
              {asking ? (title ?? "citestream") : words.documents}
            </span>
            <IconButton icon="plus" label={words.newThread} onClick={onNew} />
          </header>
        )}
        <main className="main">
          <div className="column">
            {asking ? (
              <>
                <ConversationView
                  conversation={conversation}
                  reading={reading}
                  actions={turnActions}
                  onReopen={actions.reopen}
                  welcome={<Welcome library={library} onBringDocuments={onBringDocuments} />}
                />
                <Ask
                  box={box}
                  draft={draft}
                  onDraft={setDraft}
                  first={turns.length === 0}
                  disabled={conversation.loading || conversation.error !== null}
                  onAsk={actions.ask}
                  onStop={running === undefined ? null : () => actions.stop(running)}
                >
                  <Collections library={library} />
                </Ask>
              </>
            ) : (
              <DocumentsView
                library={library}
                uploads={uploads}
                collection={collection}
                onCollection={setCollection}
                onBack={() => onGo({ page: "thread", threadId })}
              />
            )}
          </div>
        </main>
        {reading !== null && readTurn !== undefined && (
          <SourcePanel turn={readTurn} reading={reading} onRead={onRead} onClose={closeReading} />
        )}
        <Announcer turn={turns.at(-1)} />
        <Drop onFiles={onFiles} />
        {keys && <Keys onClose={() => setKeys(false)} />}
      </div>
    </QuoteCards>
  );
}
