/** Holds what is read beside the conversation, and where it was opened. */
import { useCallback, useEffect, useRef, useState } from "react";

import type { Reading } from "../state/reading";

/**
 * What is read, a way to read something, and a way to close it, which gives the focus back.
 *
 * `threadId` is the conversation that is shown: the sources of another one are others, also by the browser's Back.
 */
export function useReading(
  threadId: string | null | undefined,
  wide: boolean,
): [Reading | null, (next: Reading) => void, () => void] {
  const [reading, setReading] = useState<Reading | null>(null);
  const opener = useRef<Element | null>(null);

  useEffect(() => setReading(null), [threadId]);

  const read = useCallback(
    (next: Reading) => {
      const from = document.activeElement;
      // Walking on inside the panel keeps the way back to where it was opened.
      if (from?.closest(".panel") == null) opener.current = from;
      setReading(next);
      // Where the source comes over the lower part of the conversation, what was clicked stays in sight above it.
      if (!wide) from?.closest(".block, .cited, .actions")?.scrollIntoView({ block: "start" });
    },
    [wide],
  );

  const close = useCallback(() => {
    setReading(null);
    if (opener.current instanceof HTMLElement) opener.current.focus({ preventScroll: true });
  }, []);

  return [reading, read, close];
}
