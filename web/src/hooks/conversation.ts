/** Holds the conversation that is shown, and reads the runs in it. */
import { useCallback, useEffect, useMemo, useReducer, useRef } from "react";

import { getThread, giveFeedback, RequestRefused, stopRun, takeFeedbackBack } from "../service/api";
import { askQuestion, describeError, followRun, makeRunId, type Frame } from "../service/stream";
import { tabs } from "../service/tabs";
import { changeConversation, EMPTY, type Conversation } from "../state/thread";
import { isRunning, type Turn } from "../state/turn";
import { isTerminal, type ChatRequest, type Feedback, type ThreadRecord } from "../wire";
import { useReturn } from "./return";

/** Deltas that come within this time are shown together: the eye sees no difference, a slow machine does. */
const PACE_MS = 40;
/** The question on its way to the server, for a page that is reloaded before the run is known to be there. */
const ASKING = "citestream.asking";
/** A thread that was read this short ago is not read again because its tab is looked at. */
const FRESH_MS = 3_000;

/** What the page can do with a conversation. */
export interface Actions {
  ask: (question: string, replaces?: string | null) => void;
  /** Ask the question of a turn that has no answer once more. */
  retry: (turn: Turn) => void;
  stop: (turn: Turn) => Promise<void>;
  /** Read on a turn whose connection was lost. */
  reconnect: (turn: Turn) => void;
  /** Keep what the reader thinks of an answer, or take it back. Throws what `fetch` and the service throw. */
  judge: (turn: Turn, feedback: Feedback | null) => Promise<void>;
  /** Fetch the stored thread again. */
  reopen: () => void;
  /** Leave a question that has no thread as yet. */
  startNew: () => void;
}

interface Surroundings {
  /** The thread in the URL: null for a new one, undefined where the page shows something else. */
  threadId: string | null | undefined;
  /** Collections that questions search; empty for the service's own choice. */
  collections: string[];
  /** A question was answered, or begun: lists of threads are out of date. */
  onThreads: () => void;
}

export function useConversation({ threadId, collections, onThreads }: Surroundings): [Conversation, Actions] {
  const [conversation, dispatch] = useReducer(changeConversation, EMPTY);
  const reading = useRef(new AbortController());
  const latest = useRef(conversation);
  const chosen = useRef(collections);
  const told = useRef(onThreads);
  const fetched = useRef(0);
  useEffect(() => {
    latest.current = conversation;
    chosen.current = collections;
    told.current = onThreads;
  });

  const leave = useCallback((): AbortSignal => {
    reading.current.abort();
    reading.current = new AbortController();
    return reading.current.signal;
  }, []);

  /** Read a run to its end; `asked` when this tab has asked the question. */
  const read = useCallback(
    async (runId: string, frames: AsyncGenerator<Frame>, signal: AbortSignal, asked: ChatRequest | null) => {
      let waiting: Frame[] = [];
      let timer: ReturnType<typeof setTimeout> | undefined;
      const show = () => {
        clearTimeout(timer);
        timer = undefined;
        if (waiting.length > 0 && !signal.aborted) dispatch({ type: "framed", runId, frames: waiting });
        waiting = [];
      };
      let failure = { code: "connection_lost", message: "" };
      try {
        for await (const frame of frames) {
          if (signal.aborted) return;
          waiting.push(frame);
          if (frame.event.event === "message") timer ??= setTimeout(show, PACE_MS);
          else show();
          if (frame.event.event === "run") {
            noteBegun(asked, frame.event.data.thread_id);
            told.current();
          }
          if (isTerminal(frame.event)) told.current();
        }
      } catch (error) {
        failure = describeError(error);
      }
      show();
      if (signal.aborted) return;
      sessionStorage.removeItem(ASKING);
      // Changes nothing after a terminal event.
      dispatch({ type: "ended", runId, failure });
    },
    [],
  );

  const follow = useCallback(
    async (runId: string, signal: AbortSignal) => {
      const onDropped = () => dispatch({ type: "dropped", runId });
      await read(runId, followRun(runId, signal, onDropped), signal, null);
    },
    [read],
  );

  const send = useCallback(
    (body: ChatRequest) => {
      const { run_id: runId, question, replace = null } = body;
      const { signal } = reading.current;
      sessionStorage.setItem(ASKING, JSON.stringify(body));
      dispatch({ type: "asked", runId, question, replaces: replace });
      const onDropped = () => dispatch({ type: "dropped", runId });
      void read(runId, askQuestion(body, signal, onDropped), signal, body);
    },
    [read],
  );

  /** Read the runs of a thread that go on, and then the thread again: one may have replaced other turns. */
  const followAll = useCallback(
    async (thread: ThreadRecord, signal: AbortSignal) => {
      const running = thread.turns.filter((turn) => turn.status === "running");
      if (running.length === 0) return;
      await Promise.all(running.map(({ run_id }) => follow(run_id, signal)));
      if (signal.aborted) return;
      const after = await getThread(thread.id, signal).catch(() => null);
      if (after !== null && !signal.aborted) dispatch({ type: "refreshed", thread: after });
    },
    [follow],
  );

  const open = useCallback(
    async (id: string | null) => {
      const signal = leave();
      const pending = takePending(id);
      if (id === null) {
        dispatch({ type: "cleared" });
        if (pending !== null) send(pending);
        return;
      }
      dispatch({ type: "opening", threadId: id });
      try {
        const thread = await getThread(id, signal);
        if (signal.aborted) return;
        fetched.current = Date.now();
        dispatch({ type: "opened", thread });
        if (pending !== null && !thread.turns.some((turn) => turn.run_id === pending.run_id)) send(pending);
        await followAll(thread, signal);
      } catch (error) {
        if (!signal.aborted) dispatch({ type: "unopened", threadId: id, failure: describeError(error) });
      }
    },
    [followAll, leave, send],
  );

  useEffect(() => {
    if (threadId === undefined || (threadId === latest.current.threadId && threadId !== null)) return;
    if (threadId === null && latest.current === EMPTY && sessionStorage.getItem(ASKING) === null) return;
    // A question without a thread as yet is shown where the thread will be.
    if (threadId === null && latest.current.threadId === null && latest.current.turns.some(isRunning)) return;
    void open(threadId);
  }, [open, threadId]);

  useEffect(() => () => void leave(), [leave]);

  /** Another tab, or another machine, may have gone on with this thread. */
  useReturn(async () => {
    const { threadId: id, turns, loading } = latest.current;
    const fresh = Date.now() - fetched.current < FRESH_MS;
    if (id === null || loading || fresh || turns.some(isRunning)) return;
    fetched.current = Date.now();
    const { signal } = reading.current;
    const thread = await getThread(id, signal).catch(() => null);
    if (thread === null || signal.aborted || latest.current.turns.some(isRunning)) return;
    dispatch({ type: "refreshed", thread });
    await followAll(thread, signal);
  });

  useEffect(
    () =>
      tabs.listen((message) => {
        if (message.type !== "asked" || message.threadId !== latest.current.threadId) return;
        const { runId, question, replaces } = message;
        dispatch({ type: "asked", runId, question, replaces });
        void follow(runId, reading.current.signal);
      }),
    [follow],
  );

  const actions = useMemo((): Actions => {
    const body = (question: string, runId: string, replaces: string | null): ChatRequest => ({
      question,
      run_id: runId,
      // A reader who looks at something else, or is offline, finds the whole answer when he comes back.
      on_disconnect: "continue",
      ...(latest.current.threadId === null ? {} : { thread_id: latest.current.threadId }),
      ...(replaces === null ? {} : { replace: replaces }),
      ...(isSome(chosen.current) ? { collections: chosen.current } : {}),
    });
    return {
      ask: (question, replaces = null) => send(body(question, makeRunId(), replaces)),
      retry(turn) {
        const { outcome, messageId } = turn;
        // It may have got through although no answer came back: under its own id it is never asked twice.
        const lost = outcome?.kind === "refused" && outcome.code === "connection_lost";
        const last = latest.current.turns.at(-1) === turn;
        const replaces = last && outcome?.kind === "failed" && latest.current.threadId !== null ? messageId : null;
        send(body(turn.question, lost ? turn.runId : makeRunId(), replaces));
      },
      async stop(turn) {
        try {
          await stopRun(turn.runId);
        } catch (error) {
          // The run is not there yet, or no more: leaving it is all there is to do.
          if (!(error instanceof RequestRefused && error.status === 404)) throw error;
          leave();
          sessionStorage.removeItem(ASKING);
          dispatch({ type: "abandoned", runId: turn.runId });
        }
      },
      reconnect(turn) {
        dispatch({ type: "resumed", runId: turn.runId });
        void follow(turn.runId, reading.current.signal);
      },
      async judge({ runId, messageId }, feedback) {
        if (messageId === null) return;
        await (feedback === null ? takeFeedbackBack(messageId) : giveFeedback(messageId, feedback));
        dispatch({ type: "judged", runId, feedback });
      },
      reopen: () => void open(latest.current.threadId),
      startNew: () => void open(null),
    };
  }, [follow, leave, open, send]);

  return [conversation, actions];
}

/** Collections as a question names them: at least one, or none is named. */
function isSome(names: string[]): names is [string, ...string[]] {
  return names.length > 0;
}

/** The run is there: the page needs not ask again after a reload, and other tabs can read it too. */
function noteBegun(asked: ChatRequest | null, threadId: string | null): void {
  if (asked === null) return;
  sessionStorage.removeItem(ASKING);
  if (threadId === null) return;
  const { run_id: runId, question, replace = null } = asked;
  tabs.tell({ type: "asked", threadId, runId, question, replaces: replace });
}

/** The question that was on its way in this thread when the page was left; asking it again attaches to its run. */
function takePending(threadId: string | null): ChatRequest | null {
  const stored = sessionStorage.getItem(ASKING);
  sessionStorage.removeItem(ASKING);
  if (stored === null) return null;
  const pending = JSON.parse(stored) as ChatRequest;
  return (pending.thread_id ?? null) === threadId ? pending : null;
}
