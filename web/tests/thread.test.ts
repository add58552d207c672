import { expect, test } from "vitest";

import type { Frame } from "../src/service/stream";
import { changeConversation, EMPTY, type Change, type Conversation } from "../src/state/thread";
import type { ThreadRecord, TurnRecord } from "../src/wire";
import { readRecordedFrames } from "./recorded";

const completed = readRecordedFrames("completed");
const failed = readRecordedFrames("failed");

const change = (before: Conversation, ...changes: Change[]) => changes.reduce(changeConversation, before);

const asked = (runId: string, replaces: string | null = null): Change => ({
  type: "asked",
  runId,
  question: "Why?",
  replaces,
});

const framed = (runId: string, frames: Frame[]): Change => ({ type: "framed", runId, frames });

const lost = (runId: string): Change => ({
  type: "ended",
  runId,
  failure: { code: "connection_lost", message: "" },
});

const runs = (conversation: Conversation) => conversation.turns.map((turn) => turn.runId);

const outcomes = (conversation: Conversation) => conversation.turns.map((turn) => turn.outcome?.kind ?? "running");

const messageOf = (conversation: Conversation, runId: string) =>
  conversation.turns.find((turn) => turn.runId === runId)?.messageId ?? "none";

/** The frames with this message id in their `run` event, as another run of the thread would have. */
function framesOf(frames: Frame[], messageId: string): Frame[] {
  return frames.map((frame) =>
    frame.event.event === "run"
      ? { ...frame, event: { event: "run", data: { ...frame.event.data, message_id: messageId } } }
      : frame,
  );
}

const three = change(
  EMPTY,
  ...["a", "b", "c"].flatMap((runId) => [asked(runId), framed(runId, framesOf(completed, `message-${runId}`))]),
);

test("the first event tells which thread this is", () => {
  expect(change(EMPTY, asked("a"), framed("a", completed.slice(0, 1))).threadId).toBe("thread-0001");
});

test("frames that come together, one by one, or twice make the same conversation", () => {
  const together = change(EMPTY, asked("a"), framed("a", completed));
  const single = completed.map((frame) => framed("a", [frame]));
  expect(change(EMPTY, asked("a"), ...single)).toEqual(together);
  expect(change(EMPTY, asked("a"), framed("a", completed.slice(0, 9)), framed("a", completed))).toEqual(together);
});

test("a question that no run came of gives its place to the next one", () => {
  const refused = change(EMPTY, asked("a"), lost("a"));
  expect(outcomes(refused)).toEqual(["refused"]);
  expect(runs(change(refused, asked("b")))).toEqual(["b"]);
  expect(outcomes(change(refused, asked("a")))).toEqual(["running"]);
});

test("a turn whose connection was lost stays, and can be read on", () => {
  const running = change(EMPTY, asked("a"), framed("a", completed.slice(0, 12)));
  const before = change(running, lost("a"));
  expect(outcomes(before)).toEqual(["lost"]);
  expect(change(before, { type: "resumed", runId: "a" })).toEqual(running);
  expect(outcomes(change(before, asked("b")))).toEqual(["lost", "running"]);
});

test("a drop is told until the next event, and not after the end", () => {
  const running = change(EMPTY, asked("a"), framed("a", completed.slice(0, 12)));
  const dropped = change(running, { type: "dropped", runId: "a" });
  expect(dropped.turns[0]?.dropped).toBe(true);
  expect(change(dropped, framed("a", completed.slice(12, 13))).turns[0]?.dropped).toBe(false);
  const done = change(dropped, framed("a", completed.slice(12)));
  expect(change(done, { type: "dropped", runId: "a" })).toEqual(done);
});

test("the end of reading changes nothing after the run's own end", () => {
  const done = change(EMPTY, asked("a"), framed("a", completed));
  expect(change(done, lost("a"))).toEqual(done);
});

test("a question asked in place of a turn hides it and what follows, and replaces them once it is answered", () => {
  const asking = change(three, asked("d", messageOf(three, "b")));
  expect(runs(asking)).toEqual(["a", "d"]);
  const answered = change(asking, framed("d", framesOf(completed, "message-d")));
  expect(runs(answered)).toEqual(["a", "d"]);
  expect(answered.replaced).toBeNull();
});

test.each([
  ["fails", framed("d", failed), "failed"],
  ["is refused", lost("d"), "refused"],
  ["is stopped before a word", { type: "abandoned", runId: "d" } satisfies Change, "done"],
])("turns come back when what was to replace them %s", (_how, end, outcome) => {
  const after = change(three, asked("d", messageOf(three, "b")), end);
  expect(runs(after)).toEqual(["a", "b", "c", "d"]);
  expect(outcomes(after).at(-1)).toBe(outcome);
});

test("a lost connection leaves open what becomes of replaced turns", () => {
  const asking = change(three, asked("d", messageOf(three, "b")), framed("d", completed.slice(0, 12)), lost("d"));
  expect(runs(asking)).toEqual(["a", "d"]);
  const resumed = change(asking, { type: "resumed", runId: "d" }, framed("d", completed));
  expect(runs(resumed)).toEqual(["a", "d"]);
});

function record(runId: string, status: TurnRecord["status"], answer: string): TurnRecord {
  return {
    run_id: runId,
    message_id: `message-${runId}`,
    question: "Why?",
    answer,
    status,
    sources: [],
    citations: [],
    cited: [],
    grounding: null,
    usage: null,
    timings: null,
    created_at: AT,
  };
}

const AT = "2026-05-01T10:00:00Z";

const thread = (...turns: TurnRecord[]): ThreadRecord => ({
  id: "thread-0001",
  title: "",
  created_at: AT,
  updated_at: AT,
  turns,
});

test("looking again takes what another tab did and keeps what is known of the rest", () => {
  const [a] = three.turns;
  const stored = thread(record("a", "completed", a?.answer ?? ""), record("x", "completed", "new"));
  const after = change(three, { type: "refreshed", thread: stored });
  expect(runs(after)).toEqual(["a", "x"]);
  expect(after.turns[0]).toEqual(a);
  expect(after.turns[0]?.steps).toHaveLength(4);
  expect(change({ ...three, threadId: "other" }, { type: "refreshed", thread: stored }).turns).toBe(three.turns);
});

test("another tab's run is added once", () => {
  const after = change(three, asked("x"), asked("x"));
  expect(runs(after)).toEqual(["a", "b", "c", "x"]);
});

test("a thread that cannot be read keeps its id, to try again", () => {
  const failure = { code: "connection_lost", message: "" };
  const after = change(three, { type: "unopened", threadId: "t", failure });
  expect(after).toMatchObject({ threadId: "t", error: failure, turns: [] });
});
