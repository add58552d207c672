/**
 * The events of a run over SSE, through dropped connections.
 *
 * A question is sent once. When the connection drops, the run goes on at the server for a short grace, and the
 * client goes on reading after the last event that it saw. The client makes the run's id itself, so that this works
 * even when nothing had arrived yet.
 */
import { createParser, type EventSourceMessage } from "eventsource-parser";

import { readRefusal, RequestRefused } from "./api";
import { isTerminal, parseRunEvent, type ChatRequest, type RunEvent } from "./wire";

/** An event and its place in the run, counted from 1. */
export interface Frame {
  n: number;
  event: RunEvent;
}

/** The connection could not be had again. The run may still be going on, or have ended, at the server. */
export class ConnectionLost extends Error {}

/** Waits between attempts. The first is short because the server cancels a run that nobody reads after 2 s. */
const RECONNECT_MS = [200, 500, 1000, 2000, 4000, 8000, 8000, 8000];
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

/** Start a run and read it to its end. Throws `RequestRefused` or `ConnectionLost`; ends silently on abort. */
export function askQuestion(request: ChatRequest, signal: AbortSignal): AsyncGenerator<Frame> {
  return readRun(request.run_id, signal, () =>
    fetch("/v1/chat/stream", {
      method: "POST",
      signal,
      headers: { "Content-Type": "application/json", Accept: "text/event-stream" },
      body: JSON.stringify(request),
    }),
  );
}

/** Read a run that exists, from its first event. Same errors as `askQuestion`. */
export function followRun(runId: string, signal: AbortSignal): AsyncGenerator<Frame> {
  return readRun(runId, signal, () => openEvents(runId, 0, signal));
}

async function* readRun(
  runId: string,
  signal: AbortSignal,
  open: () => Promise<Response>,
): AsyncGenerator<Frame> {
  let seen = 0;
  let failures = 0;
  let opening = open;
  while (!signal.aborted) {
    const response = await openOrNull(opening);
    if (response?.status === 204) return;
    // The question itself was lost on its way: there is nothing to go on with.
    if (response?.status === 404 && opening !== open && seen === 0) throw new ConnectionLost();
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
    } else if (response !== null && !isPassing(response.status, opening === open)) {
      throw await readRefusal(response);
    }
    if (signal.aborted) return;
    const wait = RECONNECT_MS[failures];
    if (wait === undefined || (seen === 0 && failures >= FIRST_ATTEMPTS)) throw new ConnectionLost();
    failures += 1;
    await pause(wait, signal);
    opening = () => openEvents(runId, seen, signal);
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

/** The next bytes; null when the connection ended, broke or fell silent. */
async function readOrNull(
  reader: ReadableStreamDefaultReader<Uint8Array<ArrayBuffer>>,
): Promise<Uint8Array<ArrayBuffer> | null> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const silence = new Promise<null>((resolve) => {
    timer = setTimeout(() => resolve(null), SILENCE_MS);
  });
  try {
    const read = reader.read().then(({ value }) => value ?? null);
    return await Promise.race([read, silence]);
  } catch {
    return null;
  } finally {
    clearTimeout(timer);
  }
}

function parseFrame(message: EventSourceMessage): Frame | null {
  const event = parseRunEvent(message.event, message.data);
  const n = Number(message.id?.split(":").at(-1));
  return event === null || !Number.isInteger(n) ? null : { n, event };
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const end = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", end);
      resolve();
    };
    const timer = setTimeout(end, ms);
    signal.addEventListener("abort", end);
  });
}

/** What to tell a person about an error of this file. */
export function describeError(error: unknown): { code: string; message: string } {
  if (error instanceof RequestRefused) return { code: error.code, message: error.message };
  if (error instanceof ConnectionLost) {
    return { code: "connection_lost", message: "The server cannot be reached." };
  }
  return { code: "page_error", message: "The page could not read the server's answer. Reload it to try again." };
}
