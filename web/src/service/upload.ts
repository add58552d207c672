/** Taking a file in: sent with its progress, then the events of its indexing. */
import { createParser } from "eventsource-parser";

import type { Document, Uploaded } from "../wire";
import { parseRefusal, RequestRefused } from "./api";
import { ConnectionLost } from "./stream";

/** The most that the service takes. */
export const MAX_BYTES = 64 * 2 ** 20;

export interface UploadProgress {
  /** 0 to 1 while the file is sent. */
  onSent: (share: number) => void;
  /** One more file was read: an archive holds several. */
  onRead: () => void;
}

/** Send a file into a collection; resolves when it is indexed. Throws `RequestRefused` and `ConnectionLost`. */
export function uploadFile(
  file: File,
  collection: string,
  { onSent, onRead }: UploadProgress,
): Promise<Document | null> {
  const form = new FormData();
  // The file last: a server that reads along knows then where it is to go.
  form.append("collection", collection);
  form.append("file", file, file.name);
  return new Promise((resolve, reject) => {
    // Not `fetch`, which tells nothing of what was sent so far.
    const request = new XMLHttpRequest();
    const parser = createParser({
      onEvent({ event, data }) {
        if (event === "progress") onRead();
        else if (event === "done") resolve((JSON.parse(data) as Uploaded).document);
        else if (event === "failed") {
          const { code, message } = JSON.parse(data) as { code: string; message: string };
          reject(new RequestRefused(200, code, message));
        }
      },
    });
    let fed = 0;
    const feed = () => {
      if (request.status !== 200) return;
      parser.feed(request.responseText.slice(fed));
      fed = request.responseText.length;
    };
    request.upload.addEventListener("progress", ({ loaded, total }) => onSent(total === 0 ? 1 : loaded / total));
    request.upload.addEventListener("load", () => onSent(1));
    request.addEventListener("progress", feed);
    request.addEventListener("load", () => {
      feed();
      // Changes nothing after `done` or `failed`.
      reject(request.status === 200 ? new ConnectionLost() : parseRefusal(request.status, request.responseText));
    });
    request.addEventListener("error", () => reject(new ConnectionLost()));
    request.open("POST", "/v1/documents");
    request.setRequestHeader("Accept", "text/event-stream");
    request.send(form);
  });
}
