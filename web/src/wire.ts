/**
 * The wire contract, v1, as types: the events of a run and the bodies of the endpoints that the page calls, under the
 * page's names. They are made from the server's own by `npm run types`.
 *
 * Offsets count Unicode code points; `offsets.ts` converts them. Names that are not here are ignored, as the
 * contract asks of a client.
 */

import type {
  Ask,
  BoxBody,
  CollectionBody,
  DocumentBody,
  RunBody,
  RunDone,
  SourceBody,
  Status,
  StreamEvent,
  ThreadBody,
  TurnBody,
} from "../generated/schema";

export type * from "../generated/schema";

export type NodeStatus = Status;
export type NodeName = Status["node"];
export type DoneStatus = RunDone["status"];
export type Grounding = RunDone["grounding"];

/** What the page asks: it makes the run's id itself. */
export type ChatRequest = Ask & { run_id: string };
/** A turn as it was stored. */
export type TurnRecord = TurnBody;
export type ThreadRecord = ThreadBody & { turns: TurnRecord[] };
/** A thread as lists have it, without its turns. */
export type ThreadItem = ThreadBody;
/** A turn with what its steps did. */
export type RunRecord = RunBody;
/** A passage in its document: `text` is the document's `start` to `end`. */
export type SourceRecord = SourceBody;
/** A line of a passage on its page, in shares of the page's width and height. */
export type Box = BoxBody;
export type Collection = CollectionBody;
export type Document = DocumentBody;

type WithoutId<Event> = Event extends unknown ? Omit<Event, "id"> : never;

/** One event of a run: its name and its payload. */
export type RunEvent = WithoutId<StreamEvent>;

/** The names of the nodes in their order; the compiler sees to it that none is missing. */
export const NODES = namesOf<NodeName>({ condense: true, retrieve: true, cite_and_generate: true, finalize: true });

const EVENT_NAMES = new Set<string>(
  namesOf<RunEvent["event"]>({
    run: true,
    status: true,
    source: true,
    message: true,
    reasoning: true,
    citation: true,
    suggest: true,
    done: true,
    failed: true,
  }),
);

function namesOf<Name extends string>(names: Record<Name, true>): Name[] {
  return Object.keys(names) as Name[];
}

/** Read one event; null for a name that this version does not know. Throws `SyntaxError` on broken JSON. */
export function parseRunEvent(name: string | undefined, data: string): RunEvent | null {
  if (name === undefined || !EVENT_NAMES.has(name)) return null;
  return { event: name, data: JSON.parse(data) } as RunEvent;
}

/** True for the one event that ends a run. */
export function isTerminal(event: RunEvent): boolean {
  return event.event === "done" || event.event === "failed";
}
