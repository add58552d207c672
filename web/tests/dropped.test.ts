import { expect, test } from "vitest";

import { readDropped } from "../src/service/dropped";

type Tree = { [name: string]: string | Tree };

/** A file system's entry as browsers have it; a folder gives two entries at a time. */
function entryOf(name: string, content: string | Tree): FileSystemEntry {
  if (typeof content === "string") {
    const file = (resolve: (file: File) => void) => resolve(new File([content], name));
    return { name, isFile: true, isDirectory: false, file } as unknown as FileSystemEntry;
  }
  const createReader = () => {
    const left = Object.entries(content).map(([inside, of]) => entryOf(inside, of));
    return { readEntries: (resolve: (some: FileSystemEntry[]) => void) => resolve(left.splice(0, 2)) };
  };
  return { name, isFile: false, isDirectory: true, createReader } as unknown as FileSystemEntry;
}

function drop(tree: Tree): DataTransfer {
  const items = Object.entries(tree).map(([name, content]) => ({ webkitGetAsEntry: () => entryOf(name, content) }));
  return { items, files: [] } as unknown as DataTransfer;
}

const names = async (dropped: DataTransfer) => (await readDropped(dropped)).map(({ name }) => name);

test("folders are walked to their end, and hidden files passed over", async () => {
  const tree = {
    "a.md": "",
    docs: { "b.md": "", "c.md": "", "d.md": "", deep: { "e.md": "" }, ".git": { x: "" } },
    ".env": "",
  };
  expect(await names(drop(tree))).toEqual(["a.md", "b.md", "c.md", "d.md", "e.md"]);
});

test("a drop of very many files ends", async () => {
  const many = Object.fromEntries(Array.from({ length: 900 }, (_, n) => [`${n}.md`, ""]));
  expect(await names(drop({ many }))).toHaveLength(500);
});

test("a browser without entries gives its files", async () => {
  const files = [new File(["x"], "x.md")];
  expect(await names({ items: [{ webkitGetAsEntry: () => null }], files } as unknown as DataTransfer)).toEqual([
    "x.md",
  ]);
});
