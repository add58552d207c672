/** The question box, with Ask, or Stop while an answer is on its way. */
import { useEffect, useRef, useState, type KeyboardEvent, type ReactNode, type Ref } from "react";

import { words } from "../words";
import { Icon } from "./Icon";

/** The service takes no longer ones. */
export const MAX_QUESTION_CHARS = 8_000;

interface Props {
  box: Ref<HTMLTextAreaElement>;
  /** Kept outside, so that it is still there after a look at something else. */
  draft: string;
  onDraft: (text: string) => void;
  /** Nothing was asked yet in this conversation. */
  first: boolean;
  disabled: boolean;
  onAsk: (question: string) => void;
  /** Null when nothing runs. */
  onStop: (() => Promise<void>) | null;
  /** What stands under the box: which collections are searched. */
  children: ReactNode;
}

export function Ask({ box, draft, onDraft, first, disabled, onAsk, onStop, children }: Props) {
  const question = draft.trim();
  const tooLong = Array.from(question).length > MAX_QUESTION_CHARS;
  const canSend = question !== "" && !tooLong && !disabled && onStop === null;

  function send() {
    if (!canSend) return;
    onAsk(question);
    onDraft("");
  }

  function sendOnEnter(event: KeyboardEvent) {
    if (event.key !== "Enter" || event.shiftKey || isComposing(event)) return;
    event.preventDefault();
    send();
  }

  return (
    <form
      className="ask"
      onSubmit={(event) => {
        event.preventDefault();
        send();
      }}
    >
      <div className="ask-box">
        <textarea
          ref={box}
          id="question"
          data-testid="question"
          aria-label={words.question}
          aria-keyshortcuts="/"
          placeholder={first ? words.askFirst : words.askNext}
          dir="auto"
          rows={1}
          value={draft}
          onChange={(event) => onDraft(event.target.value)}
          onKeyDown={sendOnEnter}
        />
        {onStop === null ? (
          <button type="submit" className="primary" data-testid="send" disabled={!canSend}>
            {words.ask}
          </button>
        ) : (
          <Stop onStop={onStop} />
        )}
      </div>
      <div className="ask-foot">
        {children}
        {tooLong ? (
          <p className="hint" role="alert">
            {words.tooLong(MAX_QUESTION_CHARS)}
          </p>
        ) : (
          <p className="hint keys-hint">
            <kbd>{words.hint[0]}</kbd> {words.hint[1]} <kbd>{words.hint[2]}</kbd> {words.hint[3]}
          </p>
        )}
      </div>
    </form>
  );
}

/** While an input method composes a word, Enter ends the word. Safari tells that by the code 229 alone. */
export function isComposing({ nativeEvent }: KeyboardEvent): boolean {
  return nativeEvent.isComposing || nativeEvent.keyCode === 229;
}

function Stop({ onStop }: { onStop: () => Promise<void> }) {
  const [state, setState] = useState<"ready" | "stopping" | "missed">("ready");
  const here = useRef(true);
  const said = { ready: words.stop, stopping: words.stopping, missed: words.stopAgain };
  useEffect(() => {
    here.current = true;
    return () => {
      here.current = false;
    };
  }, []);

  async function stop() {
    setState("stopping");
    try {
      await onStop();
    } catch {
      if (here.current) setState("missed");
    }
  }

  return (
    <button
      type="button"
      className="stop"
      data-testid="stop"
      aria-keyshortcuts="Escape"
      disabled={state === "stopping"}
      onClick={(event) => {
        // Of a double click on Ask, the second one falls on this button.
        if (event.detail < 2) void stop();
      }}
    >
      <Icon name="stop" />
      {said[state]}
    </button>
  );
}
