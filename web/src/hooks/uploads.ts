/** Holds the files on their way, and sends them, one after the other as the service indexes them. */
import { useCallback, useEffect, useReducer, useRef } from "react";

import { describeError } from "../service/stream";
import { tabs } from "../service/tabs";
import { uploadFile } from "../service/upload";
import { changeUploads, type Upload } from "../state/uploads";

export interface Uploads {
  uploads: Upload[];
  add: (files: File[], collection: string) => void;
  retry: (id: number) => void;
  clear: () => void;
}

export function useUploads(onIndexed: () => void): Uploads {
  const [uploads, dispatch] = useReducer(changeUploads, []);
  const told = useRef(onIndexed);
  const nextId = useRef(1);
  useEffect(() => {
    told.current = onIndexed;
  });

  const busy = uploads.some(({ state }) => state === "sending" || state === "reading");
  const first = busy ? undefined : uploads.find(({ state }) => state === "waiting");
  useEffect(() => {
    if (first === undefined) return;
    const { id, file, collection } = first;
    dispatch({ type: "sent", id, share: 0 });
    const progress = {
      onSent: (share: number) => dispatch({ type: "sent", id, share }),
      onRead: () => dispatch({ type: "read", id }),
    };
    uploadFile(file, collection, progress).then(
      () => {
        dispatch({ type: "done", id });
        tabs.tell({ type: "library" });
        told.current();
      },
      (error: unknown) => dispatch({ type: "failed", id, failure: describeError(error) }),
    );
  }, [first]);

  useEffect(() => {
    if (!busy) return;
    // The service goes on with a file that it has; one that is being sent would be lost.
    const warn = (event: BeforeUnloadEvent) => event.preventDefault();
    window.addEventListener("beforeunload", warn);
    return () => window.removeEventListener("beforeunload", warn);
  }, [busy]);

  const add = useCallback((files: File[], collection: string) => {
    dispatch({ type: "added", files, collection, firstId: nextId.current });
    nextId.current += files.length;
  }, []);

  return {
    uploads,
    add,
    retry: (id) => dispatch({ type: "retried", id }),
    clear: () => dispatch({ type: "cleared" }),
  };
}
