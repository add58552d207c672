import { expect, test } from "vitest";

import { newTurn } from "../src/state/turn";
import { toMarkdown } from "../src/text/copying";
import type { Citation, Source } from "../src/wire";

const source = (index: number, page?: number): Source => ({
  index,
  id: `s${index}`,
  text: "",
  score: 1,
  url: "",
  metadata: {
    source: `docs/${index}.md`,
    title: `Document ${index}`,
    heading: "Lamp",
    start: 0,
    end: 9,
    doc_sha256: "",
    ...(page ? { page } : {}),
  },
});

const citation = (index: number, quote: string, verified: Citation["verified"]): Citation => ({
  index,
  source_id: `s${index}`,
  answer: { start: 0, end: 1 },
  span: { start: 0, end: 1 },
  quote,
  verified,
  support: 1,
  origin: "claimed",
});

test("an answer is copied with the quotes of what it cites, each told how it was verified", () => {
  const turn = {
    ...newTurn("run", "q"),
    answer: "It burns [1]. It glows [2].\n",
    sources: [source(1, 3), source(2), source(3)],
    citations: [
      citation(1, "It burns\nparaffin.", "exact"),
      citation(1, "It burns\nparaffin.", "exact"),
      citation(2, "A lamp.", "unsupported"),
    ],
  };
  expect(toMarkdown(turn)).toBe(`It burns [1]. It glows [2].

---

Sources

- [1] **Document 1** · Lamp · page 3 · docs/1.md

   > It burns paraffin. — Word for word in the source

- [2] **Document 2** · Lamp · docs/2.md

   > A lamp. — Not supported by the source
`);
});

test("an answer without citations is copied as it is", () => {
  expect(toMarkdown({ answer: "Hello!", sources: [source(1)], citations: [] })).toBe("Hello!\n");
});
