/** An answer: Markdown, with its markers as buttons. Builds elements, never HTML; loads nothing from elsewhere. */
import { createContext, useContext, useMemo, type AnchorHTMLAttributes, type ImgHTMLAttributes } from "react";
import Markdown, { type Components } from "react-markdown";
import rehypeSanitize, { defaultSchema } from "rehype-sanitize";
import remarkGfm from "remark-gfm";

import { MARKER_TAG, remarkMarkers } from "../markers";
import { Offsets } from "../offsets";
import { isRunning, type Turn } from "../turn";
import type { Citation } from "../wire";
import { MarkerButton, MarkerContext } from "./Marker";

const SCHEMA: typeof defaultSchema = {
  ...defaultSchema,
  tagNames: [...(defaultSchema.tagNames ?? []), MARKER_TAG],
  attributes: { ...defaultSchema.attributes, [MARKER_TAG]: ["index", "start"] },
};

const COMPONENTS: Components = {
  a: ({ href, children }: AnchorHTMLAttributes<HTMLAnchorElement>) => <Link href={href}>{children}</Link>,
  // A picture's address in an answer would tell its owner that, and when, the answer was read.
  img: ({ src, alt }: ImgHTMLAttributes<HTMLImageElement>) => <Link href={src}>{alt || src}</Link>,
  [MARKER_TAG]: MarkerButton,
};

interface Props {
  turn: Turn;
  /** Open a source with these quotes marked. */
  onOpen: (index: number, citations?: Citation[]) => void;
}

export function Answer({ turn, onOpen }: Props) {
  const { answer, citations, sources } = turn;
  const running = isRunning(turn);
  const markdown = useMemo(
    () => (
      <Markdown
        remarkPlugins={[remarkGfm, remarkMarkers]}
        rehypePlugins={[[rehypeSanitize, SCHEMA]]}
        components={COMPONENTS}
      >
        {answer}
      </Markdown>
    ),
    [answer],
  );
  const offsets = useMemo(() => new Offsets(answer), [answer]);
  return (
    <MarkerContext value={{ answer, offsets, citations, sources, running, onOpen }}>
      <div className="answer prose" data-testid="answer">
        {markdown}
      </div>
    </MarkerContext>
  );
}

/** Whether this stands in a link already: a picture that is a link, as a badge, is one link and not two. */
const InLink = createContext(false);

/** A link to elsewhere. Any other address is one of the quoted document's, and would lead into this service. */
function Link({ href, children }: AnchorHTMLAttributes<HTMLAnchorElement>) {
  const inLink = useContext(InLink);
  if (inLink || !/^(https?|mailto):/i.test(href ?? "")) return <>{children}</>;
  return (
    <a href={href} title={href} target="_blank" rel="noopener noreferrer nofollow">
      <InLink value={true}>{children}</InLink>
    </a>
  );
}
