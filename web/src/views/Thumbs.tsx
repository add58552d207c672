/** What the reader thinks of an answer: a thumb, and a few words if he wants. */
import { useState } from "react";

import { describeError } from "../service/stream";
import type { Turn } from "../state/turn";
import type { Feedback } from "../wire";
import { explain, words } from "../words";
import { IconButton } from "./Button";

const MAX_COMMENT_CHARS = 2_000;

interface Props {
  turn: Turn;
  onJudge: (turn: Turn, feedback: Feedback | null) => Promise<void>;
}

export function Thumbs({ turn, onJudge }: Props) {
  const { feedback } = turn;
  const [comment, setComment] = useState<string | null>(null);
  const [error, setError] = useState<string | null>(null);

  async function judge(next: Feedback | null, asksWhy: boolean) {
    setError(null);
    try {
      await onJudge(turn, next);
      setComment(asksWhy ? (next?.comment ?? "") : null);
    } catch (caught) {
      setError(explain(describeError(caught)));
    }
  }

  /** The same thumb again takes it back. */
  function press(score: Feedback["score"]) {
    const again = feedback?.score === score;
    void judge(again ? null : { score, comment: null }, !again);
  }

  return (
    <>
      <span className="thumbs" role="group" aria-label={words.feedback}>
        <IconButton
          icon="thumbUp"
          label={words.good}
          data-testid="thumb-up"
          aria-pressed={feedback?.score === 1}
          onClick={() => press(1)}
        />
        <IconButton
          icon="thumbDown"
          label={words.bad}
          data-testid="thumb-down"
          aria-pressed={feedback?.score === -1}
          onClick={() => press(-1)}
        />
      </span>
      {comment !== null && feedback !== null && (
        <form
          className="comment"
          onSubmit={(event) => {
            event.preventDefault();
            void judge({ ...feedback, comment: comment.trim() || null }, false);
          }}
        >
          <textarea
            aria-label={words.comment}
            placeholder={feedback.score === 1 ? words.whyGood : words.whyBad}
            data-testid="comment"
            dir="auto"
            rows={2}
            maxLength={MAX_COMMENT_CHARS}
            value={comment}
            onChange={(event) => setComment(event.target.value)}
            onKeyDown={(event) => {
              if (event.key !== "Escape") return;
              event.stopPropagation();
              setComment(null);
            }}
          />
          <div className="notice-actions">
            <button type="button" onClick={() => setComment(null)}>
              {words.close}
            </button>
            <button type="submit" className="primary" data-testid="send-comment" disabled={comment.trim() === ""}>
              {words.send}
            </button>
          </div>
        </form>
      )}
      {comment === null && feedback?.comment != null && (
        <button type="button" className="action comment-shown" onClick={() => setComment(feedback.comment)}>
          <span dir="auto">“{feedback.comment}”</span>
        </button>
      )}
      {error !== null && (
        <p className="thumbs-error" role="alert">
          {error}
        </p>
      )}
    </>
  );
}
