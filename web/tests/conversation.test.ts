import { expect, test } from "vitest";

import { changeConversation, type Conversation } from "../src/conversation";
import { readRecordedFrames } from "./recorded";

const EMPTY: Conversation = { threadId: null, loading: false, error: null, turns: [] };

const asked = (before: Conversation, runId: string) =>
  changeConversation(before, { type: "asked", runId, question: "Why?" });

const lost = (before: Conversation, runId: string) =>
  changeConversation(before, { type: "ended", runId, code: "connection_lost", message: "gone" });

const outcomes = (conversation: Conversation) => conversation.turns.map((turn) => turn.outcome?.kind ?? "running");

test("the first event tells which thread this is", () => {
  const [run] = readRecordedFrames("completed");
  if (run === undefined) throw new Error("the recording is empty");
  const after = changeConversation(asked(EMPTY, "a"), { type: "framed", runId: "a", frame: run });
  expect(after.threadId).toBe("thread-0001");
});

test("a question that no run came of gives its place to the next one", () => {
  const refused = lost(asked(EMPTY, "a"), "a");
  expect(outcomes(refused)).toEqual(["refused"]);
  expect(asked(refused, "b").turns.map((turn) => turn.runId)).toEqual(["b"]);
});

test("a turn whose connection was lost stays, and can be read on", () => {
  const running = readRecordedFrames("completed")
    .slice(0, 12)
    .reduce((before, frame) => changeConversation(before, { type: "framed", runId: "a", frame }), asked(EMPTY, "a"));
  const before = lost(running, "a");
  expect(outcomes(before)).toEqual(["lost"]);
  const resumed = changeConversation(before, { type: "resumed", runId: "a" });
  expect(resumed).toEqual(running);
  expect(outcomes(asked(before, "b"))).toEqual(["lost", "running"]);
});

test("the end of reading changes nothing after the run's own end", () => {
  const done = readRecordedFrames("completed").reduce(
    (before, frame) => changeConversation(before, { type: "framed", runId: "a", frame }),
    asked(EMPTY, "a"),
  );
  expect(lost(done, "a")).toEqual(done);
});
