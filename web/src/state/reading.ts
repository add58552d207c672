/** What is read beside an answer: a turn's list of sources, or one of them with quotes marked. Pure. */
import type { Citation, Source } from "../wire";
import type { Turn } from "./turn";

/** `index` is null for the list; `citations` are the quotes to mark. */
export interface Reading {
  runId: string;
  index: number | null;
  citations: Citation[];
}

/** All quotes of a source that a turn has. */
export function citationsOf(turn: Turn, index: number): Citation[] {
  return turn.citations.filter((citation) => citation.index === index);
}

/** Sources in the order in which they are listed: cited first, each group by its number. */
export function groupSources(turn: Turn): { cited: Source[]; others: Source[] } {
  const told = turn.outcome?.kind === "done" ? turn.outcome.cited : [];
  const indexes = new Set([...told, ...turn.citations.map((citation) => citation.index)]);
  return {
    cited: turn.sources.filter((source) => indexes.has(source.index)),
    others: turn.sources.filter((source) => !indexes.has(source.index)),
  };
}

/** Citations as they follow each other in the answer. */
export function orderCitations(turn: Turn): Citation[] {
  return turn.citations.toSorted((a, b) => a.answer.start - b.answer.start || a.index - b.index);
}

/** The place of the citation that is read among those of its turn, or -1 when it is not one alone. */
export function placeOf(turn: Turn, { citations }: Reading): number {
  const [citation] = citations;
  return citations.length === 1 && citation !== undefined ? orderCitations(turn).indexOf(citation) : -1;
}

/** The one citation of a turn that is read; null when it is none, or several. */
export function readIn(turn: Turn, reading: Reading | null): Citation | null {
  const [citation, ...others] = reading?.runId === turn.runId ? reading.citations : [];
  return others.length > 0 ? null : (citation ?? null);
}

/** The reading some citations further on; null when there is none. */
export function step(turn: Turn, reading: Reading, by: 1 | -1): Reading | null {
  const place = placeOf(turn, reading);
  const citation = orderCitations(turn)[place + by];
  return place < 0 || citation === undefined || place + by < 0
    ? null
    : { runId: reading.runId, index: citation.index, citations: [citation] };
}
