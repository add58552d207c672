/** What to do where nothing is indexed. */
import { words } from "../words";
import { CopyButton } from "./CopyButton";

export function EmptyIndex() {
  return (
    <section className="empty" data-testid="empty-index">
      <h2>{words.emptyIndex}</h2>
      <p>{words.emptyIndexMore}</p>
      <p className="command" dir="ltr">
        <code>{words.emptyIndexCommand}</code>
        <CopyButton text={() => words.emptyIndexCommand} label={words.copy} />
      </p>
    </section>
  );
}
