/** All sources of a turn, the cited ones first. */
import { formatPlace, formatTitle } from "../format";
import type { Turn } from "../turn";
import type { Source } from "../wire";

interface Props {
  turn: Turn;
  onOpen: (index: number) => void;
}

export function Sources({ turn, onOpen }: Props) {
  const cited = citedIndexes(turn);
  const groups = [
    { name: "Cited", sources: turn.sources.filter((source) => cited.has(source.index)) },
    {
      name: cited.size > 0 ? "Also found" : "Found, not cited",
      sources: turn.sources.filter((source) => !cited.has(source.index)),
    },
  ];
  return (
    <section className="sources" data-testid="sources" aria-label="Sources">
      {groups
        .filter((group) => group.sources.length > 0)
        .map((group) => (
          <div key={group.name}>
            <h3>{group.name}</h3>
            <ul>
              {group.sources.map((source) => (
                <SourceLine key={source.id} source={source} onOpen={onOpen} />
              ))}
            </ul>
          </div>
        ))}
    </section>
  );
}

function SourceLine({ source, onOpen }: { source: Source; onOpen: (index: number) => void }) {
  const place = formatPlace(source.metadata);
  return (
    <li>
      <button type="button" className="source" data-index={source.index} onClick={() => onOpen(source.index)}>
        <span className="source-index">{source.index}</span>
        <span className="source-title">{formatTitle(source)}</span>
        {place !== "" && <span className="source-place">{place}</span>}
        <span className="source-text">{source.text}</span>
      </button>
    </li>
  );
}

function citedIndexes(turn: Turn): Set<number> {
  const told = turn.outcome?.kind === "done" ? turn.outcome.cited : [];
  return new Set([...told, ...turn.citations.map((citation) => citation.index)]);
}
