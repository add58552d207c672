/** The open source: the passage in its document, with the quote marked. */
import { useEffect, useMemo, useRef, useState } from "react";

import { getSource, RequestRefused } from "../api";
import { type OpenSource, VERDICT_WORDS } from "../citations";
import { formatPlace } from "../format";
import { cutText, markQuotes, type Range } from "../passage";
import type { Citation, SourceRecord } from "../wire";
import { findWraps } from "../wrapping";
import { Icon, VerdictIcon } from "./Icon";

interface Props {
  source: OpenSource;
  onClose: () => void;
}

type Loaded = SourceRecord | { error: string } | null;

export function SourcePanel({ source, onClose }: Props) {
  const loaded = useSource(source.id);
  const panel = useRef<HTMLElement>(null);

  useEffect(() => {
    panel.current?.focus({ preventScroll: true });
    const closeOnEscape = (event: KeyboardEvent) => {
      if (event.key === "Escape") onClose();
    };
    window.addEventListener("keydown", closeOnEscape);
    return () => window.removeEventListener("keydown", closeOnEscape);
  }, [source, onClose]);

  return (
    <aside
      ref={panel}
      className="panel"
      tabIndex={-1}
      aria-label={`Source ${source.index}`}
      data-testid="source-panel"
    >
      <header>
        <span className="panel-index">Source {source.index}</span>
        <button type="button" className="quiet" aria-label="Close the source" onClick={onClose}>
          <Icon name="cross" />
        </button>
      </header>
      {loaded === null && <p className="muted">Loading the source…</p>}
      {loaded !== null && "error" in loaded && (
        <p className="notice" role="alert">
          {loaded.error}
        </p>
      )}
      {loaded !== null && "text" in loaded && <Passage source={loaded} citations={source.citations} />}
    </aside>
  );
}

function Passage({ source, citations }: { source: SourceRecord; citations: Citation[] }) {
  const { pieces, missing } = markQuotes(source, citations);
  const { text: passage, before, after } = source;
  const wraps = useMemo(() => findWraps(before + passage + after), [before, passage, after]);
  const text = useRef<HTMLParagraphElement>(null);
  const place = formatPlace(source);

  useEffect(() => {
    text.current?.querySelector("mark")?.scrollIntoView({ block: "nearest" });
  }, [source, citations]);

  return (
    <>
      <h2>{source.document.title || source.document.source}</h2>
      {place !== "" && <p className="panel-place">{place}</p>}
      <Origin address={source.document.source} />
      {!source.live && <p className="panel-note">This is an older version of the document; it has changed since.</p>}
      {citations.length === 1 && citations[0] !== undefined && <Check citation={citations[0]} />}
      {missing.map((quote) => (
        <blockquote key={quote} data-testid="quote">
          <mark>{quote}</mark>
        </blockquote>
      ))}
      <p className="passage" ref={text}>
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
            <span key={start}>{reflowed}</span>
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

function Check({ citation }: { citation: Citation }) {
  return (
    <p className={`check ${citation.verified}`}>
      <VerdictIcon verdict={citation.verified} />
      {VERDICT_WORDS[citation.verified]}
    </p>
  );
}

/** Where the document came from; a link when that is on the web. */
function Origin({ address }: { address: string }) {
  if (!/^https?:\/\//.test(address)) return <p className="panel-origin">{address}</p>;
  return (
    <p className="panel-origin">
      <a href={address} title={address} target="_blank" rel="noopener noreferrer nofollow">
        {address}
      </a>
    </p>
  );
}

function useSource(id: string): Loaded {
  const [loaded, setLoaded] = useState<Loaded>(null);
  useEffect(() => {
    const leaving = new AbortController();
    getSource(id, leaving.signal)
      .then(setLoaded)
      .catch((error: unknown) => {
        if (leaving.signal.aborted) return;
        const refused = error instanceof RequestRefused;
        setLoaded({ error: refused ? error.message : "The source could not be loaded. The server cannot be reached." });
      });
    return () => leaving.abort();
  }, [id]);
  return loaded;
}
