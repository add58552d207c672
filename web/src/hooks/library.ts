/** Holds what is indexed, and which collections questions search. */
import { useCallback, useEffect, useMemo, useState } from "react";

import { deleteDocument, listCollections, listDocuments } from "../service/api";
import { useReturn } from "./return";
import { describeError } from "../service/stream";
import { tabs } from "../service/tabs";
import type { Failure } from "../state/thread";
import type { Collection, Document } from "../wire";

/** What the service searches when it is not told, and where a file goes. */
export const DEFAULT_COLLECTION = "default";

const KEY = "citestream.collections";

export interface Library {
  /** Null until they are known. */
  collections: Collection[] | null;
  failure: Failure | null;
  /** Nothing at all is indexed. */
  empty: boolean;
  /** Names of the collections that questions search. */
  chosen: string[];
  choose: (names: string[]) => void;
  refresh: () => void;
}

export function useLibrary(): Library {
  const [collections, setCollections] = useState<Collection[] | null>(null);
  const [failure, setFailure] = useState<Failure | null>(null);
  const [wanted, setWanted] = useState<string[]>(readWanted);

  const refresh = useCallback(async () => {
    try {
      setCollections(await listCollections());
      setFailure(null);
    } catch (error) {
      setFailure(describeError(error));
    }
  }, []);

  useEffect(() => {
    void refresh();
    return tabs.listen((message) => {
      if (message.type === "library") void refresh();
    });
  }, [refresh]);
  // The command line may have taken documents in meanwhile.
  useReturn(refresh);

  const choose = useCallback((names: string[]) => {
    localStorage.setItem(KEY, JSON.stringify(names));
    setWanted(names);
  }, []);

  return useMemo(() => {
    const empty = collections !== null && collections.every(({ documents }) => documents === 0);
    return { collections, failure, empty, chosen: chooseFrom(collections ?? [], wanted), choose, refresh };
  }, [collections, failure, wanted, choose, refresh]);
}

/** Of the wanted collections those that are there; else the default one; else the first. */
export function chooseFrom(collections: Collection[], wanted: string[]): string[] {
  const names = collections.filter(({ documents }) => documents > 0).map(({ name }) => name);
  const there = wanted.filter((name) => names.includes(name));
  if (there.length > 0) return there;
  return names.includes(DEFAULT_COLLECTION) ? [DEFAULT_COLLECTION] : names.slice(0, 1);
}

function readWanted(): string[] {
  try {
    const stored: unknown = JSON.parse(localStorage.getItem(KEY) ?? "[]");
    return Array.isArray(stored) ? stored.filter((name) => typeof name === "string") : [];
  } catch {
    return [];
  }
}

export interface Documents {
  documents: Document[];
  loaded: boolean;
  failure: Failure | null;
  more: boolean;
  loadMore: () => void;
  refresh: () => void;
  remove: (id: string) => Promise<void>;
}

/** The documents of all collections, page by page. */
export function useDocuments(onChanged: () => void): Documents {
  const [documents, setDocuments] = useState<Document[]>([]);
  const [loaded, setLoaded] = useState(false);
  const [next, setNext] = useState<string | null>(null);
  const [failure, setFailure] = useState<Failure | null>(null);

  const load = useCallback(async (cursor: string | null) => {
    try {
      const page = await listDocuments(cursor);
      setDocuments((before) => (cursor === null ? page.items : [...before, ...page.items]));
      setNext(page.next);
      setFailure(null);
      setLoaded(true);
    } catch (error) {
      setFailure(describeError(error));
    }
  }, []);

  const refresh = useCallback(() => void load(null), [load]);

  useEffect(() => {
    refresh();
    return tabs.listen((message) => {
      if (message.type === "library") refresh();
    });
  }, [refresh]);

  return {
    documents,
    loaded,
    failure,
    more: next !== null,
    loadMore: () => void load(next),
    refresh,
    async remove(id) {
      await deleteDocument(id);
      setDocuments((before) => before.filter((document) => document.id !== id));
      tabs.tell({ type: "library" });
      onChanged();
    },
  };
}
