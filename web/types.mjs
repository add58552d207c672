/** The types of everything on the wire, from `schema.json`, which `make docs` makes from the server's own. */
import { mkdir, writeFile } from "node:fs/promises";

import { compileFromFile } from "json-schema-to-typescript";

const source = await compileFromFile("schema.json", {
  additionalProperties: false,
  bannerComment: "/** Made from `schema.json` by `npm run types`. */",
  // A list of at most 20 stays a list, and is no union of 20 tuples.
  maxItems: -1,
  unreachableDefinitions: true,
});
await mkdir("generated", { recursive: true });
await writeFile("generated/schema.ts", source);
