/** A button that copies a text and says whether it did. */
import { useEffect, useState } from "react";

import { copyText } from "../text/copying";
import { words } from "../words";
import { Icon } from "./Icon";

interface Props {
  text: () => string;
  label: string;
  /** Show the label beside the icon. */
  labelled?: boolean;
}

const SHOWN_MS = 2000;

export function CopyButton({ text, label, labelled = false }: Props) {
  const [state, setState] = useState<"ready" | "copied" | "failed">("ready");
  const said = { ready: label, copied: words.copied, failed: words.copyFailed }[state];

  useEffect(() => {
    if (state === "ready") return;
    const timer = setTimeout(() => setState("ready"), SHOWN_MS);
    return () => clearTimeout(timer);
  }, [state]);

  return (
    <button
      type="button"
      className="action"
      data-testid="copy"
      title={label}
      aria-label={label}
      onClick={() => void copyText(text()).then((copied) => setState(copied ? "copied" : "failed"))}
    >
      <Icon name={{ ready: "copy", copied: "check", failed: "cross" }[state] as "copy"} />
      {(labelled || state !== "ready") && <span aria-live="polite">{said}</span>}
    </button>
  );
}
