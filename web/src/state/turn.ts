/**
 * A turn, one question and its answer, as the page shows it: a pure fold over the events of its run.
 *
 * Folding the same event twice changes nothing, so a stream may be cut anywhere and read again from any earlier
 * place. A snapshot replaces what was there.
 */
import type { Frame } from "../service/stream";
import type {
  Citation,
  DoneStatus,
  Feedback,
  Grounding,
  NodeName,
  NodeStatus,
  RunEvent,
  Source,
  TurnRecord,
} from "../wire";

/** How a turn ended. `refused`: no run came of it. `lost`: this page could not read on; the run may have. */
export type Outcome =
  | { kind: "done"; status: DoneStatus; cited: number[]; grounding: Grounding | null; totalMs: number | null }
  | { kind: "failed" | "refused" | "lost"; code: string; message: string };

/** The latest that was said of a node, with the details of its start and end together. */
export interface Step {
  node: NodeName;
  state: NodeStatus["state"];
  label: string;
  ms: number | null;
  detail: Record<string, unknown>;
}

export interface Turn {
  runId: string;
  question: string;
  /** Both are known from the first event on. */
  threadId: string | null;
  messageId: string | null;
  /** Place of the last event that was folded in; 0 before the first. */
  seen: number;
  /** The events now coming are a snapshot, which all have the same place. */
  snapshot: boolean;
  steps: Step[];
  sources: Source[];
  /** What a reasoning model thought aloud. */
  reasoning: string;
  answer: string;
  citations: Citation[];
  /** What could be asked next. */
  suggestions: string[];
  /** The connection was lost in the middle, and is being tried again. */
  dropped: boolean;
  /** Null while the run goes on. */
  outcome: Outcome | null;
  /** What the reader thinks of the answer. */
  feedback: Feedback | null;
}

/** Whether the run of this turn goes on. */
export function isRunning(turn: Turn): boolean {
  return turn.outcome === null;
}

/** A turn of which nothing is known but its question. */
export function newTurn(runId: string, question: string): Turn {
  return {
    runId,
    question,
    threadId: null,
    messageId: null,
    seen: 0,
    snapshot: false,
    steps: [],
    sources: [],
    reasoning: "",
    answer: "",
    citations: [],
    suggestions: [],
    dropped: false,
    outcome: null,
    feedback: null,
  };
}

/** The turn after one more event. */
export function foldFrame(before: Turn, { n, event }: Frame): Turn {
  if (before.outcome !== null) return before;
  const turn = before.dropped ? { ...before, dropped: false } : before;
  if (event.event === "run" && event.data.snapshot === true) {
    return { ...foldEvent(newTurn(turn.runId, turn.question), event), seen: turn.seen, snapshot: true };
  }
  if (turn.snapshot) return foldEvent(turn, event);
  return n <= turn.seen ? turn : { ...foldEvent(turn, event), seen: n };
}

function foldEvent(turn: Turn, event: RunEvent): Turn {
  switch (event.event) {
    case "run":
      return { ...turn, threadId: event.data.thread_id, messageId: event.data.message_id };
    case "status":
      return { ...turn, steps: foldStatus(turn.steps, event.data) };
    case "source":
      return { ...turn, sources: event.data.sources };
    case "message":
      return { ...turn, answer: turn.answer + event.data.delta };
    case "citation":
      return { ...turn, citations: [...turn.citations, event.data] };
    case "done": {
      const { status, answer, cited, grounding, timings } = event.data;
      return { ...turn, answer, outcome: { kind: "done", status, cited, grounding, totalMs: timings.total_ms } };
    }
    case "failed":
      return { ...turn, outcome: { kind: "failed", code: event.data.code, message: event.data.message } };
    case "reasoning":
      return { ...turn, reasoning: turn.reasoning + event.data.delta };
    case "suggest":
      return { ...turn, suggestions: event.data.questions };
  }
}

/** The steps that these statuses tell of. */
export function foldStatuses(statuses: NodeStatus[]): Step[] {
  return statuses.reduce(foldStatus, []);
}

function foldStatus(steps: Step[], status: NodeStatus): Step[] {
  const before = steps.find((step) => step.node === status.node);
  const step: Step = {
    node: status.node,
    state: status.state,
    label: status.label,
    ms: status.ms ?? before?.ms ?? null,
    detail: { ...before?.detail, ...status.detail },
  };
  return before === undefined ? [...steps, step] : steps.map((other) => (other === before ? step : other));
}

/** A turn out of the store. One that is still running is empty: its events are read from the first on. */
export function storedTurn(record: TurnRecord, threadId: string): Turn {
  const turn = { ...newTurn(record.run_id, record.question), threadId, messageId: record.message_id };
  if (record.status === "running") return turn;
  return {
    ...turn,
    sources: record.sources,
    answer: record.answer,
    citations: record.citations,
    outcome: storedOutcome(record, record.status),
    feedback: record.feedback ?? null,
  };
}

function storedOutcome(record: TurnRecord, status: DoneStatus | "failed"): Outcome {
  const { cited = [], grounding, timings, error } = record;
  if (status === "failed") {
    const { code, message } = error ?? { code: "failed", message: "This question was not answered." };
    return { kind: "failed", code, message };
  }
  return { kind: "done", status, cited, grounding, totalMs: timings?.total_ms ?? null };
}
