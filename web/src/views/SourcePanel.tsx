/** Beside the answer: all sources of a turn, or one of them with the quote marked where it stands. */
import { useEffect, useRef, type KeyboardEvent } from "react";

import { orderCitations, placeOf, step, type Reading } from "../state/reading";
import type { Turn } from "../state/turn";
import { formatPlace, formatTitle } from "../text/format";
import type { Citation, Source } from "../wire";
import { words } from "../words";
import { IconButton } from "./Button";
import { Icon, VerdictIcon } from "./Icon";
import { OneSource } from "./OneSource";
import { SourceList } from "./SourceList";

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
