/** Documents and collections: what there is, and how to bring more. */
import { useEffect, useMemo, useState } from "react";

import { useDocuments, type Library } from "../hooks/library";
import type { Uploads } from "../hooks/uploads";
import { formatDay } from "../text/format";
import type { Document } from "../wire";
import { explain, words } from "../words";
import { Bring } from "./Bring";
import { IconButton } from "./Button";
import { Confirm } from "./Dialog";
import { EmptyIndex } from "./EmptyIndex";
import { Icon } from "./Icon";
import { UploadList } from "./UploadList";

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
  }, [indexed, refresh]);
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
