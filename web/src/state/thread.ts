/** The conversation on the page, a thread's turns, and each change of it: pure. */
import type { Frame } from "../service/stream";
import type { Feedback, ThreadRecord } from "../wire";
import { foldFrame, isRunning, newTurn, storedTurn, type Outcome, type Turn } from "./turn";

export interface Conversation {
  threadId: string | null;
  /** A stored thread is being fetched. */
  loading: boolean;
  /** Why a stored thread could not be shown. */
  error: Failure | null;
  turns: Turn[];
  /** The turns that the run `by` takes the place of. They come back if it brings no answer. */
  replaced: { by: string; turns: Turn[] } | null;
}

/** What went wrong: a code of the service, or of this page, and the service's own words if there are any. */
export interface Failure {
  code: string;
  message: string;
}

export type Change =
  | { type: "cleared" }
  | { type: "opening"; threadId: string }
  | { type: "opened"; thread: ThreadRecord }
  | { type: "refreshed"; thread: ThreadRecord }
  | { type: "unopened"; threadId: string; failure: Failure }
  | { type: "asked"; runId: string; question: string; replaces: string | null }
  | { type: "framed"; runId: string; frames: Frame[] }
  | { type: "dropped"; runId: string }
  | { type: "resumed"; runId: string }
  | { type: "ended"; runId: string; failure: Failure }
  | { type: "abandoned"; runId: string }
  | { type: "judged"; runId: string; feedback: Feedback | null };

export const EMPTY: Conversation = { threadId: null, loading: false, error: null, turns: [], replaced: null };

/** The conversation after a change. */
export function changeConversation(before: Conversation, change: Change): Conversation {
  switch (change.type) {
    case "cleared":
      return EMPTY;
    case "opening":
      return { ...EMPTY, threadId: change.threadId, loading: true };
    case "opened":
      return { ...EMPTY, threadId: change.thread.id, turns: storedTurns(change.thread) };
    case "refreshed":
      return before.threadId === change.thread.id ? refresh(before, change.thread) : before;
    case "unopened":
      return { ...EMPTY, threadId: change.threadId, error: change.failure };
    case "asked":
      return addQuestion(before, change.runId, change.question, change.replaces);
    case "framed": {
      const after = changeTurn(before, change.runId, (turn) => change.frames.reduce(foldFrame, turn));
      const turn = after.turns.find(({ runId }) => runId === change.runId);
      return settle({ ...after, threadId: turn?.threadId ?? before.threadId }, change.runId);
    }
    case "dropped":
      return changeTurn(before, change.runId, (turn) => (isRunning(turn) ? { ...turn, dropped: true } : turn));
    case "resumed":
      return changeTurn(before, change.runId, (turn) => ({ ...turn, outcome: null }));
    case "ended":
      return endTurn(before, change.runId, (turn) => ({ kind: isKnown(turn) ? "lost" : "refused", ...change.failure }));
    case "abandoned":
      return endTurn(before, change.runId, () => ABANDONED);
    case "judged":
      return changeTurn(before, change.runId, (turn) => ({ ...turn, feedback: change.feedback }));
  }
}

const ABANDONED: Outcome = { kind: "done", status: "stopped", cited: [], grounding: null, totalMs: null };

/** Whether the server has a turn for this question, as far as the page was told. */
function isKnown(turn: Turn): boolean {
  return turn.threadId !== null;
}

function addQuestion(before: Conversation, runId: string, question: string, replaces: string | null): Conversation {
  // A question that was refused is no turn of the thread: the next one takes its place.
  const kept = before.turns.filter((turn) => turn.outcome?.kind !== "refused");
  if (kept.some((turn) => turn.runId === runId)) return before;
  const place = replaces === null ? -1 : kept.findIndex((turn) => turn.messageId === replaces);
  const turn = newTurn(runId, question);
  if (place < 0) return { ...before, error: null, turns: [...kept, turn], replaced: null };
  const replaced = { by: runId, turns: kept.slice(place) };
  return { ...before, error: null, turns: [...kept.slice(0, place), turn], replaced };
}

/** Decide what becomes of replaced turns once the run that is to replace them has ended, as the server does. */
function settle(before: Conversation, runId: string): Conversation {
  const { replaced } = before;
  const turn = before.turns.find((candidate) => candidate.runId === runId);
  if (replaced?.by !== runId || turn === undefined || isRunning(turn) || turn.outcome?.kind === "lost") return before;
  if (turn.outcome?.kind === "done" && turn.answer !== "") return { ...before, replaced: null };
  const others = before.turns.filter((candidate) => candidate !== turn);
  return { ...before, turns: [...others, ...replaced.turns, turn], replaced: null };
}

/** The stored thread, with what this page knows besides of turns that ended here. */
function refresh(before: Conversation, thread: ThreadRecord): Conversation {
  const known = new Map(before.turns.map((turn) => [turn.runId, turn]));
  const turns = storedTurns(thread).map((stored) => {
    const turn = known.get(stored.runId);
    const kept = turn !== undefined && (isRunning(stored) || turn.answer === stored.answer);
    if (!kept) return stored;
    return isRunning(stored) ? turn : { ...turn, feedback: stored.feedback };
  });
  const refused = before.turns.filter((turn) => turn.outcome?.kind === "refused");
  return { ...before, loading: false, error: null, turns: [...turns, ...refused], replaced: null };
}

function storedTurns(thread: ThreadRecord): Turn[] {
  return thread.turns.map((turn) => storedTurn(turn, thread.id));
}

/** Give a turn an end that its events did not give it. */
function endTurn(before: Conversation, runId: string, end: (turn: Turn) => Outcome): Conversation {
  const close = (turn: Turn) => (isRunning(turn) ? { ...turn, dropped: false, outcome: end(turn) } : turn);
  return settle(changeTurn(before, runId, close), runId);
}

function changeTurn(before: Conversation, runId: string, change: (turn: Turn) => Turn): Conversation {
  return { ...before, turns: before.turns.map((turn) => (turn.runId === runId ? change(turn) : turn)) };
}
