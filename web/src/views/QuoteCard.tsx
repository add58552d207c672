/** A quote beside the marker that is looked at: on hover and on focus, and gone on Escape. */
import {
  createContext,
  useContext,
  useEffect,
  useLayoutEffect,
  useMemo,
  useRef,
  useState,
  type ReactNode,
} from "react";

import type { Verdict } from "../text/citations";
import { formatPlace, formatTitle } from "../text/format";
import type { Citation, Source } from "../wire";
import { words } from "../words";
import { VerdictIcon } from "./Icon";

/** What the card tells of a marker. */
interface Content {
  source: Source;
  citation: Citation | undefined;
  verdict: Verdict;
}

interface Peek {
  show: (marker: HTMLElement, content: Content) => void;
  /** After a moment, in which the pointer may have come to the card. */
  hide: () => void;
  /** At once: the quote is read elsewhere now. */
  close: () => void;
}

const PeekContext = createContext<Peek>({ show: () => undefined, hide: () => undefined, close: () => undefined });

export const usePeek = () => useContext(PeekContext);

const ID = "quote-card";
/** The way from a marker into its card is not over at once. */
const STAYS_MS = 180;
const GAP_PX = 8;

export function QuoteCards({ children }: { children: ReactNode }) {
  const [shown, setShown] = useState<(Content & { marker: HTMLElement }) | null>(null);
  const timer = useRef<ReturnType<typeof setTimeout>>(undefined);

  const peek = useMemo(
    (): Peek => ({
      show(marker, content) {
        clearTimeout(timer.current);
        setShown({ ...content, marker });
      },
      hide() {
        clearTimeout(timer.current);
        timer.current = setTimeout(() => setShown(null), STAYS_MS);
      },
      close() {
        clearTimeout(timer.current);
        setShown(null);
      },
    }),
    [],
  );

  useEffect(() => {
    if (shown === null) return;
    const close = (event: Event) => {
      if (event instanceof KeyboardEvent && event.key !== "Escape") return;
      // Escape closes one thing at a time.
      if (event instanceof KeyboardEvent) event.stopPropagation();
      setShown(null);
    };
    // The card's own text may be scrolled.
    const leave = (event: Event) => {
      if (!(event.target instanceof Element && event.target.closest(`#${ID}`))) setShown(null);
    };
    shown.marker.setAttribute("aria-describedby", ID);
    window.addEventListener("keydown", close, { capture: true });
    window.addEventListener("resize", close);
    window.addEventListener("scroll", leave, { capture: true });
    return () => {
      shown.marker.removeAttribute("aria-describedby");
      window.removeEventListener("keydown", close, { capture: true });
      window.removeEventListener("resize", close);
      window.removeEventListener("scroll", leave, { capture: true });
    };
  }, [shown]);

  return (
    <PeekContext value={peek}>
      {children}
      {shown !== null && <Card {...shown} onEnter={() => clearTimeout(timer.current)} onLeave={peek.hide} />}
    </PeekContext>
  );
}

interface CardProps extends Content {
  marker: HTMLElement;
  onEnter: () => void;
  onLeave: () => void;
}

function Card({ source, citation, verdict, marker, onEnter, onLeave }: CardProps) {
  const card = useRef<HTMLDivElement>(null);
  const [place, setPlace] = useState({ left: 0, top: 0 });

  // Above the marker where there is room, as the answer grows below it.
  useLayoutEffect(() => {
    const { left, top, bottom } = marker.getBoundingClientRect();
    const { width = 0, height = 0 } = card.current?.getBoundingClientRect() ?? {};
    const above = top - height - GAP_PX;
    setPlace({
      left: Math.max(GAP_PX, Math.min(left - 24, document.documentElement.clientWidth - width - GAP_PX)),
      top: above > GAP_PX ? above : bottom + GAP_PX,
    });
  }, [marker, citation]);

  const where = [formatTitle(source), formatPlace(source)].filter(Boolean).join(" · ");
  return (
    <div
      ref={card}
      id={ID}
      role="tooltip"
      className="quote-card"
      data-testid="quote-card"
      style={place}
      onPointerEnter={onEnter}
      onPointerLeave={onLeave}
    >
      <p className={`check ${verdict}`}>
        <VerdictIcon verdict={verdict} />
        {words.verdicts[verdict]}
      </p>
      {citation !== undefined && (
        <>
          {citation.verified === "unsupported" && <p className="quote-note">{words.unsupportedMore}</p>}
          <blockquote dir="auto">{citation.quote}</blockquote>
        </>
      )}
      <p className="quote-place" dir="auto">
        {where}
      </p>
    </div>
  );
}
