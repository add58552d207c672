/** Holds the list of conversations. */
import { useCallback, useEffect, useMemo, useRef, useState } from "react";

import { deleteThread, listThreads, renameThread } from "../service/api";
import { useReturn } from "./return";
import { describeError } from "../service/stream";
import { tabs } from "../service/tabs";
import type { Failure } from "../state/thread";
import { mergeThreads } from "../state/threads";
import type { ThreadItem } from "../wire";

export interface ThreadList {
  threads: ThreadItem[];
  /** The first page is here. */
  loaded: boolean;
  failure: Failure | null;
  /** There are older ones. */
  more: boolean;
  refresh: () => void;
  loadMore: () => Promise<void>;
  /** Load all that there are, for a search. */
  loadAll: () => Promise<void>;
  rename: (id: string, title: string) => Promise<void>;
  remove: (id: string) => Promise<void>;
}

/** Most pages that a search loads: 5,000 conversations. */
const MAX_PAGES = 100;

export function useThreads(onDeleted: (id: string) => void): ThreadList {
  const [threads, setThreads] = useState<ThreadItem[]>([]);
  const [loaded, setLoaded] = useState(false);
  const [failure, setFailure] = useState<Failure | null>(null);
  const [next, setNext] = useState<string | null>(null);
  const told = useRef(onDeleted);
  useEffect(() => {
    told.current = onDeleted;
  });

  const load = useCallback(async (cursor: string | null): Promise<string | null> => {
    try {
      const page = await listThreads(cursor);
      setThreads((before) => mergeThreads(before, page.items));
      setFailure(null);
      setLoaded(true);
      return page.next;
    } catch (error) {
      setFailure(describeError(error));
      return null;
    }
  }, []);

  const refresh = useCallback(async () => {
    const following = await load(null);
    setNext((before) => before ?? following);
  }, [load]);

  const forget = useCallback((id: string) => {
    setThreads((before) => before.filter((thread) => thread.id !== id));
    told.current(id);
  }, []);

  useEffect(() => {
    void refresh();
    return tabs.listen((message) => {
      if (message.type === "deleted") forget(message.threadId);
      else if (message.type !== "library") void refresh();
    });
  }, [forget, refresh]);

  useReturn(refresh);

  return useMemo(
    () => ({
      threads,
      loaded,
      failure,
      more: next !== null,
      refresh: () => void refresh(),
      loadMore: async () => setNext(await load(next)),
      async loadAll() {
        let cursor = next;
        for (let page = 0; cursor !== null && page < MAX_PAGES; page += 1) cursor = await load(cursor);
        setNext(cursor);
      },
      async rename(id, title) {
        await renameThread(id, title);
        setThreads((before) => before.map((thread) => (thread.id === id ? { ...thread, title } : thread)));
        tabs.tell({ type: "threads" });
      },
      async remove(id) {
        await deleteThread(id);
        forget(id);
        tabs.tell({ type: "deleted", threadId: id });
      },
    }),
    [threads, loaded, failure, next, refresh, load, forget],
  );
}
