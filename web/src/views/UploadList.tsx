/** Files on their way into the index, each with its progress or what went wrong. */
import type { Uploads } from "../hooks/uploads";
import { isOnItsWay, type Upload } from "../state/uploads";
import { explain, words } from "../words";
import { Icon } from "./Icon";

export function UploadList({ uploads }: { uploads: Uploads }) {
  const clearable = uploads.uploads.some((upload) => !isOnItsWay(upload));
  return (
    <section className="uploads" aria-label={words.uploads} data-testid="uploads">
      <header>
        <h2>{words.uploads}</h2>
        {clearable && (
          <button type="button" className="action" onClick={uploads.clear}>
            {words.clearUploads}
          </button>
        )}
      </header>
      <ul>
        {uploads.uploads.map((upload) => (
          <UploadLine key={upload.id} upload={upload} onRetry={() => uploads.retry(upload.id)} />
        ))}
      </ul>
    </section>
  );
}

const UPLOAD_ICONS = {
  waiting: "circle",
  sending: "spinner",
  reading: "spinner",
  done: "check",
  failed: "warning",
} as const;

function UploadLine({ upload, onRetry }: { upload: Upload; onRetry: () => void }) {
  const { name, state, sent, read, failure } = upload;
  const problem = failure === null ? null : (words.fileProblems as Record<string, string>)[failure.code];
  return (
    <li className={`upload ${state}`} data-testid="upload" data-state={state}>
      <Icon name={UPLOAD_ICONS[state]} />
      <span className="upload-name" dir="auto">
        {name}
      </span>
      <span className="upload-state" role="status">
        {words.uploadStates[state]}
        {read > 1 && ` · ${words.filesRead(read)}`}
      </span>
      {state === "sending" && <progress max={1} value={sent} aria-label={words.uploadOf(name)} />}
      {state === "reading" && <progress aria-label={words.uploadOf(name)} />}
      {failure !== null && (
        <p className="upload-problem" role="alert" dir="auto">
          {problem ?? explain(failure)}
        </p>
      )}
      {failure !== null && problem === undefined && failure.code !== "document_unreadable" && (
        <button type="button" className="action" onClick={onRetry}>
          <Icon name="again" />
          {words.retry}
        </button>
      )}
    </li>
  );
}
