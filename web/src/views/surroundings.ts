/** What the parts of an answer know of it. Contexts, so that a new citation does not parse the answer anew. */
import { createContext } from "react";

import type { Offsets } from "../text/offsets";
import type { Citation, Source } from "../wire";

interface MarkerSurroundings {
  answer: string;
  offsets: Offsets;
  citations: Citation[];
  sources: Source[];
  running: boolean;
  /** The citation that is being read beside the answer. */
  read: Citation | null;
  onOpen: (index: number, citations?: Citation[]) => void;
}

export const MarkerContext = createContext<MarkerSurroundings | null>(null);

/** Where a block begins in its answer, and whether more of it is coming. */
export const BlockContext = createContext({ start: 0, growing: false });
