/** The plain JSON calls: threads, sources, stop. The stream has its own file, `stream.ts`. */
import type { ErrorBody, SourceRecord, ThreadRecord } from "./wire";

/** The service answered with an error instead of a result; `message` is written for a person. */
export class RequestRefused extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
  ) {
    super(message);
  }
}

/** Turn an error response into a `RequestRefused`, also when a proxy in between wrote it. */
export async function readRefusal(response: Response): Promise<RequestRefused> {
  try {
    const body = (await response.json()) as ErrorBody;
    return new RequestRefused(response.status, body.error.code, body.error.message);
  } catch {
    return new RequestRefused(response.status, "http_error", `The server answered with status ${response.status}.`);
  }
}

export function getThread(id: string, signal: AbortSignal): Promise<ThreadRecord> {
  return getJson<ThreadRecord>(`/v1/threads/${encodeURIComponent(id)}`, signal);
}

export function getSource(id: string, signal: AbortSignal): Promise<SourceRecord> {
  return getJson<SourceRecord>(`/v1/sources/${encodeURIComponent(id)}`, signal);
}

/** Ask a run to stop. Its stream then ends by itself, with what was written so far. */
export async function stopRun(runId: string): Promise<void> {
  const response = await fetch(`/v1/runs/${encodeURIComponent(runId)}/stop`, { method: "POST" });
  if (!response.ok) throw await readRefusal(response);
}

async function getJson<Body>(path: string, signal: AbortSignal): Promise<Body> {
  const response = await fetch(path, { signal, headers: { Accept: "application/json" } });
  if (!response.ok) throw await readRefusal(response);
  return (await response.json()) as Body;
}
