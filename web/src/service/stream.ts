/**
 * The events of a run over SSE, through dropped connections.
 *
 * A question is sent once. When the connection drops, the run goes on at the server for a short grace, and the
 * client goes on reading after the last event that it saw. The client makes the run's id itself, so that this works
 * even when nothing had arrived yet.
 */
import { createParser, type EventSourceMessage } from "eventsource-parser";

import { readRefusal, RequestRefused } from "./api";
import { isTerminal, parseRunEvent, type ChatRequest, type RunEvent } from "../wire";

/** An event and its place in the run, counted from 1. */
export interface Frame {
  n: number;
  event: RunEvent;
}

/** The connection could not be had again. The run may still be going on, or have ended, at the server. */
export class ConnectionLost extends Error {}

/** Waits between attempts; the last one goes on for ever once a run is known to be there. */
const RECONNECT_MS = [200, 500, 1000, 2000, 4000, 8000];
/** Attempts when nothing has arrived at all: most likely there is no server. */
const FIRST_ATTEMPTS = 4;
/** Three heartbeats missed: a connection that a phone or a proxy let die without closing it. */
const SILENCE_MS = 45_000;

/** An id for a new run, as the contract wants it: `^[A-Za-z0-9_-]{8,64}$`. */
export function makeRunId(): string {
  // Not `randomUUID`, which browsers offer on https and localhost only.
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return `web-${Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("")}`;
}

/**
 * Start a run and read it to its end. Throws `RequestRefused` or `ConnectionLost`; ends silently on abort.
 *
 * `onDropped` is called each time when the connection was lost and will be tried again.
 */
export function askQuestion(request: ChatRequest, signal: AbortSignal, onDropped?: () => void): AsyncGenerator<Frame> {
  const ask = () =>
    fetch("/v1/chat/stream", {
      method: "POST",
      signal,
      headers: { "Content-Type": "application/json", Accept: "text/event-stream" },
      body: JSON.stringify(request),
    });
  return readRun(request.run_id, signal, ask, onDropped);
}

/** Read a run that exists, from its first event. Same errors as `askQuestion`. */
export function followRun(runId: string, signal: AbortSignal, onDropped?: () => void): AsyncGenerator<Frame> {
  return readRun(runId, signal, () => openEvents(runId, 0, signal), onDropped);
}

async function* readRun(
  runId: string,
  signal: AbortSignal,
  begin: () => Promise<Response>,
  onDropped: () => void = () => undefined,
): AsyncGenerator<Frame> {
  let seen = 0;
  let failures = 0;
  while (!signal.aborted) {
    // Asking again with the same run id attaches to the run, if the question got through: it never starts a second one.
    const response = await openOrNull(seen === 0 ? begin : () => openEvents(runId, seen, signal));
    if (response?.status === 204) return;
    if (response?.ok) {
      let snapshot = false;
      for await (const frame of readFrames(response, signal)) {
        failures = 0;
        snapshot ||= frame.event.event === "run" && frame.event.data.snapshot === true;
        // A snapshot carries the terminal event's id throughout: half of one is not to be counted as seen.
        if (!snapshot) seen = Math.max(seen, frame.n);
        yield frame;
        if (isTerminal(frame.event)) return;
      }
    } else if (response !== null && !isPassing(response.status, seen === 0 && failures === 0)) {
      throw await readRefusal(response);
    }
    if (signal.aborted) return;
    if (seen === 0 && failures >= FIRST_ATTEMPTS) throw new ConnectionLost();
    onDropped();
    await pause(RECONNECT_MS[Math.min(failures, RECONNECT_MS.length - 1)] ?? 0, signal);
    failures += 1;
  }
}

function openEvents(runId: string, after: number, signal: AbortSignal): Promise<Response> {
  const headers = new Headers({ Accept: "text/event-stream" });
  if (after > 0) headers.set("Last-Event-ID", `${runId}:${after}`);
  return fetch(`/v1/runs/${encodeURIComponent(runId)}/events`, { signal, headers });
}

/** A failed `fetch` is a dropped connection like any other; so is an abort, which the caller looks at. */
async function openOrNull(open: () => Promise<Response>): Promise<Response | null> {
  try {
    return await open();
  } catch {
    return null;
  }
}

/** Whether a reconnect may meet something better next time: a server that restarts, or is full. */
function isPassing(status: number, isFirst: boolean): boolean {
  return !isFirst && (status === 429 || status >= 500);
}

/** The events of one connection; ends when it does, for whatever reason. */
async function* readFrames(response: Response, signal: AbortSignal): AsyncGenerator<Frame> {
  if (response.body === null) return;
  const messages: EventSourceMessage[] = [];
  const parser = createParser({ onEvent: (message) => messages.push(message) });
  const reader = response.body.getReader();
  const decoder = new TextDecoder();
  try {
    for (;;) {
      const chunk = await readOrNull(reader);
      if (chunk === null || signal.aborted) return;
      parser.feed(decoder.decode(chunk, { stream: true }));
      for (const message of messages.splice(0)) {
        const frame = parseFrame(message);
        if (frame !== null) yield frame;
      }
    }
  } finally {
    void reader.cancel().catch(() => undefined);
  }
}

/** The next bytes; null when the connection ended, broke or fell silent, or the browser went offline. */
async function readOrNull(
  reader: ReadableStreamDefaultReader<Uint8Array<ArrayBuffer>>,
): Promise<Uint8Array<ArrayBuffer> | null> {
  const given = new AbortController();
  const silence = new Promise<null>((resolve) => {
    const giveUp = () => resolve(null);
    const timer = setTimeout(giveUp, SILENCE_MS);
    given.signal.addEventListener("abort", () => clearTimeout(timer));
    globalThis.addEventListener?.("offline", giveUp, { signal: given.signal });
  });
  try {
    const read = reader.read().then(({ value }) => value ?? null);
    return await Promise.race([read, silence]);
  } catch {
    return null;
  } finally {
    given.abort();
  }
}

function parseFrame(message: EventSourceMessage): Frame | null {
  const event = parseRunEvent(message.event, message.data);
  const n = Number(message.id?.split(":").at(-1));
  return event === null || !Number.isInteger(n) ? null : { n, event };
}

/** Wait; a browser that is online again ends it at once. */
function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const end = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", end);
      globalThis.removeEventListener?.("online", end);
      resolve();
    };
    const timer = setTimeout(end, ms);
    signal.addEventListener("abort", end);
    globalThis.addEventListener?.("online", end);
  });
}

/** An error of this file, or of a plain call, as a code and the service's own words, if it had any. */
export function describeError(error: unknown): { code: string; message: string } {
  if (error instanceof RequestRefused) return { code: error.code, message: error.message };
  // What `fetch` throws when there is no network.
  if (error instanceof ConnectionLost || error instanceof TypeError) return { code: "connection_lost", message: "" };
  return { code: "page_error", message: "" };
}
