/** The question box, with Send, or Stop while an answer is on its way. */
import { useEffect, useRef, useState, type KeyboardEvent } from "react";

interface Props {
  /** Nothing was asked yet in this conversation. */
  first: boolean;
  disabled: boolean;
  onAsk: (question: string) => void;
  /** Null when nothing runs. */
  onStop: (() => Promise<void>) | null;
}

export function Ask({ first, disabled, onAsk, onStop }: Props) {
  const [text, setText] = useState("");
  const box = useRef<HTMLTextAreaElement>(null);
  const question = text.trim();
  const canSend = question !== "" && !disabled && onStop === null;

  useEffect(() => {
    if (first) box.current?.focus();
  }, [first]);

  function send() {
    if (!canSend) return;
    onAsk(question);
    setText("");
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
          data-testid="question"
          aria-label="Your question"
          placeholder={first ? "Ask your documents" : "Ask a follow-up"}
          rows={1}
          value={text}
          onChange={(event) => setText(event.target.value)}
          onKeyDown={sendOnEnter}
        />
        {onStop === null ? (
          <button type="submit" className="primary" data-testid="send" disabled={!canSend}>
            Ask
          </button>
        ) : (
          <Stop onStop={onStop} />
        )}
      </div>
      <p className="hint">
        <kbd>Enter</kbd> asks, <kbd>Shift</kbd>&thinsp;+&thinsp;<kbd>Enter</kbd> starts a new line
      </p>
    </form>
  );
}

/** While an input method composes a word, Enter ends the word. Safari tells that by the code 229 alone. */
function isComposing({ nativeEvent }: KeyboardEvent): boolean {
  return nativeEvent.isComposing || nativeEvent.keyCode === 229;
}

function Stop({ onStop }: { onStop: () => Promise<void> }) {
  const [state, setState] = useState<"ready" | "stopping" | "missed">("ready");
  const words = { ready: "Stop", stopping: "Stopping…", missed: "Stop again" };

  async function stop() {
    setState("stopping");
    try {
      await onStop();
    } catch {
      setState("missed");
    }
  }

  return (
    <button
      type="button"
      className="stop"
      data-testid="stop"
      disabled={state === "stopping"}
      onClick={(event) => {
        // Of a double click on Ask, the second one falls on this button.
        if (event.detail < 2) void stop();
      }}
    >
      {words[state]}
    </button>
  );
}
