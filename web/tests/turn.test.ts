import { expect, test } from "vitest";

import type { Frame } from "../src/service/stream";
import { foldFrame, newTurn, storedTurn, type Turn } from "../src/state/turn";
import type { RunEvent, TurnRecord } from "../src/wire";
import { readRecordedFrames } from "./recorded";

const frames = readRecordedFrames("completed");

function fold(turn: Turn, some: Frame[]): Turn {
  return some.reduce(foldFrame, turn);
}

const start = newTurn("run-completed", "follow fast");
const whole = fold(start, frames);

function snapshotOf(turn: Turn): Frame[] {
  const first = frames[0]?.event;
  const last = frames.at(-1)?.event;
  if (first?.event !== "run" || last?.event !== "done") throw new Error("the recording is not complete");
  const events: RunEvent[] = [
    { event: "run", data: { ...first.data, snapshot: true } },
    { event: "source", data: { sources: turn.sources } },
    { event: "message", data: { delta: turn.answer } },
    ...turn.citations.map((data): RunEvent => ({ event: "citation", data })),
    last,
  ];
  return events.map((event) => ({ n: frames.length, event }));
}

test("a recorded stream folds to the turn that it tells of", () => {
  expect(whole.answer).toContain("The **pump station** at Kessel 💧 was built in 1968 [1].");
  expect(whole.threadId).toBe("thread-0001");
  expect(whole.sources).toHaveLength(3);
  expect(whole.citations.map((citation) => citation.index)).toContain(3);
  expect(whole.steps.map((step) => [step.node, step.state])).toEqual([
    ["condense", "end"],
    ["retrieve", "end"],
    ["cite_and_generate", "end"],
    ["finalize", "end"],
  ]);
  expect(whole.steps[0]?.detail).toHaveProperty("question");
  expect(whole.outcome).toMatchObject({ kind: "done", status: "completed" });
});

test.each(["completed", "failed", "reasoned"] as const)(
  "a stream cut anywhere and read on from any earlier place gives the same turn: %s",
  (recording) => {
    const all = readRecordedFrames(recording);
    const first = newTurn(`run-${recording}`, "q");
    const end = fold(first, all);
    for (let cut = 0; cut <= all.length; cut += 1) {
      const before = fold(first, all.slice(0, cut));
      for (let from = 0; from <= cut; from += 1) expect(fold(before, all.slice(from))).toEqual(end);
    }
  },
);

test("thoughts and follow-up questions are kept beside the answer", () => {
  const turn = fold(newTurn("run-reasoned", "q"), readRecordedFrames("reasoned"));
  expect(turn.reasoning).toBe("Two passages fit.");
  expect(turn.suggestions).not.toEqual([]);
  expect(turn.answer).toMatch(/^Backups are kept/);
  expect(new Set(turn.citations.map(({ verified }) => verified))).toEqual(
    new Set(["exact", "supported", "unsupported"]),
  );
});

test("a snapshot replaces what was there, also when it is cut and sent again", () => {
  const snapshot = snapshotOf(whole);
  for (let cut = 0; cut < frames.length; cut += 1) {
    for (let half = 0; half <= snapshot.length; half += 1) {
      const before = fold(fold(start, frames.slice(0, cut)), snapshot.slice(0, half));
      const { answer, citations, sources, outcome } = fold(before, snapshot);
      expect({ answer, citations, sources, outcome }).toEqual({
        answer: whole.answer,
        citations: whole.citations,
        sources: whole.sources,
        outcome: whole.outcome,
      });
    }
  }
});

test("a failed run keeps its code and its words", () => {
  const failed = fold(newTurn("run-failed", "fail fast"), readRecordedFrames("failed"));
  expect(failed.outcome).toMatchObject({ kind: "failed", code: "model_unavailable" });
  expect(failed.answer).toBe("");
});

const RECORD: TurnRecord = {
  run_id: "run-completed",
  message_id: "m",
  question: "q",
  answer: "kept",
  status: "stopped",
  sources: whole.sources,
  citations: whole.citations,
  cited: [],
  grounding: null,
  usage: null,
  timings: null,
  created_at: "2025-01-01T00:00:00Z",
};

test("a stored turn shows as it ended", () => {
  const turn = storedTurn(RECORD, "thread-0001");
  expect(turn.answer).toBe("kept");
  expect(turn.outcome).toMatchObject({ kind: "done", status: "stopped" });
  expect(storedTurn({ ...RECORD, status: "failed" }, "t").outcome).toMatchObject({ kind: "failed" });
});

test("a stored turn that still runs takes its events from the first on", () => {
  const turn = storedTurn({ ...RECORD, status: "running" }, "thread-0001");
  expect(fold(turn, frames)).toEqual({ ...whole, question: "q" });
});
