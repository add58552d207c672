/** An answer: Markdown, with its markers as buttons. Builds elements, never HTML; loads nothing from elsewhere. */
import {
  createContext,
  memo,
  useContext,
  useMemo,
  type AnchorHTMLAttributes,
  type HTMLAttributes,
  type ImgHTMLAttributes,
  type ReactElement,
  type ReactNode,
} from "react";
import Markdown, { type Components, type Options } from "react-markdown";
import rehypeSanitize, { defaultSchema } from "rehype-sanitize";
import remarkGfm from "remark-gfm";

import { isRunning, type Turn } from "../state/turn";
import { splitBlocks } from "../text/blocks";
import { destination, safeAddress } from "../text/links";
import { MARKER_TAG, remarkMarkers } from "../text/markers";
import { FORMULA_CLASS, remarkFormulas, unifyDisplays } from "../text/math";
import { type Mark, rehypeMarks } from "../text/marking";
import { Offsets } from "../text/offsets";
import type { Citation } from "../wire";
import { Code } from "./Code";
import { Formula } from "./Formula";
import { MarkerButton } from "./Marker";
import { Safely } from "./Safely";
import { BlockContext, MarkerContext } from "./surroundings";

const SCHEMA: typeof defaultSchema = {
  ...defaultSchema,
  tagNames: [...(defaultSchema.tagNames ?? []), MARKER_TAG],
  attributes: {
    ...defaultSchema.attributes,
    [MARKER_TAG]: ["index", "start"],
    code: [["className", /^language-./, ...Object.values(FORMULA_CLASS)]],
  },
};

const REMARK: NonNullable<Options["remarkPlugins"]> = [remarkGfm, remarkFormulas, remarkMarkers];

const COMPONENTS: Components = {
  a: ({ href, children }: AnchorHTMLAttributes<HTMLAnchorElement>) => <Link href={href}>{children}</Link>,
  // A picture's address in an answer would tell its owner that, and when, the answer was read.
  img: ({ src, alt }: ImgHTMLAttributes<HTMLImageElement>) => <Link href={src}>{alt || src}</Link>,
  pre: Preformatted,
  code: Inline,
  table: ({ children }: HTMLAttributes<HTMLTableElement>) => (
    <div className="table" tabIndex={0} role="group">
      <table>{children}</table>
    </div>
  ),
  [MARKER_TAG]: MarkerButton,
};

interface Props {
  turn: Turn;
  /** The citation that is being read beside the answer. */
  read?: Citation | null;
  /** Open a source with these quotes marked. */
  onOpen: (index: number, citations?: Citation[]) => void;
}

export function Answer({ turn, read = null, onOpen }: Props) {
  const { answer, citations, sources } = turn;
  const running = isRunning(turn);
  const blocks = useMemo(() => splitBlocks(unifyDisplays(answer)), [answer]);
  // Read anew with each citation only: the markers of a long answer would otherwise all be drawn with every word.
  const surroundings = useMemo(
    () => ({ answer, offsets: new Offsets(answer), citations, sources, running, read, onOpen }),
    [citations, sources, running, read, onOpen],
  );
  const marks = useMemo(() => findMarks(surroundings.offsets, citations, read), [surroundings, citations, read]);
  return (
    <MarkerContext value={surroundings}>
      <div className="answer prose" data-testid="answer">
        {blocks.map(({ text, start }, n) => (
          <BlockView
            key={start}
            text={text}
            start={start}
            marks={inBlock(marks, start, text.length)}
            growing={running && n === blocks.length - 1}
          />
        ))}
      </div>
    </MarkerContext>
  );
}

interface BlockProps {
  text: string;
  start: number;
  /** What is marked in this block, as JSON: comparable. */
  marks: string;
  growing: boolean;
}

const BlockView = memo(function BlockView({ text, start, marks, growing }: BlockProps) {
  const rehype = useMemo(
    (): NonNullable<Options["rehypePlugins"]> => [
      [rehypeSanitize, SCHEMA],
      [rehypeMarks, JSON.parse(marks) as Mark[]],
    ],
    [marks],
  );
  return (
    <BlockContext value={{ start, growing }}>
      <div className="block" dir="auto">
        <Safely of={text} instead={text}>
          <Markdown remarkPlugins={REMARK} rehypePlugins={rehype} components={COMPONENTS}>
            {text}
          </Markdown>
        </Safely>
      </div>
    </BlockContext>
  );
});

/** Sentences that nothing supports, and the one whose quote is being read. */
function findMarks(offsets: Offsets, citations: Citation[], read: Citation | null): Mark[] {
  const place = ({ answer }: Citation) => `${answer.start}-${answer.end}`;
  const range = ({ answer }: Citation) => ({ start: offsets.toUnits(answer.start), end: offsets.toUnits(answer.end) });
  const supported = new Set(citations.filter(({ verified }) => verified !== "unsupported").map(place));
  const doubted = citations.filter(
    (citation) => citation.verified === "unsupported" && !supported.has(place(citation)),
  );
  const marks = doubted.map((citation): Mark => ({ ...range(citation), kind: "unsupported" }));
  return read === null ? marks : [...marks, { ...range(read), kind: "read" }];
}

function inBlock(marks: Mark[], start: number, length: number): string {
  const inside = marks.filter((mark) => mark.start < start + length && mark.end > start);
  return JSON.stringify(inside.map((mark) => ({ ...mark, start: mark.start - start, end: mark.end - start })));
}

/** Whether this stands in a link already: a picture that is a link, as a badge, is one link and not two. */
const InLink = createContext(false);

/** A link to elsewhere; it says where to. Any other address is the quoted document's, and would lead into this service. */
function Link({ href, children }: { href?: string | undefined; children?: ReactNode }) {
  const inLink = useContext(InLink);
  const address = safeAddress(href);
  if (inLink || address === null) return <>{children}</>;
  const where = destination(address);
  return (
    <a href={address.href} title={address.href} target="_blank" rel="noopener noreferrer nofollow">
      <InLink value={true}>{children}</InLink>
      {!textOf(children).includes(where) && <span className="link-host"> ({where})</span>}
    </a>
  );
}

/** A block of code, or a formula on lines of its own. */
function Preformatted({ children }: HTMLAttributes<HTMLPreElement>) {
  const { growing } = useContext(BlockContext);
  const { className = "", children: content } = (children as ReactElement<HTMLAttributes<HTMLElement>>).props;
  const text = textOf(content).replace(/\n$/, "");
  if (className.includes(FORMULA_CLASS.display)) return <Formula tex={text} display />;
  const language = /language-(\S+)/.exec(className)?.[1] ?? "";
  return <Code text={text} language={language} growing={growing} />;
}

function Inline({ className = "", children }: HTMLAttributes<HTMLElement>) {
  if (className.includes(FORMULA_CLASS.display)) return <Formula tex={textOf(children)} display />;
  if (className.includes(FORMULA_CLASS.inline)) return <Formula tex={textOf(children)} display={false} />;
  return <code className={className}>{children}</code>;
}

function textOf(children: ReactNode): string {
  if (typeof children === "string") return children;
  if (Array.isArray(children)) return children.map(textOf).join("");
  return "";
}
