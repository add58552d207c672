/** One source: its page as a picture where there is one, or the passage in its text. */
import { useEffect, useMemo, useState } from "react";

import { getSource } from "../service/api";
import { describeError } from "../service/stream";
import type { Failure } from "../state/thread";
import type { Citation, Source, SourceRecord } from "../wire";
import { explain, words } from "../words";
import { PageImage } from "./PageImage";
import { Passage } from "./Passage";

type View = "page" | "text";

export function OneSource({ source, citations }: { source: Source; citations: Citation[] }) {
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
