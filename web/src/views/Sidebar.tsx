/** The side bar: conversations by day, and the ways to the rest of the page. */
import { memo, useDeferredValue, useEffect, useMemo, useState } from "react";

import { pathOf, type Route } from "../hooks/route";
import type { ThreadList } from "../hooks/threads";
import { THEMES, type Theme } from "../hooks/theme";
import { describeError } from "../service/stream";
import { findThreads, groupThreads } from "../state/threads";
import type { ThreadItem } from "../wire";
import { explain, words } from "../words";
import { IconButton } from "./Button";
import { Confirm } from "./Dialog";
import { Icon } from "./Icon";

interface Props {
  list: ThreadList;
  /** The thread that is shown. */
  current: string | null;
  route: Route;
  theme: Theme;
  onTheme: (theme: Theme) => void;
  onGo: (route: Route) => void;
  onNew: () => void;
  onKeys: () => void;
}

/** Drawn again only when something of it is new: not with every word of an answer. */
export const Sidebar = memo(function Sidebar({ list, current, route, theme, onTheme, onGo, onNew, onKeys }: Props) {
  const [search, setSearch] = useState("");
  const wanted = useDeferredValue(search.trim());
  const { loadAll, more } = list;
  useEffect(() => {
    // The titles that are searched have to be here.
    if (wanted !== "" && more) void loadAll();
  }, [wanted, more, loadAll]);
  const groups = useMemo(() => groupThreads(findThreads(list.threads, wanted), new Date()), [list.threads, wanted]);

  return (
    <nav className="sidebar" aria-label={words.threads}>
      <div className="sidebar-head">
        <a
          className="wordmark"
          href="/"
          onClick={(event) => {
            if (event.metaKey || event.ctrlKey) return;
            event.preventDefault();
            onNew();
          }}
        >
          cite<span>stream</span>
        </a>
      </div>
      <button type="button" className="new-thread" data-testid="new-thread" onClick={onNew}>
        <Icon name="plus" />
        {words.newThread}
      </button>
      <label className="search">
        <Icon name="search" />
        <input
          type="search"
          data-testid="search-threads"
          placeholder={words.searchThreads}
          aria-label={words.searchThreads}
          value={search}
          dir="auto"
          onChange={(event) => setSearch(event.target.value)}
        />
      </label>
      <div className="threads" data-testid="threads">
        {list.failure !== null && (
          <div className="sidebar-note" role="alert">
            <p>{explain(list.failure)}</p>
            <button type="button" onClick={list.refresh}>
              {words.retry}
            </button>
          </div>
        )}
        {list.loaded && list.threads.length === 0 && <p className="sidebar-note">{words.noThreads}</p>}
        {list.threads.length > 0 && groups.length === 0 && <p className="sidebar-note">{words.noThreadFound}</p>}
        {groups.map(({ day, threads }) => (
          <section key={day} aria-label={words.days[day]}>
            <h2>{words.days[day]}</h2>
            <ul>
              {threads.map((thread) => (
                <ThreadLine key={thread.id} thread={thread} current={thread.id === current} list={list} onGo={onGo} />
              ))}
            </ul>
          </section>
        ))}
        {list.more && wanted === "" && (
          <button type="button" className="action" onClick={() => void list.loadMore()}>
            {words.moreThreads}
          </button>
        )}
      </div>
      <div className="sidebar-foot">
        <a
          href="/documents"
          data-testid="documents-link"
          aria-current={route.page === "documents" ? "page" : undefined}
          onClick={(event) => {
            if (event.metaKey || event.ctrlKey) return;
            event.preventDefault();
            onGo({ page: "documents" });
          }}
        >
          <Icon name="books" />
          {words.documents}
        </a>
        <label className="theme">
          <span className="unseen">{words.theme.label}</span>
          <Icon name="theme" />
          <select value={theme} data-testid="theme" onChange={(event) => onTheme(event.target.value as Theme)}>
            {THEMES.map((name) => (
              <option key={name} value={name}>
                {words.theme[name]}
              </option>
            ))}
          </select>
        </label>
        <IconButton icon="keyboard" label={words.keyboard} onClick={onKeys} />
      </div>
    </nav>
  );
});

interface LineProps {
  thread: ThreadItem;
  current: boolean;
  list: ThreadList;
  onGo: (route: Route) => void;
}

function ThreadLine({ thread, current, list, onGo }: LineProps) {
  const [state, setState] = useState<"shown" | "renaming" | "deleting">("shown");
  const route: Route = { page: "thread", threadId: thread.id };
  if (state === "renaming") return <Rename thread={thread} list={list} onEnd={() => setState("shown")} />;
  return (
    <li className="thread" data-testid="thread" data-thread={thread.id}>
      <a
        href={pathOf(route)}
        dir="auto"
        title={thread.title}
        aria-current={current ? "page" : undefined}
        onClick={(event) => {
          if (event.metaKey || event.ctrlKey) return;
          event.preventDefault();
          onGo(route);
        }}
      >
        {thread.title}
      </a>
      <span className="thread-actions">
        <IconButton
          icon="pencil"
          label={`${words.rename}: ${thread.title}`}
          data-testid="rename"
          onClick={() => setState("renaming")}
        />
        <IconButton
          icon="trash"
          label={`${words.remove}: ${thread.title}`}
          data-testid="delete"
          onClick={() => setState("deleting")}
        />
      </span>
      {state === "deleting" && (
        <Confirm
          title={words.deleteThread}
          text={words.deleteThreadMore(thread.title)}
          action={words.remove}
          onConfirm={() => list.remove(thread.id)}
          onClose={() => setState("shown")}
        />
      )}
    </li>
  );
}

const MAX_TITLE_CHARS = 200;

function Rename({ thread, list, onEnd }: { thread: ThreadItem; list: ThreadList; onEnd: () => void }) {
  const [title, setTitle] = useState(thread.title);
  const [error, setError] = useState<string | null>(null);

  async function save() {
    const wanted = title.trim();
    if (wanted === "" || wanted === thread.title) return onEnd();
    try {
      await list.rename(thread.id, wanted);
      onEnd();
    } catch (caught) {
      setError(explain(describeError(caught)));
    }
  }

  return (
    <li className="thread renaming">
      <form
        onSubmit={(event) => {
          event.preventDefault();
          void save();
        }}
      >
        <input
          autoFocus
          data-testid="new-title"
          aria-label={words.renameLabel}
          dir="auto"
          maxLength={MAX_TITLE_CHARS}
          value={title}
          onFocus={(event) => event.target.select()}
          onChange={(event) => setTitle(event.target.value)}
          onKeyDown={(event) => {
            if (event.key !== "Escape") return;
            event.stopPropagation();
            onEnd();
          }}
          onBlur={() => void save()}
        />
      </form>
      {error !== null && (
        <p className="sidebar-note" role="alert">
          {error}
        </p>
      )}
    </li>
  );
}
