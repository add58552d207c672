/** Before the first question: what this is, and what there is to ask about. */
import type { Library } from "../hooks/library";
import { explain, words } from "../words";
import { EmptyIndex } from "./EmptyIndex";

interface Props {
  library: Library;
  onBringDocuments: () => void;
}

export function Welcome({ library, onBringDocuments }: Props) {
  const documents = (library.collections ?? []).reduce((sum, collection) => sum + collection.documents, 0);
  if (library.empty) {
    return (
      <div className="welcome">
        <EmptyIndex />
        <button type="button" className="primary" data-testid="bring-documents" onClick={onBringDocuments}>
          {words.bringDocuments}
        </button>
      </div>
    );
  }
  return (
    <div className="welcome">
      <h1>{words.welcome}</h1>
      <p>{words.welcomeMore}</p>
      {documents > 0 && (
        <button type="button" className="quiet" onClick={onBringDocuments}>
          {words.indexed(documents)}
        </button>
      )}
      {library.failure !== null && (
        <div className="notice" role="alert" data-testid="error">
          <p>{explain(library.failure)}</p>
          <div className="notice-actions">
            <button type="button" onClick={library.refresh}>
              {words.retry}
            </button>
          </div>
        </div>
      )}
    </div>
  );
}
