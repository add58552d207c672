/** A passage in its document's text, with quotes marked and what stands around it. */
import { useEffect, useMemo, useRef } from "react";

import { cutText, markQuotes, type Range } from "../text/passage";
import { findWraps } from "../text/wrapping";
import type { Citation, SourceRecord } from "../wire";
import { words } from "../words";

export function Passage({ source, citations }: { source: SourceRecord; citations: Citation[] }) {
  const { pieces, missing } = markQuotes(source, citations);
  const { text: passage, before, after } = source;
  const wraps = useMemo(() => findWraps(before + passage + after), [before, passage, after]);
  const text = useRef<HTMLParagraphElement>(null);

  useEffect(() => {
    const mark = text.current?.querySelector("mark") ?? text.current?.querySelector(".inside");
    mark?.scrollIntoView({ block: "center" });
  }, [source, citations]);

  return (
    <>
      {missing.map((quote) => (
        <div key={quote}>
          <p className="panel-note">{words.notInPassage}</p>
          <blockquote data-testid="quote" dir="auto">
            <mark>{quote}</mark>
          </blockquote>
        </div>
      ))}
      <p className="passage" ref={text} dir="auto">
        <span className="around">
          <Reflowed text={before} start={0} wraps={wraps} />
        </span>
        {pieces.map(({ text, start, marked }) => {
          const reflowed = <Reflowed text={text} start={before.length + start} wraps={wraps} />;
          return marked ? (
            <mark key={start} data-testid="quote">
              {reflowed}
            </mark>
          ) : (
            <span key={start} className="inside">
              {reflowed}
            </span>
          );
        })}
        <span className="around">
          <Reflowed text={after} start={before.length + passage.length} wraps={wraps} />
        </span>
      </p>
    </>
  );
}

/** A part of a text, beginning at `start`, with every character; the text's wraps look like spaces. */
function Reflowed({ text, start, wraps }: { text: string; start: number; wraps: Range[] }) {
  const inPart = wraps.map((wrap) => ({ start: wrap.start - start, end: wrap.end - start }));
  return cutText(text, inPart).map((piece) => (
    <span key={piece.start} className={piece.marked ? "wrap" : undefined}>
      {piece.text}
    </span>
  ));
}
