/** The conversation on the page: a thread's turns, what a person can do with them, and the thread in the URL. */
import { useCallback, useEffect, useReducer, useRef } from "react";

import { getThread, RequestRefused, stopRun } from "./api";
import { askQuestion, describeError, followRun, makeRunId, type Frame } from "./stream";
import { foldFrame, isRunning, newTurn, storedTurn, type Outcome, type Turn } from "./turn";
import type { ThreadRecord } from "./wire";

export interface Conversation {
  threadId: string | null;
  /** A stored thread is being fetched. */
  loading: boolean;
  /** Why a stored thread could not be shown. */
  error: string | null;
  turns: Turn[];
}

type Change =
  | { type: "cleared" }
  | { type: "opening"; threadId: string }
  | { type: "opened"; thread: ThreadRecord }
  | { type: "unopened"; message: string }
  | { type: "asked"; runId: string; question: string }
  | { type: "framed"; runId: string; frame: Frame }
  | { type: "resumed"; runId: string }
  | { type: "ended"; runId: string; code: string; message: string }
  | { type: "abandoned"; runId: string };

const EMPTY: Conversation = { threadId: null, loading: false, error: null, turns: [] };

/** What the page can do with a conversation. */
export interface Actions {
  ask: (question: string) => void;
  stop: (turn: Turn) => Promise<void>;
  /** Read on a turn whose connection was lost. */
  reconnect: (turn: Turn) => void;
  startNew: () => void;
}

/** The conversation after a change. Pure; exported for its tests. */
export function changeConversation(before: Conversation, change: Change): Conversation {
  switch (change.type) {
    case "cleared":
      return EMPTY;
    case "opening":
      return { ...EMPTY, threadId: change.threadId, loading: true };
    case "opened": {
      const { id, turns } = change.thread;
      return { ...EMPTY, threadId: id, turns: turns.map((turn) => storedTurn(turn, id)) };
    }
    case "unopened":
      return { ...EMPTY, error: change.message };
    case "asked": {
      // A question that was refused is no turn of the thread: the next one takes its place.
      const kept = before.turns.filter((turn) => turn.outcome?.kind !== "refused");
      return { ...before, error: null, turns: [...kept, newTurn(change.runId, change.question)] };
    }
    case "framed": {
      const after = changeTurn(before, change.runId, (turn) => foldFrame(turn, change.frame));
      const threadId = after.turns.find((turn) => turn.runId === change.runId)?.threadId;
      return { ...after, threadId: threadId ?? before.threadId };
    }
    case "resumed":
      return changeTurn(before, change.runId, (turn) => ({ ...turn, outcome: null }));
    case "ended": {
      const { code, message } = change;
      return endTurn(before, change.runId, (turn) => ({ kind: isKnown(turn) ? "lost" : "refused", code, message }));
    }
    case "abandoned":
      return endTurn(before, change.runId, () => ABANDONED);
  }
}

const ABANDONED: Outcome = { kind: "done", status: "stopped", cited: [], grounding: null, totalMs: null };

/** Whether the server has a turn for this question, as far as the page was told. */
function isKnown(turn: Turn): boolean {
  return turn.threadId !== null;
}

/** Give a turn an end that its events did not give it. */
function endTurn(before: Conversation, runId: string, end: (turn: Turn) => Outcome): Conversation {
  return changeTurn(before, runId, (turn) => (isRunning(turn) ? { ...turn, outcome: end(turn) } : turn));
}

function changeTurn(before: Conversation, runId: string, change: (turn: Turn) => Turn): Conversation {
  return { ...before, turns: before.turns.map((turn) => (turn.runId === runId ? change(turn) : turn)) };
}

/** Holds the conversation. Only the thread that is shown has streams open: leaving it leaves its runs. */
export function useConversation(): [Conversation, Actions] {
  const [conversation, dispatch] = useReducer(changeConversation, EMPTY);
  const reading = useRef(new AbortController());
  const shown = useRef<string | null>(null);

  const leave = useCallback((): AbortSignal => {
    reading.current.abort();
    reading.current = new AbortController();
    return reading.current.signal;
  }, []);

  const read = useCallback(async (runId: string, frames: AsyncGenerator<Frame>, signal: AbortSignal) => {
    let reason: { code: string; message: string } = LOST_END;
    try {
      for await (const frame of frames) {
        if (signal.aborted) return;
        dispatch({ type: "framed", runId, frame });
      }
    } catch (error) {
      reason = describeError(error);
    }
    // Changes nothing after a terminal event.
    if (!signal.aborted) dispatch({ type: "ended", runId, ...reason });
  }, []);

  const open = useCallback(
    async (threadId: string | null) => {
      const signal = leave();
      if (threadId === null) return dispatch({ type: "cleared" });
      dispatch({ type: "opening", threadId });
      try {
        const thread = await getThread(threadId, signal);
        if (signal.aborted) return;
        dispatch({ type: "opened", thread });
        const running = thread.turns.filter((turn) => turn.status === "running");
        await Promise.all(running.map(({ run_id }) => read(run_id, followRun(run_id, signal), signal)));
      } catch (error) {
        if (!signal.aborted) dispatch({ type: "unopened", message: describeUnopened(error) });
      }
    },
    [leave, read],
  );

  useEffect(() => {
    const openFromHistory = () => {
      // A change of the URL's fragment comes here as well, and leads to no other thread.
      if (threadInUrl() !== shown.current) void open(threadInUrl());
    };
    void open(threadInUrl());
    window.addEventListener("popstate", openFromHistory);
    return () => {
      window.removeEventListener("popstate", openFromHistory);
      leave();
    };
  }, [open, leave]);

  useEffect(() => {
    shown.current = conversation.threadId;
    if (conversation.threadId !== null && conversation.threadId !== threadInUrl()) {
      history.pushState(null, "", `/?thread=${encodeURIComponent(conversation.threadId)}`);
    }
  }, [conversation.threadId]);

  const actions: Actions = {
    ask(question) {
      const signal = leave();
      const runId = makeRunId();
      const thread = conversation.threadId === null ? {} : { thread_id: conversation.threadId };
      dispatch({ type: "asked", runId, question });
      void read(runId, askQuestion({ question, run_id: runId, ...thread }, signal), signal);
    },
    async stop(turn) {
      try {
        await stopRun(turn.runId);
      } catch (error) {
        // The run is not there yet, or no more: leaving it is all there is to do.
        if (!(error instanceof RequestRefused && error.status === 404)) throw error;
        leave();
        dispatch({ type: "abandoned", runId: turn.runId });
      }
    },
    reconnect(turn) {
      const signal = leave();
      dispatch({ type: "resumed", runId: turn.runId });
      void read(turn.runId, followRun(turn.runId, signal), signal);
    },
    startNew() {
      if (threadInUrl() !== null) history.pushState(null, "", "/");
      void open(null);
    },
  };
  return [conversation, actions];
}

const LOST_END = { code: "connection_lost", message: "The end of this answer was lost on its way." };

function threadInUrl(): string | null {
  return new URLSearchParams(window.location.search).get("thread");
}

function describeUnopened(error: unknown): string {
  if (error instanceof RequestRefused) {
    return error.status === 404 ? "This conversation does not exist, or was deleted." : error.message;
  }
  return "The server cannot be reached. Reload the page to try again.";
}
