/** What the service is doing for a turn: live while it works, one line once there is an answer. */
import { useState } from "react";

import { getRun } from "../service/api";
import { foldStatuses, isRunning, type Step, type Turn } from "../state/turn";
import { formatMs } from "../text/format";
import { NODES, type NodeName } from "../wire";
import { words } from "../words";
import { Icon } from "./Icon";

interface Props {
  turn: Turn;
  onShowSources: (turn: Turn) => void;
}

export function Steps({ turn, onShowSources }: Props) {
  const running = isRunning(turn);
  const [stored, setStored] = useState<Step[]>([]);
  const steps = turn.steps.length > 0 ? turn.steps : stored;
  if (turn.outcome?.kind === "refused" || (steps.length === 0 && turn.outcome?.kind === "lost")) return null;
  const shown = NODES.filter((node) => running || steps.some((step) => step.node === node));

  /** A turn out of the store comes without its steps: its run has them. */
  async function load() {
    if (running || steps.length > 0) return;
    const run = await getRun(turn.runId).catch(() => null);
    if (run !== null) setStored(foldStatuses(run.statuses));
  }

  return (
    <details
      className="steps"
      data-testid="steps"
      open={running && turn.answer === ""}
      onToggle={(event) => event.currentTarget.open && void load()}
    >
      <summary>
        <Icon name={running ? "spinner" : "right"} />
        <span>{summarize(turn)}</span>
      </summary>
      <ol>
        {shown.map((node) => (
          <StepLine key={node} node={node} steps={steps} turn={turn} onShowSources={onShowSources} />
        ))}
      </ol>
      {turn.reasoning !== "" && (
        <details className="thoughts">
          <summary>{words.thoughts}</summary>
          <p dir="auto">{turn.reasoning}</p>
        </details>
      )}
    </details>
  );
}

function StepLine({ node, steps, turn, onShowSources }: Props & { node: NodeName; steps: Step[] }) {
  const step = steps.find((candidate) => candidate.node === node);
  const state = stateOf(step, isRunning(turn));
  const facts = step === undefined ? [] : tellFacts(node, step.detail, turn.question);
  return (
    <li className={`step ${state}`} data-node={node} data-state={state}>
      <Icon name={STATE_ICONS[state]} />
      <span className="step-label">
        {words.steps[node]}
        <span className="unseen">, {words.stepStates[state]}</span>
      </span>
      {(state === "skip" || state === "failed") && <span className="muted">{words.stepStates[state]}</span>}
      {step?.ms != null && <span className="step-ms">{formatMs(step.ms)}</span>}
      {facts.length > 0 && (
        <ul className="facts">
          {facts.map((fact) => (
            <li key={fact} dir="auto">
              {node === "retrieve" && turn.sources.length > 0 ? (
                <button type="button" className="link" onClick={() => onShowSources(turn)}>
                  {fact}
                </button>
              ) : (
                fact
              )}
            </li>
          ))}
        </ul>
      )}
    </li>
  );
}

const STATE_ICONS = {
  waiting: "circle",
  start: "spinner",
  end: "check",
  skip: "dash",
  failed: "cross",
  unfinished: "dash",
} as const;

/** A step whose end never came is not going on once the run is over, or out of sight. */
function stateOf(step: Step | undefined, running: boolean): keyof typeof STATE_ICONS {
  if (step === undefined) return "waiting";
  if (step.detail["failed"] === true) return "failed";
  return step.state === "start" && !running ? "unfinished" : step.state;
}

/** What a step did, as far as it is news: that a question was searched for as it was asked need not be said. */
function tellFacts(node: NodeName, detail: Record<string, unknown>, asked: string): string[] {
  const { question, dropped_turns: dropped, rewrite, hits, citations, grounding } = detail;
  const facts: (string | false)[] = {
    condense: [
      typeof question === "string" && question !== asked && `${words.searchedFor}: ${question}`,
      rewrite === "failed" && words.rewriteFailed,
      typeof dropped === "number" && dropped > 0 && words.turnsDropped(dropped),
    ],
    retrieve: [typeof hits === "number" && words.passagesFound(hits)],
    cite_and_generate: [typeof citations === "number" && citations > 0 && words.citationsMade(citations)],
    finalize: [
      isGrounding(grounding) &&
        detail["cited"] instanceof Array &&
        detail["cited"].length > 0 &&
        words.grounding[grounding],
    ],
  }[node];
  return facts.filter((fact) => fact !== false);
}

function isGrounding(value: unknown): value is keyof typeof words.grounding {
  return typeof value === "string" && Object.hasOwn(words.grounding, value);
}

function summarize(turn: Turn): string {
  const current = turn.steps.findLast((step) => step.state === "start") ?? turn.steps.at(-1);
  if (turn.outcome === null) return current === undefined ? `${words.connecting}…` : `${words.steps[current.node]}…`;
  if (turn.outcome.kind !== "done") return words.stepsDone;
  const found = words.passagesFound(turn.sources.length);
  return turn.outcome.totalMs === null ? found : `${found} · ${formatMs(turn.outcome.totalMs)}`;
}
