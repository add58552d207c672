/** Where files are dropped or chosen, and which collection they go to. */
import { useRef } from "react";

import { DEFAULT_COLLECTION, type Library } from "../hooks/library";
import type { Uploads } from "../hooks/uploads";
import { words } from "../words";
import { Icon } from "./Icon";

interface Props {
  library: Library;
  uploads: Uploads;
  collection: string;
  onCollection: (name: string) => void;
}

export function Bring({ library, uploads, collection, onCollection }: Props) {
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
