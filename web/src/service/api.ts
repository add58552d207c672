/** The plain JSON calls of the service. The stream of a run has its own file, `stream.ts`, and so have uploads. */
import type {
  Collection,
  Document,
  ErrorBody,
  Feedback,
  RunRecord,
  SourceRecord,
  ThreadItem,
  ThreadRecord,
} from "../wire";

/** The service answered with an error instead of a result; `message` is written for a person, in English. */
export class RequestRefused extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
  ) {
    super(message);
  }
}

/** A list as the service pages it. */
export interface Listed<Item> {
  items: Item[];
  next: string | null;
}

/** Turn an error response into a `RequestRefused`, also when a proxy in between wrote it. */
export async function readRefusal(response: Response): Promise<RequestRefused> {
  return parseRefusal(response.status, await response.text().catch(() => ""));
}

/** The same out of a status and a body. */
export function parseRefusal(status: number, body: string): RequestRefused {
  try {
    const { error } = JSON.parse(body) as ErrorBody;
    return new RequestRefused(status, error.code, error.message);
  } catch {
    return new RequestRefused(status, "http_error", `The server answered with status ${status}.`);
  }
}

export function listThreads(cursor: string | null, signal?: AbortSignal): Promise<Listed<ThreadItem>> {
  return getJson(`/v1/threads?limit=50${cursor === null ? "" : `&cursor=${encodeURIComponent(cursor)}`}`, signal);
}

export function getThread(id: string, signal?: AbortSignal): Promise<ThreadRecord> {
  return getJson(`/v1/threads/${encodeURIComponent(id)}`, signal);
}

export async function renameThread(id: string, title: string): Promise<void> {
  await send(`/v1/threads/${encodeURIComponent(id)}`, {
    method: "PATCH",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ title }),
  });
}

export async function deleteThread(id: string): Promise<void> {
  await send(`/v1/threads/${encodeURIComponent(id)}`, { method: "DELETE" });
}

export function getRun(id: string, signal?: AbortSignal): Promise<RunRecord> {
  return getJson(`/v1/runs/${encodeURIComponent(id)}`, signal);
}

/** Ask a run to stop. Its stream then ends by itself, with what was written so far. */
export async function stopRun(runId: string): Promise<void> {
  await send(`/v1/runs/${encodeURIComponent(runId)}/stop`, { method: "POST" });
}

export async function giveFeedback(messageId: string, feedback: Feedback): Promise<void> {
  await send(`/v1/messages/${encodeURIComponent(messageId)}/feedback`, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(feedback),
  });
}

export async function takeFeedbackBack(messageId: string): Promise<void> {
  await send(`/v1/messages/${encodeURIComponent(messageId)}/feedback`, { method: "DELETE" });
}

export function getSource(id: string, signal?: AbortSignal): Promise<SourceRecord> {
  return getJson(`/v1/sources/${encodeURIComponent(id)}`, signal);
}

export async function listCollections(signal?: AbortSignal): Promise<Collection[]> {
  return (await getJson<Listed<Collection>>("/v1/collections", signal)).items;
}

export function listDocuments(cursor: string | null, signal?: AbortSignal): Promise<Listed<Document>> {
  return getJson(`/v1/documents?limit=200${cursor === null ? "" : `&cursor=${encodeURIComponent(cursor)}`}`, signal);
}

export async function deleteDocument(id: string): Promise<void> {
  await send(`/v1/documents/${encodeURIComponent(id)}`, { method: "DELETE" });
}

async function getJson<Body>(path: string, signal?: AbortSignal): Promise<Body> {
  const response = await send(path, { signal: signal ?? null, headers: { Accept: "application/json" } });
  return (await response.json()) as Body;
}

async function send(path: string, init: RequestInit): Promise<Response> {
  const response = await fetch(path, init);
  if (!response.ok) throw await readRefusal(response);
  return response;
}
