/** Keys that work wherever the focus is; letters and signs not where something is written. */
import { useEffect, useRef } from "react";

export function useShortcuts(shortcuts: Record<string, () => void>): void {
  const latest = useRef(shortcuts);
  useEffect(() => {
    latest.current = shortcuts;
  });
  useEffect(() => {
    const onKey = (event: KeyboardEvent) => {
      const act = latest.current[event.key];
      const target = event.target instanceof HTMLElement ? event.target : null;
      const writing = target?.closest("input, textarea, select, [contenteditable]") != null;
      if (act === undefined || event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
      // What is open over the page takes its keys itself.
      if (document.querySelector("dialog[open], :popover-open") !== null) return;
      if (writing && event.key !== "Escape") return;
      event.preventDefault();
      act();
    };
    window.addEventListener("keydown", onKey);
    return () => window.removeEventListener("keydown", onKey);
  }, []);
}
