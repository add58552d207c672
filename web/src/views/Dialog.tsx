/** Windows over the page: the browser's own dialogs, which keep the focus inside and close on Escape. */
import { useEffect, useId, useRef, useState, type ReactNode } from "react";

import { describeError } from "../service/stream";
import { explain, words } from "../words";
import { IconButton } from "./Button";
import { Icon } from "./Icon";

interface DialogProps {
  title: string;
  className?: string;
  onClose: () => void;
  children: ReactNode;
}

export function Dialog({ title, className = "", onClose, children }: DialogProps) {
  const dialog = useRef<HTMLDialogElement>(null);
  const id = useId();
  useEffect(() => dialog.current?.showModal(), []);
  return (
    <dialog
      ref={dialog}
      className={`dialog ${className}`}
      aria-labelledby={id}
      onClose={onClose}
      onClick={(event) => {
        // What stands in it has targets of its own; the dialog itself is hit on its backdrop alone.
        if (event.target === dialog.current) dialog.current.close();
      }}
    >
      <div className="dialog-content">
        <header>
          <h2 id={id}>{title}</h2>
          <IconButton icon="cross" label={words.close} onClick={() => dialog.current?.close()} />
        </header>
        {children}
      </div>
    </dialog>
  );
}

interface ConfirmProps {
  title: string;
  text: string;
  action: string;
  /** Closes the dialog when it succeeds. */
  onConfirm: () => Promise<void>;
  onClose: () => void;
}

/** Asks before something that cannot be undone. */
export function Confirm({ title, text, action, onConfirm, onClose }: ConfirmProps) {
  const [state, setState] = useState<{ busy: boolean; error: string | null }>({ busy: false, error: null });

  async function confirm() {
    setState({ busy: true, error: null });
    try {
      await onConfirm();
      onClose();
    } catch (error) {
      setState({ busy: false, error: explain(describeError(error)) });
    }
  }

  return (
    <Dialog title={title} onClose={onClose}>
      <p dir="auto">{text}</p>
      {state.error !== null && (
        <p className="notice" role="alert">
          {state.error}
        </p>
      )}
      <div className="dialog-actions">
        <button type="button" onClick={onClose}>
          {words.cancel}
        </button>
        <button
          type="button"
          className="danger"
          data-testid="confirm"
          disabled={state.busy}
          onClick={() => void confirm()}
        >
          {state.busy && <Icon name="spinner" />}
          {action}
        </button>
      </div>
    </Dialog>
  );
}

/** The keys that the page understands. */
export function Keys({ onClose }: { onClose: () => void }) {
  return (
    <Dialog title={words.keyboard} onClose={onClose}>
      <dl className="keys">
        {words.keys.map(([key, meaning]) => (
          <div key={key}>
            <dt>
              <kbd>{key}</kbd>
            </dt>
            <dd>{meaning}</dd>
          </div>
        ))}
      </dl>
    </Dialog>
  );
}
