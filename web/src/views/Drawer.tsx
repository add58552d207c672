/** The side bar where there is no room beside the conversation: over it, and gone when something was chosen. */
import { useEffect, useRef, type ReactNode } from "react";

import { words } from "../words";
import { IconButton } from "./Button";

export function Drawer({ onClose, children }: { onClose: () => void; children: ReactNode }) {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => dialog.current?.showModal(), []);
  return (
    <dialog
      ref={dialog}
      className="drawer"
      aria-label={words.threads}
      onClose={onClose}
      onClick={(event) => {
        if (event.target === dialog.current) dialog.current.close();
      }}
    >
      <IconButton icon="cross" label={words.closeMenu} onClick={() => dialog.current?.close()} />
      {children}
    </dialog>
  );
}
