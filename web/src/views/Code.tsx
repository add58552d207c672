/** A block of code: its language, a way to copy it, and colours once it is complete. */
import { useEffect, useState, type ReactNode } from "react";

import { highlight } from "../text/highlighting";
import { words } from "../words";
import { CopyButton } from "./CopyButton";

interface Props {
  text: string;
  language: string;
  /** More of it is coming. */
  growing: boolean;
}

export function Code({ text, language, growing }: Props) {
  const [coloured, setColoured] = useState<{ of: string; content: ReactNode } | null>(null);

  useEffect(() => {
    if (growing || language === "") return;
    let here = true;
    highlight(text, language).then(
      (content) => {
        if (here && content !== null) setColoured({ of: text, content });
      },
      // Without its colours it can be read as well.
      () => undefined,
    );
    return () => {
      here = false;
    };
  }, [text, language, growing]);

  return (
    <figure className="code" dir="ltr">
      <figcaption>
        <span>{language || words.code}</span>
        <CopyButton text={() => text} label={words.copyCode} />
      </figcaption>
      <pre tabIndex={0}>
        <code>{coloured?.of === text ? coloured.content : text}</code>
      </pre>
    </figure>
  );
}
