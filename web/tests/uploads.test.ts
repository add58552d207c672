import { expect, test } from "vitest";

import { changeUploads, type Upload, type UploadChange } from "../src/state/uploads";

const file = (name: string, size = 3) => {
  const made = new File(["abc"], name);
  Object.defineProperty(made, "size", { value: size });
  return made;
};

const added = (...files: File[]): UploadChange => ({ type: "added", files, collection: "default", firstId: 1 });

const states = (uploads: Upload[]) => uploads.map(({ name, state, failure }) => `${name}:${failure?.code ?? state}`);

test("files that cannot be taken are told before they are sent", () => {
  const uploads = changeUploads([], added(file("a.md"), file("big.pdf", 2 ** 27), file("empty.txt", 0), file("a.md")));
  expect(states(uploads)).toEqual(["a.md:waiting", "big.pdf:too_large", "empty.txt:empty", "a.md:twice"]);
});

test("a file goes from waiting over sending and reading to its end, and can be sent again after a failure", () => {
  const steps: UploadChange[] = [
    added(file("a.md")),
    { type: "sent", id: 1, share: 0.4 },
    { type: "sent", id: 1, share: 1 },
    { type: "read", id: 1 },
    { type: "failed", id: 1, failure: { code: "connection_lost", message: "" } },
    { type: "retried", id: 1 },
    { type: "done", id: 1 },
    { type: "cleared" },
  ];
  let uploads: Upload[] = [];
  const seen = steps.map((step) => states((uploads = changeUploads(uploads, step))).join());
  expect(seen).toEqual([
    "a.md:waiting",
    "a.md:sending",
    "a.md:reading",
    "a.md:reading",
    "a.md:connection_lost",
    "a.md:waiting",
    "a.md:done",
    "",
  ]);
});
