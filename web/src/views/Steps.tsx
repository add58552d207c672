/** What the service is doing for a turn: live while it works, one line once there is an answer. */
import { formatMs } from "../format";
import { isRunning, type Step, type Turn } from "../turn";
import { NODES, type NodeName } from "../wire";
import { Icon } from "./Icon";

/** Shown until the service has said its own label. */
const WAITING_LABELS: Record<NodeName, string> = {
  condense: "Understand the question",
  retrieve: "Search the documents",
  cite_and_generate: "Write the answer",
  finalize: "Check and store it",
};

export function Steps({ turn }: { turn: Turn }) {
  const running = isRunning(turn);
  if (turn.steps.length === 0 && !running) return null;
  const shown = NODES.filter((node) => running || turn.steps.some((step) => step.node === node));
  return (
    <details className="steps" data-testid="steps" open={running && turn.answer === ""}>
      <summary>{summarize(turn)}</summary>
      <ol>
        {shown.map((node) => (
          <StepLine key={node} node={node} turn={turn} />
        ))}
      </ol>
    </details>
  );
}

/** What a step's detail may hold that is worth a line, in a person's words. */
const FACT_WORDS: Record<string, string> = {
  question: "Searched for",
  dropped_turns: "Earlier turns left out",
  hits: "Passages",
  citations: "Citations",
};

function StepLine({ node, turn }: { node: NodeName; turn: Turn }) {
  const step = turn.steps.find((candidate) => candidate.node === node);
  const state = stateOf(step, isRunning(turn));
  return (
    <li className={`step ${state}`} data-node={node} data-state={state}>
      <Icon name={STATE_ICONS[state]} />
      <span className="step-label">{step?.label ?? WAITING_LABELS[node]}</span>
      {state === "skip" && <span className="muted">left out</span>}
      {step?.ms != null && <span className="step-ms">{formatMs(step.ms)}</span>}
      {step !== undefined && <Facts detail={step.detail} asked={turn.question} />}
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
  if (step.detail.failed === true) return "failed";
  return step.state === "start" && !running ? "unfinished" : step.state;
}

function Facts({ detail, asked }: { detail: Record<string, unknown>; asked: string }) {
  const names = Object.keys(FACT_WORDS).filter((name) => isNews(name, detail[name], asked));
  if (names.length === 0) return null;
  return (
    <dl className="facts">
      {names.map((name) => (
        <div key={name}>
          <dt>{FACT_WORDS[name]}</dt>
          <dd>{String(detail[name])}</dd>
        </div>
      ))}
    </dl>
  );
}

/** That a question was searched for as it was asked, or that nothing was left out, need not be said. */
function isNews(name: string, value: unknown, asked: string): boolean {
  return value !== undefined && value !== asked && !(name === "dropped_turns" && value === 0);
}

function summarize(turn: Turn): string {
  const current = turn.steps.findLast((step) => step.state === "start") ?? turn.steps.at(-1);
  if (turn.outcome === null) return current === undefined ? "Connecting…" : `${current.label}…`;
  if (turn.outcome.kind !== "done") return "What was done";
  const found = turn.sources.length;
  const words = found === 1 ? "1 passage found" : `${found} passages found`;
  return turn.outcome.totalMs === null ? words : `${words} · ${formatMs(turn.outcome.totalMs)}`;
}
