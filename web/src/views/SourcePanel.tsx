/** Beside the answer: all sources of a turn, or one of them with the quote marked where it stands. */
import { useEffect, useMemo, useRef, useState, type KeyboardEvent } from "react";

import { getSource } from "../service/api";
import { describeError } from "../service/stream";
import { citationsOf, groupSources, orderCitations, placeOf, step, type Reading } from "../state/reading";
import type { Failure } from "../state/thread";
import type { Turn } from "../state/turn";
import { formatPlace, formatScore, formatTitle } from "../text/format";
import type { Citation, Source, SourceRecord } from "../wire";
import { explain, words } from "../words";
import { IconButton } from "./Button";
import { Icon, VerdictIcon } from "./Icon";
import { PageImage } from "./PageImage";
import { Passage } from "./Passage";

interface Props {
  turn: Turn;
  reading: Reading;
  onRead: (reading: Reading) => void;
  onClose: () => void;
}

export function SourcePanel({ turn, reading, onRead, onClose }: Props) {
  const panel = useRef<HTMLElement>(null);
  const source = turn.sources.find((candidate) => candidate.index === reading.index);
  const place = placeOf(turn, reading);
  const previous = step(turn, reading, -1);
  const next = step(turn, reading, 1);

  useEffect(() => {
    // Walking through the citations keeps the focus on the way.
    if (!panel.current?.contains(document.activeElement)) panel.current?.focus({ preventScroll: true });
  }, [reading]);

  function onKeyDown(event: KeyboardEvent) {
    const to = { ArrowLeft: previous, ArrowRight: next }[event.key];
    if (to == null || event.target instanceof HTMLInputElement) return;
    event.preventDefault();
    onRead(to);
  }

  return (
    <aside
      ref={panel}
      className="panel"
      tabIndex={-1}
      aria-label={source === undefined ? words.sources : words.source(source.index)}
      data-testid="source-panel"
      onKeyDown={onKeyDown}
    >
      <header>
        <div className="panel-line">
          {source === undefined ? (
            <h2 className="panel-name">{words.sources}</h2>
          ) : (
            <button
              type="button"
              className="action"
              data-testid="back-to-sources"
              onClick={() => onRead({ ...reading, index: null, citations: [] })}
            >
              <Icon name="left" />
              {words.backToSources}
            </button>
          )}
          {place >= 0 && (
            <span className="panel-steps">
              <IconButton
                icon="left"
                label={words.previousCitation}
                disabled={previous === null}
                onClick={() => previous !== null && onRead(previous)}
              />
              <span className="muted" aria-label={words.citationOf(place + 1, orderCitations(turn).length)}>
                {place + 1} / {orderCitations(turn).length}
              </span>
              <IconButton
                icon="right"
                label={words.nextCitation}
                disabled={next === null}
                data-testid="next-citation"
                onClick={() => next !== null && onRead(next)}
              />
            </span>
          )}
          <IconButton icon="cross" label={words.closePanel} data-testid="close-panel" onClick={onClose} />
        </div>
        {source !== undefined && <Title source={source} citations={reading.citations} />}
      </header>
      <div className="panel-scroll" tabIndex={0}>
        {source === undefined ? (
          <SourceList turn={turn} onRead={onRead} />
        ) : (
          <OneSource key={source.id} source={source} citations={reading.citations} />
        )}
      </div>
    </aside>
  );
}

function SourceList({ turn, onRead }: { turn: Turn; onRead: (reading: Reading) => void }) {
  const { cited, others } = groupSources(turn);
  const groups = [
    { name: words.cited, sources: cited },
    { name: cited.length > 0 ? words.alsoFound : words.notCited, sources: others },
  ];
  const { runId } = turn;
  return (
    <div className="source-list" data-testid="source-list">
      {groups
        .filter(({ sources }) => sources.length > 0)
        .map(({ name, sources }) => (
          <section key={name} aria-label={name}>
            <h3>{name}</h3>
            <ul>
              {sources.map((source) => (
                <li key={source.id}>
                  <SourceLine
                    source={source}
                    onOpen={() => onRead({ runId, index: source.index, citations: citationsOf(turn, source.index) })}
                  />
                </li>
              ))}
            </ul>
          </section>
        ))}
    </div>
  );
}

function SourceLine({ source, onOpen }: { source: Source; onOpen: () => void }) {
  const { metadata, score, text } = source;
  return (
    <button type="button" className="source" data-testid="source" data-index={source.index} onClick={onOpen}>
      <span className="source-index">{source.index}</span>
      <span className="source-title" dir="auto">
        {formatTitle(source)}
      </span>
      <span className="source-score" title={words.scoreMore}>
        {words.score} {formatScore(score)}
      </span>
      <span className="source-place" dir="auto">
        {formatPlace(source)}
      </span>
      {metadata.title !== "" && metadata.title !== metadata.source && (
        <span className="source-file" dir="auto">
          {metadata.source}
        </span>
      )}
      <span className="source-text" dir="auto">
        {text}
      </span>
    </button>
  );
}

type View = "page" | "text";

function OneSource({ source, citations }: { source: Source; citations: Citation[] }) {
  const [loaded, again] = useSource(source.id);
  const [view, setView] = useState<View>("page");
  const [pageFailed, setPageFailed] = useState(false);
  const span = useMemo(() => spanOf(citations), [citations]);

  if (loaded === null) return <p className="muted panel-body">{words.loading}</p>;
  if ("code" in loaded) {
    return (
      <div className="notice panel-body" role="alert">
        <p>{explain(loaded)}</p>
        {loaded.code !== "source_not_found" && (
          <div className="notice-actions">
            <button type="button" onClick={again}>
              {words.retry}
            </button>
          </div>
        )}
      </div>
    );
  }
  const paged = loaded.page != null && loaded.boxes != null && !pageFailed;
  const doubted = citations.length === 1 && citations[0]?.verified === "unsupported";
  return (
    <div className="panel-body">
      {!loaded.live && <p className="panel-note">{words.older}</p>}
      {doubted && <p className="unsupported-note">{words.unsupportedMore}</p>}
      {pageFailed && <p className="panel-note">{words.pageFailed}</p>}
      {paged && (
        <div className="views" role="group" aria-label={words.showAs}>
          {(["page", "text"] as const).map((name) => (
            <button
              key={name}
              type="button"
              aria-pressed={view === name}
              data-testid={`as-${name}`}
              onClick={() => setView(name)}
            >
              {name === "page" ? words.asPage : words.asText}
            </button>
          ))}
        </div>
      )}
      {paged && view === "page" ? (
        <PageImage source={loaded} span={span} onFailed={() => setPageFailed(true)} />
      ) : (
        <Passage source={loaded} citations={citations} />
      )}
    </div>
  );
}

/** From the first to the last character of some quotes; null without any. */
function spanOf(citations: Citation[]): { start: number; end: number } | null {
  if (citations.length === 0) return null;
  return {
    start: Math.min(...citations.map(({ span }) => span.start)),
    end: Math.max(...citations.map(({ span }) => span.end)),
  };
}

/** Which source this is, and how a single quote of it was verified; in sight while its text is scrolled. */
function Title({ source, citations }: { source: Source; citations: Citation[] }) {
  const { metadata } = source;
  const place = formatPlace(source);
  const verdict = citations.length === 1 ? citations[0]?.verified : undefined;
  return (
    <div className="panel-title">
      <span className="source-index">{source.index}</span>
      <h2 dir="auto">{formatTitle(source)}</h2>
      {place !== "" && (
        <p className="panel-place" dir="auto">
          {place}
        </p>
      )}
      {metadata.source !== formatTitle(source) && <Origin address={metadata.source} />}
      {verdict !== undefined && (
        <p className={`check ${verdict}`}>
          <VerdictIcon verdict={verdict} />
          {words.verdicts[verdict]}
        </p>
      )}
    </div>
  );
}

/** Where the document came from; a link when that is on the web. */
function Origin({ address }: { address: string }) {
  if (!/^https?:\/\//.test(address)) {
    return (
      <p className="panel-origin" dir="auto">
        {address}
      </p>
    );
  }
  return (
    <p className="panel-origin">
      <a href={address} title={address} target="_blank" rel="noopener noreferrer nofollow">
        {address}
      </a>
    </p>
  );
}

function useSource(id: string): [SourceRecord | Failure | null, () => void] {
  const [loaded, setLoaded] = useState<SourceRecord | Failure | null>(null);
  const [tries, setTries] = useState(0);
  useEffect(() => {
    const leaving = new AbortController();
    setLoaded(null);
    getSource(id, leaving.signal)
      .then(setLoaded)
      .catch((error: unknown) => {
        if (!leaving.signal.aborted) setLoaded(describeError(error));
      });
    return () => leaving.abort();
  }, [id, tries]);
  return [loaded, () => setTries((before) => before + 1)];
}
