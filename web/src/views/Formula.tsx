/** A formula, typeset by KaTeX, which is fetched with the first one. It builds elements itself, and follows no links. */
import { useEffect, useRef, useState } from "react";

interface Props {
  tex: string;
  /** On a line of its own. */
  display: boolean;
}

export function Formula({ tex, display }: Props) {
  const place = useRef<HTMLSpanElement>(null);
  const [typeset, setTypeset] = useState(false);

  useEffect(() => {
    let here = true;
    import("../text/typesetting").then(
      ({ typesetInto }) => {
        if (!here || place.current === null) return;
        typesetInto(place.current, tex, display);
        setTypeset(true);
      },
      // The formula stays as it was written.
      () => undefined,
    );
    return () => {
      here = false;
    };
  }, [tex, display]);

  return (
    <span className={display ? "formula display" : "formula"} dir="ltr" tabIndex={display ? 0 : undefined}>
      {!typeset && <code>{tex}</code>}
      <span ref={place} />
    </span>
  );
}
