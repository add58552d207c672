/**
 * The wire contract, v1, as types: the events of a run and the bodies of the endpoints that the page calls.
 *
 * Offsets count Unicode code points; `offsets.ts` converts them. Names that are not here are ignored, as the
 * contract asks of a client.
 */

/** Half-open range of code points. */
export interface Span {
  start: number;
  end: number;
}

export const NODES = ["condense", "retrieve", "cite_and_generate", "finalize"] as const;

export type NodeName = (typeof NODES)[number];

export interface RunStarted {
  v: number;
  run_id: string;
  /** Null for a stateless call, which this page never makes. */
  thread_id: string | null;
  message_id: string;
  model: string;
  resumable: boolean;
  /** The events that follow stand for the whole run and replace what a client had. */
  snapshot?: boolean;
}

export interface NodeStatus {
  node: NodeName;
  state: "start" | "end" | "skip";
  label: string;
  ms?: number;
  detail?: Record<string, unknown>;
}

export interface Source {
  /** The `n` of its marker `[n]`. */
  index: number;
  id: string;
  /** The first 200 characters of the passage. */
  text: string;
  score: number;
  url: string;
  metadata: {
    /** The path or URL as it was ingested. */
    source: string;
    title: string;
    page?: number;
    heading?: string;
    start: number;
    end: number;
    doc_sha256: string;
  };
}

export interface Citation {
  index: number;
  source_id: string;
  /** The sentence in the answer, without the markers at its end. */
  answer: Span;
  /** The quote in the document: `document[start:end] === quote`. */
  span: Span;
  quote: string;
  verified: "exact" | "supported" | "unsupported";
  /** 0 to 1. */
  support: number;
  origin: "claimed" | "found";
}

export type DoneStatus = "completed" | "stopped" | "abstained" | "incomplete";

export type Grounding = "full" | "partial" | "none";

export interface Timings {
  ttft_ms: number | null;
  total_ms: number;
}

export interface RunDone {
  status: DoneStatus;
  message_id: string;
  answer: string;
  cited: number[];
  grounding: Grounding;
  usage: { input_tokens: number; output_tokens: number };
  timings: Timings;
}

export interface RunFailed {
  code: string;
  message: string;
  retryable: boolean;
  message_id?: string;
}

interface Payloads {
  run: RunStarted;
  status: NodeStatus;
  source: { sources: Source[] };
  message: { delta: string };
  reasoning: { delta: string };
  citation: Citation;
  suggest: { questions: string[] };
  done: RunDone;
  failed: RunFailed;
}

/** One event of a run: its name and its payload. */
export type RunEvent = { [Name in keyof Payloads]: { event: Name; data: Payloads[Name] } }[keyof Payloads];

const EVENT_NAMES: Record<keyof Payloads, true> = {
  run: true,
  status: true,
  source: true,
  message: true,
  reasoning: true,
  citation: true,
  suggest: true,
  done: true,
  failed: true,
};

/** Read one event; null for a name that this version does not know. Throws `SyntaxError` on broken JSON. */
export function parseRunEvent(name: string | undefined, data: string): RunEvent | null {
  if (name === undefined || !Object.hasOwn(EVENT_NAMES, name)) return null;
  return { event: name, data: JSON.parse(data) } as RunEvent;
}

/** True for the one event that ends a run. */
export function isTerminal(event: RunEvent): boolean {
  return event.event === "done" || event.event === "failed";
}

export interface ChatRequest {
  question: string;
  run_id: string;
  thread_id?: string;
}

/** A turn as it was stored. */
export interface TurnRecord {
  run_id: string;
  message_id: string;
  question: string;
  answer: string;
  status: DoneStatus | "running" | "failed";
  sources: Source[];
  citations: Citation[];
  cited?: number[];
  grounding: Grounding | null;
  timings: Timings | null;
  /** Why it failed. */
  error?: { code: string; message: string };
}

export interface ThreadRecord {
  id: string;
  title: string;
  turns: TurnRecord[];
}

/** A passage in its document: `text` is the document's `start` to `end`. */
export interface SourceRecord {
  id: string;
  document: { id: string; title: string; source: string };
  version: string | number;
  /** False when a newer version of the document has replaced this one. */
  live: boolean;
  text: string;
  start: number;
  end: number;
  before: string;
  after: string;
  page?: number | null;
  heading?: string | null;
}

/** What an endpoint answers in place of a result. */
export interface ErrorBody {
  error: { code: string; message: string; request_id?: string };
}
