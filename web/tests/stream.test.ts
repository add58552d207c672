import { afterEach, beforeEach, expect, test, vi } from "vitest";

import { RequestRefused } from "../src/service/api";
import { askQuestion, ConnectionLost, followRun, makeRunId, type Frame } from "../src/service/stream";
import { readRecordedFrames, readRecording } from "./recorded";

const RUN = "run-completed";
const bytes = new TextEncoder().encode(readRecording("completed"));
const frames = readRecordedFrames("completed");

interface Call {
  method: string;
  path: string;
  lastEventId: string | null;
}

type Answer = () => Response;

let calls: Call[];
let answers: Answer[];

beforeEach(() => {
  vi.useFakeTimers();
  calls = [];
  answers = [];
  vi.stubGlobal("fetch", async (path: string, init: RequestInit = {}): Promise<Response> => {
    calls.push({ method: init.method ?? "GET", path, lastEventId: new Headers(init.headers).get("Last-Event-ID") });
    const answer = answers.shift();
    if (answer === undefined) throw new TypeError("network error");
    return answer();
  });
});

afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

/** A body of these pieces that then ends, or breaks. */
function streamOf(pieces: Uint8Array[], broken = false): Response {
  let next = 0;
  const body = new ReadableStream<Uint8Array>({
    pull(controller) {
      const piece = pieces[next];
      next += 1;
      if (piece !== undefined) controller.enqueue(piece);
      else if (broken) controller.error(new TypeError("connection reset"));
      else controller.close();
    },
  });
  return new Response(body, { headers: { "Content-Type": "text/event-stream" } });
}

function errorOf(status: number, code: string, message: string): Response {
  return Response.json({ error: { code, message, request_id: "r" } }, { status });
}

/** The recording after an event, as a server sends it on a reconnect. */
function recordedAfter(lastEventId: string | null): Uint8Array {
  const text = readRecording("completed");
  const id = `id: ${lastEventId ?? ""}\n\n`;
  return new TextEncoder().encode(lastEventId === null ? text : text.slice(text.indexOf(id) + id.length));
}

async function readAll(stream: AsyncGenerator<Frame>): Promise<Frame[]> {
  const all: Frame[] = [];
  for await (const frame of stream) all.push(frame);
  return all;
}

/** Let all waits pass until `work` is over. */
async function finish<Result>(work: Promise<Result>): Promise<Result> {
  let over = false;
  const settled = work.then(
    (result) => () => result,
    (error: unknown) => () => {
      throw error;
    },
  );
  void settled.then(() => (over = true));
  while (!over) await vi.advanceTimersByTimeAsync(500);
  return (await settled)();
}

const ask = (signal = new AbortController().signal) => readAll(askQuestion({ question: "q", run_id: RUN }, signal));

test("a run id is as the contract wants it", () => {
  expect(makeRunId()).toMatch(/^[A-Za-z0-9_-]{8,64}$/);
  expect(makeRunId()).not.toBe(makeRunId());
});

test("the same events come out however the bytes are cut", async () => {
  for (const size of [1, 2, 3, 7, 64, bytes.length]) {
    const pieces: Uint8Array[] = [];
    for (let at = 0; at < bytes.length; at += size) pieces.push(bytes.slice(at, at + size));
    answers = [() => streamOf(pieces)];
    expect(await finish(ask())).toEqual(frames);
  }
});

test("a connection that drops at any byte is read on after the last event", async () => {
  const events = `/v1/runs/${RUN}/events`;
  const firstEvent = new TextDecoder().decode(bytes).indexOf(`id: ${RUN}:1\n\n`) + `id: ${RUN}:1\n\n`.length;
  for (let cut = 0; cut < bytes.length; cut += 13) {
    calls = [];
    const broken = cut % 2 === 0;
    answers = [
      () => streamOf([bytes.slice(0, cut)], broken),
      () => streamOf([recordedAfter(calls[1]?.lastEventId ?? null)]),
    ];
    expect(await finish(ask())).toEqual(frames);
    // Before the first event nobody knows whether the question arrived: asked with the same run id, it is one run.
    if (cut < firstEvent) expect(calls.map((call) => call.path)).toEqual(["/v1/chat/stream", "/v1/chat/stream"]);
    else expect(calls.slice(1).map((call) => call.path)).toEqual(calls.length > 1 ? [events] : []);
  }
});

test("a server that restarts is asked again, later and later", async () => {
  const half = bytes.slice(0, 1500);
  answers = [
    () => streamOf([half]),
    () => errorOf(503, "unavailable", "restarting"),
    () => errorOf(502, "proxy", "no upstream"),
    () => streamOf([recordedAfter(calls.at(-1)?.lastEventId ?? null)]),
  ];
  expect(await finish(ask())).toEqual(frames);
  expect(calls).toHaveLength(4);
});

test("a connection that falls silent counts as dropped", async () => {
  const half = bytes.slice(0, 1500);
  const silent = new ReadableStream<Uint8Array>({ start: (controller) => controller.enqueue(half) });
  answers = [() => new Response(silent), () => streamOf([recordedAfter(calls[1]?.lastEventId ?? null)])];
  expect(await finish(ask())).toEqual(frames);
});

test("half a snapshot is not counted as seen", async () => {
  const snapshot = (n: number) => (name: string, data: unknown) =>
    `event: ${name}\ndata: ${JSON.stringify(data)}\nid: ${RUN}:${n}\n\n`;
  const write = snapshot(frames.length);
  const head = write("run", { v: 1, run_id: RUN, thread_id: "t", message_id: "m", snapshot: true });
  const tail = write("done", { status: "completed", answer: "", cited: [], timings: {} });
  const encoder = new TextEncoder();
  answers = [() => streamOf([encoder.encode(head)]), () => streamOf([encoder.encode(head + tail)])];
  const seen = await finish(readAll(followRun(RUN, new AbortController().signal)));
  expect(seen.map((frame) => frame.event.event)).toEqual(["run", "run", "done"]);
  expect(calls.map((call) => call.lastEventId)).toEqual([null, null]);
});

test("an error before the run is told in the server's words", async () => {
  answers = [() => errorOf(409, "index_empty", "Fill the index: citestream ingest PATH")];
  const refused = finish(ask());
  await expect(refused).rejects.toBeInstanceOf(RequestRefused);
  await expect(refused).rejects.toMatchObject({ code: "index_empty", message: expect.stringContaining("ingest") });
  expect(calls).toHaveLength(1);
});

test("a question whose answer never began is asked again under the same run id", async () => {
  const bodies: unknown[] = [];
  const original = fetch;
  vi.stubGlobal("fetch", (path: string, init: RequestInit) => {
    bodies.push(JSON.parse(String(init.body)));
    return original(path, init);
  });
  answers = [
    () => {
      throw new TypeError("network error");
    },
    () => streamOf([bytes]),
  ];
  expect(await finish(ask())).toEqual(frames);
  expect(bodies).toEqual([
    { question: "q", run_id: RUN },
    { question: "q", run_id: RUN },
  ]);
});

test("a server that is away is given up after a while when nothing is known of the run", async () => {
  await expect(finish(ask())).rejects.toBeInstanceOf(ConnectionLost);
  expect(calls.map((call) => call.method)).toEqual(["POST", "POST", "POST", "POST", "POST"]);
});

test("a run that is known is waited for as long as it takes, and the page is told of each drop", async () => {
  let drops = 0;
  const down = () => {
    throw new TypeError("network error");
  };
  answers = [
    () => streamOf([bytes.slice(0, 1500)], true),
    ...Array.from({ length: 40 }, () => down),
    () => streamOf([recordedAfter(calls.at(-1)?.lastEventId ?? null)]),
  ];
  const signal = new AbortController().signal;
  expect(await finish(readAll(askQuestion({ question: "q", run_id: RUN }, signal, () => (drops += 1))))).toEqual(
    frames,
  );
  expect(drops).toBe(41);
});

test("204 ends the reading", async () => {
  answers = [() => new Response(null, { status: 204 })];
  expect(await finish(readAll(followRun(RUN, new AbortController().signal)))).toEqual([]);
});

test("leaving ends the reading without an error and without a reconnect", async () => {
  const leaving = new AbortController();
  answers = [() => streamOf([bytes.slice(0, 1500)], true)];
  const read: Frame[] = [];
  const work = (async () => {
    for await (const frame of askQuestion({ question: "q", run_id: RUN }, leaving.signal)) {
      read.push(frame);
      leaving.abort();
    }
  })();
  await finish(work);
  expect(read.length).toBeGreaterThan(0);
  expect(calls).toHaveLength(1);
});
