/** Coming back to the page: what was true when it was left may not be any more. */
import { useEffect, useRef } from "react";

/** Call `act` when the page is looked at again, or the browser is online again. */
export function useReturn(act: () => unknown): void {
  const latest = useRef(act);
  useEffect(() => {
    latest.current = act;
  });
  useEffect(() => {
    const onReturn = () => {
      if (document.visibilityState === "visible") latest.current();
    };
    document.addEventListener("visibilitychange", onReturn);
    window.addEventListener("online", onReturn);
    return () => {
      document.removeEventListener("visibilitychange", onReturn);
      window.removeEventListener("online", onReturn);
    };
  }, []);
}
