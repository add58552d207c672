/** All sources of a turn, the cited ones first, each with its file, place and score. */
import { citationsOf, groupSources, type Reading } from "../state/reading";
import type { Turn } from "../state/turn";
import { formatPlace, formatScore, formatTitle } from "../text/format";
import type { Source } from "../wire";
import { words } from "../words";

export function SourceList({ turn, onRead }: { turn: Turn; onRead: (reading: Reading) => void }) {
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
