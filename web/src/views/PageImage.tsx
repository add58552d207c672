/** A page of a PDF as a picture, drawn by the service with the quote marked, as large as its text lets it, scrolled to it. */
import { useRef, useState } from "react";

import type { Box, SourceRecord } from "../wire";
import { words } from "../words";
import { Icon } from "./Icon";

interface Props {
  source: SourceRecord;
  /** What is marked, as a slice of the document; the whole passage when null. */
  span: { start: number; end: number } | null;
  onFailed: () => void;
}

export function PageImage({ source, span, onFailed }: Props) {
  const frame = useRef<HTMLDivElement>(null);
  const [shown, setShown] = useState<string | null>(null);
  const query = span === null ? "" : `?start=${span.start}&end=${span.end}`;
  const address = `/v1/sources/${encodeURIComponent(source.id)}/page.png${query}`;
  const page = source.page ?? 0;

  const { left, right, top } = extent(source.boxes ?? []);
  // The margins of the page need not be seen.
  const zoom = Math.min(MAX_ZOOM, Math.max(1, 1 / (right - left + 2 * MARGIN)));

  /** Bring the place into view where the passage stands. */
  function scrollToQuote(picture: HTMLImageElement) {
    setShown(address);
    const panel = frame.current?.closest(".panel-scroll");
    if (panel == null || frame.current === null) return;
    const { top: pictureTop, width, height } = picture.getBoundingClientRect();
    frame.current.scrollLeft = (left - MARGIN) * width;
    panel.scrollTop += pictureTop - panel.getBoundingClientRect().top + top * height - panel.clientHeight / 3;
  }

  return (
    <figure className={shown === address ? "page-image" : "page-image loading"} data-testid="page-image">
      <div ref={frame} className="page-frame" tabIndex={0}>
        <img
          src={address}
          alt={words.pageImage(page, source.document.title || source.document.source)}
          style={{ width: `${zoom * 100}%` }}
          onLoad={(event) => scrollToQuote(event.currentTarget)}
          onError={onFailed}
        />
      </div>
      <a href={address} target="_blank" rel="noopener noreferrer" className="page-image-open">
        <Icon name="out" />
        {words.openPage}
      </a>
    </figure>
  );
}

/** Share of the page's width that is left on both sides of its text. */
const MARGIN = 0.03;
const MAX_ZOOM = 2;

/** Where all boxes together begin and end; the whole page without any. */
function extent(boxes: Box[]): { left: number; right: number; top: number } {
  if (boxes.length === 0) return { left: 0, right: 1, top: 0 };
  return {
    left: Math.min(...boxes.map((box) => box.left)),
    right: Math.max(...boxes.map((box) => box.right)),
    top: Math.min(...boxes.map((box) => box.top)),
  };
}
