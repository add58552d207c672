/** Files on their way into the index: pure. */
import { MAX_BYTES } from "../service/upload";
import type { Failure } from "./thread";

export interface Upload {
  id: number;
  name: string;
  collection: string;
  file: File;
  state: "waiting" | "sending" | "reading" | "done" | "failed";
  /** Share that was sent. */
  sent: number;
  /** Files that were read; an archive holds several. */
  read: number;
  failure: Failure | null;
}

export type UploadChange =
  | { type: "added"; files: File[]; collection: string; firstId: number }
  | { type: "sent"; id: number; share: number }
  | { type: "read"; id: number }
  | { type: "done"; id: number }
  | { type: "failed"; id: number; failure: Failure }
  | { type: "retried"; id: number }
  | { type: "cleared" };

/** Whether a file is neither in nor given up. */
export function isOnItsWay(upload: Upload): boolean {
  return upload.state !== "done" && upload.state !== "failed";
}

export function changeUploads(before: Upload[], change: UploadChange): Upload[] {
  switch (change.type) {
    case "added": {
      const { files, collection, firstId } = change;
      return files.reduce((all, file, n) => [...all, newUpload(file, collection, firstId + n, all)], before);
    }
    case "sent":
      return alter(before, change.id, { state: change.share < 1 ? "sending" : "reading", sent: change.share });
    case "read":
      return before.map((one) =>
        one.id === change.id ? { ...one, state: "reading", sent: 1, read: one.read + 1 } : one,
      );
    case "done":
      return alter(before, change.id, { state: "done", sent: 1 });
    case "failed":
      return alter(before, change.id, { state: "failed", failure: change.failure });
    case "retried":
      return alter(before, change.id, { state: "waiting", sent: 0, read: 0, failure: null });
    case "cleared":
      return before.filter(isOnItsWay);
  }
}

function newUpload(file: File, collection: string, id: number, others: Upload[]): Upload {
  const problem = findProblem(file, collection, others);
  const failure = problem === null ? null : { code: problem, message: "" };
  const state = failure === null ? "waiting" : "failed";
  return { id, name: file.name, collection, file, state, sent: 0, read: 0, failure };
}

/** Why a file need not even be sent. */
function findProblem(file: File, collection: string, others: Upload[]): "too_large" | "twice" | "empty" | null {
  if (file.size > MAX_BYTES) return "too_large";
  if (file.size === 0) return "empty";
  const same = (other: Upload) => isOnItsWay(other) && other.name === file.name && other.collection === collection;
  return others.some(same) ? "twice" : null;
}

function alter(before: Upload[], id: number, change: Partial<Upload>): Upload[] {
  return before.map((upload) => (upload.id === id ? { ...upload, ...change } : upload));
}
