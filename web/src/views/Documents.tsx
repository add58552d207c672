/** Documents and collections: what there is, and how to bring more. */
import { useEffect, useMemo, useRef, useState } from "react";

import { DEFAULT_COLLECTION, useDocuments, type Library } from "../hooks/library";
import type { Uploads } from "../hooks/uploads";
import { isOnItsWay, type Upload } from "../state/uploads";
import { formatDay } from "../text/format";
import type { Document } from "../wire";
import { explain, words } from "../words";
import { IconButton } from "./Button";
import { CopyButton } from "./CopyButton";
import { Confirm } from "./Dialog";
import { Icon } from "./Icon";

interface Props {
  library: Library;
  uploads: Uploads;
  collection: string;
  onCollection: (name: string) => void;
  onBack: () => void;
}

export function DocumentsView({ library, uploads, collection, onCollection, onBack }: Props) {
  const documents = useDocuments(library.refresh);
  const [search, setSearch] = useState("");
  const { refresh } = documents;
  const indexed = uploads.uploads.filter(({ state }) => state === "done").length;
  useEffect(() => {
    if (indexed > 0) refresh();
    // `refresh` is another function with each render.
    // eslint-disable-next-line react-hooks/exhaustive-deps
  }, [indexed]);
  const groups = useMemo(() => groupByCollection(documents.documents, search), [documents.documents, search]);

  return (
    <div className="documents" data-testid="documents">
      <button type="button" className="action back" onClick={onBack}>
        <Icon name="left" />
        {words.backToAsking}
      </button>
      <h1>{words.documents}</h1>
      <p className="lead">{words.documentsMore}</p>
      {library.empty && <EmptyIndex />}
      <Bring library={library} uploads={uploads} collection={collection} onCollection={onCollection} />
      {uploads.uploads.length > 0 && <UploadList uploads={uploads} />}
      {documents.failure !== null && (
        <div className="notice" role="alert">
          <p>{explain(documents.failure)}</p>
          <div className="notice-actions">
            <button type="button" onClick={documents.refresh}>
              {words.retry}
            </button>
          </div>
        </div>
      )}
      {documents.documents.length > 8 && (
        <label className="search">
          <Icon name="search" />
          <input
            type="search"
            placeholder={words.filterDocuments}
            aria-label={words.filterDocuments}
            dir="auto"
            value={search}
            onChange={(event) => setSearch(event.target.value)}
          />
        </label>
      )}
      {documents.documents.length > 0 && groups.length === 0 && <p className="muted">{words.noDocumentFound}</p>}
      {groups.map(([name, some]) => (
        <section key={name} className="collection" data-testid="collection" data-name={name}>
          <h2>
            <Icon name="folder" />
            <span dir="auto">{name}</span>
            <span className="muted">{words.documentsIn(countIn(library, name) ?? some.length)}</span>
          </h2>
          <ul>
            {some.map((document) => (
              <DocumentLine key={document.id} document={document} onDelete={() => documents.remove(document.id)} />
            ))}
          </ul>
        </section>
      ))}
      {documents.more && (
        <button type="button" className="action" onClick={documents.loadMore}>
          {words.moreDocuments}
        </button>
      )}
    </div>
  );
}

/** What to do where nothing is indexed. */
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

interface BringProps {
  library: Library;
  uploads: Uploads;
  collection: string;
  onCollection: (name: string) => void;
}

function Bring({ library, uploads, collection, onCollection }: BringProps) {
  const chooser = useRef<HTMLInputElement>(null);
  return (
    <section className="bring" aria-label={words.bringDocuments} data-testid="bring">
      <Icon name="upload" />
      <p className="bring-title">{words.drop}</p>
      <p className="muted">{words.formats}</p>
      <div className="bring-line">
        <button type="button" className="primary" onClick={() => chooser.current?.click()}>
          {words.chooseFiles}
        </button>
        <input
          ref={chooser}
          type="file"
          multiple
          hidden
          aria-label={words.chooseFiles}
          data-testid="files"
          onChange={(event) => {
            uploads.add([...(event.target.files ?? [])], collection.trim() || DEFAULT_COLLECTION);
            event.target.value = "";
          }}
        />
        <label className="into">
          <span>{words.intoCollection}</span>
          <input
            list="collection-names"
            data-testid="into-collection"
            dir="auto"
            maxLength={200}
            value={collection}
            onChange={(event) => onCollection(event.target.value)}
          />
        </label>
        <datalist id="collection-names">
          {(library.collections ?? []).map(({ name }) => (
            <option key={name} value={name} />
          ))}
        </datalist>
      </div>
    </section>
  );
}

function UploadList({ uploads }: { uploads: Uploads }) {
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

function DocumentLine({ document, onDelete }: { document: Document; onDelete: () => Promise<void> }) {
  const [deleting, setDeleting] = useState(false);
  const title = document.title || document.source;
  return (
    <li className="document" data-testid="document" data-state={document.status}>
      <Icon name="file" />
      <span className="document-title" dir="auto">
        {title}
      </span>
      <span className="document-meta">
        {document.title !== "" && document.title !== document.source && <span dir="auto">{document.source}</span>}
        <span>{words.documentMeta(document.format, document.chunks, formatDay(document.ingested_at))}</span>
        <span className="document-state">{words.documentStates[document.status] ?? document.status}</span>
      </span>
      <IconButton
        icon="trash"
        label={words.deleteDocumentOf(title)}
        data-testid="delete-document"
        onClick={() => setDeleting(true)}
      />
      {deleting && (
        <Confirm
          title={words.deleteDocument}
          text={words.deleteDocumentMore(title)}
          action={words.remove}
          onConfirm={onDelete}
          onClose={() => setDeleting(false)}
        />
      )}
    </li>
  );
}

function groupByCollection(documents: Document[], search: string): [string, Document[]][] {
  const wanted = search.trim().toLowerCase();
  const found = documents.filter(({ title, source }) => `${title}\n${source}`.toLowerCase().includes(wanted));
  const groups = new Map<string, Document[]>();
  for (const document of found) groups.set(document.collection, [...(groups.get(document.collection) ?? []), document]);
  return [...groups].toSorted(([a], [b]) => a.localeCompare(b));
}

function countIn(library: Library, name: string): number | undefined {
  return library.collections?.find((collection) => collection.name === name)?.documents;
}
