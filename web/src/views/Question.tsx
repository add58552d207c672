/** The question of a turn, and a box to change it in. */
import { useState, type KeyboardEvent } from "react";

import { words } from "../words";
import { isComposing, MAX_QUESTION_CHARS } from "./Ask";
import { IconButton } from "./Button";

interface Props {
  question: string;
  /** Null where it cannot be changed. */
  onChange: ((question: string) => void) | null;
}

export function Question({ question, onChange }: Props) {
  const [draft, setDraft] = useState<string | null>(null);
  const changed = draft?.trim() ?? "";
  const canSend = changed !== "" && onChange !== null;

  function send() {
    if (!canSend) return;
    setDraft(null);
    onChange(changed);
  }

  function onKeyDown(event: KeyboardEvent) {
    if (event.key === "Escape") {
      event.stopPropagation();
      setDraft(null);
    } else if (event.key === "Enter" && !event.shiftKey && !isComposing(event)) {
      event.preventDefault();
      send();
    }
  }

  if (draft !== null) {
    return (
      <form
        className="edit"
        onSubmit={(event) => {
          event.preventDefault();
          send();
        }}
      >
        <textarea
          autoFocus
          data-testid="edit-question"
          aria-label={words.edit}
          dir="auto"
          maxLength={MAX_QUESTION_CHARS}
          value={draft}
          onChange={(event) => setDraft(event.target.value)}
          onKeyDown={onKeyDown}
        />
        <p className="muted">{words.editMore}</p>
        <div className="notice-actions">
          <button type="button" onClick={() => setDraft(null)}>
            {words.cancel}
          </button>
          <button type="submit" className="primary" disabled={!canSend}>
            {words.ask}
          </button>
        </div>
      </form>
    );
  }
  return (
    <div className="question-line">
      <h2 className="question" dir="auto">
        {question}
      </h2>
      {onChange !== null && (
        <IconButton icon="pencil" label={words.edit} data-testid="edit" onClick={() => setDraft(question)} />
      )}
    </div>
  );
}
