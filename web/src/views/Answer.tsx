/** An answer: Markdown, with its markers as buttons. Builds elements, never HTML; loads nothing from elsewhere. */
import { useMemo, type AnchorHTMLAttributes, type ImgHTMLAttributes } from "react";
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
  // The Markdown library has put this prefix before ids already.
  clobberPrefix: "",
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
      <div className={running ? "answer prose growing" : "answer prose"} data-testid="answer">
        {markdown}
      </div>
    </MarkerContext>
  );
}

function Link({ href, children }: AnchorHTMLAttributes<HTMLAnchorElement>) {
  if (!href) return <>{children}</>;
  if (href.startsWith("#")) return <a href={href}>{children}</a>;
  return (
    <a href={href} title={href} target="_blank" rel="noopener noreferrer nofollow">
      {children}
    </a>
  );
}
