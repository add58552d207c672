/** Which collections a question searches. */
import { useId } from "react";

import type { Library } from "../hooks/library";
import { words } from "../words";
import { Icon } from "./Icon";

export const COLLECTIONS_ID = "collections";

/** The service searches no more of them at once. */
const MOST = 20;

export function Collections({ library }: { library: Library }) {
  const id = useId();
  const there = (library.collections ?? []).filter(({ documents }) => documents > 0);
  if (there.length < 2) return null;

  function toggle(name: string) {
    const chosen = library.chosen.includes(name)
      ? library.chosen.filter((other) => other !== name)
      : [...library.chosen, name];
    // With none there would be nothing to answer from.
    if (chosen.length > 0) library.choose(chosen);
  }

  return (
    <div className="collections">
      <button type="button" className="action" id={COLLECTIONS_ID} popoverTarget={id} data-testid="collections">
        <Icon name="folder" />
        <span dir="auto">{words.searching(library.chosen)}</span>
      </button>
      <div id={id} popover="auto" className="menu" data-testid="collections-menu">
        <fieldset>
          <legend>{words.searchIn}</legend>
          {there.map(({ name, documents }) => (
            <label key={name}>
              <input
                type="checkbox"
                checked={library.chosen.includes(name)}
                disabled={library.chosen.length >= MOST && !library.chosen.includes(name)}
                onChange={() => toggle(name)}
              />
              <span dir="auto">{name}</span>
              <span className="muted">{words.documentsIn(documents)}</span>
            </label>
          ))}
        </fieldset>
      </div>
    </div>
  );
}
