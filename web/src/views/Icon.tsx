/** The icons of the page, drawn in the colour of the text around them; never the only carrier of a meaning. */
import type { ReactNode } from "react";

import type { Verdict } from "../text/citations";

const SHAPES = {
  check: <path d="M3 8.5l3.2 3.2L13 4.6" />,
  almost: <path d="M2.5 9.2c1.8-3 3.7-3 5.5-1.2s3.7 1.8 5.5-1.2" />,
  cross: <path d="M4 4l8 8M12 4l-8 8" />,
  dots: <path d="M3 8h.01M8 8h.01M13 8h.01" />,
  question: <path d="M5.4 5.6A2.7 2.7 0 1 1 8 8.6v1.2M8 13h.01" />,
  dash: <path d="M4 8h8" />,
  circle: <circle cx="8" cy="8" r="3" />,
  spinner: <path d="M8 2.2A5.8 5.8 0 1 1 2.2 8" />,
  menu: <path d="M2.5 4.5h11M2.5 8h11M2.5 11.5h11" />,
  plus: <path d="M8 3v10M3 8h10" />,
  search: <path d="M7 11.5a4.5 4.5 0 1 0 0-9 4.5 4.5 0 0 0 0 9zM10.4 10.4l3.1 3.1" />,
  pencil: <path d="M3 13l.6-2.6L11 3l2 2-7.4 7.4z" />,
  trash: <path d="M3 4.5h10M6.3 4.3V2.8h3.4v1.5M4.3 4.6l.6 8.6h6.2l.6-8.6" />,
  copy: <path d="M5.8 5.8h7.4v7.4H5.8zM10.2 5.6V2.8H2.8v7.4h2.8" />,
  again: <path d="M13 7A5.2 5.2 0 0 0 3.6 5.2M3 9a5.2 5.2 0 0 0 9.4 1.8M3.4 2.6v2.8h2.8M12.6 13.4v-2.8H9.8" />,
  left: <path d="M9.8 3.6L5.4 8l4.4 4.4" />,
  right: <path d="M6.2 3.6L10.6 8l-4.4 4.4" />,
  down: <path d="M3.6 6.2L8 10.6l4.4-4.4" />,
  file: <path d="M4 2.5h5l3 3v8H4zM9 2.5v3h3" />,
  folder: <path d="M2.3 4h4l1.4 1.7h6V13H2.3z" />,
  books: <path d="M3 3h3v10H3zM6 3h3v10H6zM9.6 3.6l2.6-.7 2 9.4-2.6.7z" />,
  upload: <path d="M8 10.5V3M4.8 6L8 2.8 11.2 6M3 10.8v2.4h10v-2.4" />,
  stop: <path d="M4.5 4.5h7v7h-7z" fill="currentColor" />,
  out: <path d="M6.5 3.5h6v6M12.2 3.8L4 12" />,
  warning: <path d="M8 2.6l6 10.6H2zM8 6.6v3M8 11.4h.01" />,
  offline: (
    <path d="M2 5.6a9 9 0 0 1 3-1.8M14 5.6a9 9 0 0 0-5-2.3M4.4 8.4a5.4 5.4 0 0 1 2-1.1M11.6 8.4a5.4 5.4 0 0 0-1.5-1M8 12h.01M2.6 2.2l10.8 11.6" />
  ),
  keyboard: <path d="M2 4.5h12v7H2zM4.5 7h.01M7 7h.01M9.4 7h.01M11.7 7h.01M5.4 9.4h5.2" />,
  theme: <path d="M8 2.3a5.7 5.7 0 1 0 0 11.4zM8 2.3a5.7 5.7 0 0 1 0 11.4" />,
  more: <path d="M8 3.4h.01M8 8h.01M8 12.6h.01" />,
  thumbUp: (
    <path d="M5 7.2l2.4-4.6c1.2 0 1.7.8 1.5 1.9L8.5 6.4h3.3c.9 0 1.4.7 1.2 1.5l-.9 4c-.2.7-.7 1.1-1.4 1.1H5zM2.8 7.2H5v5.8H2.8z" />
  ),
  thumbDown: (
    <path d="M5 8.8l2.4 4.6c1.2 0 1.7-.8 1.5-1.9l-.4-1.9h3.3c.9 0 1.4-.7 1.2-1.5l-.9-4c-.2-.7-.7-1.1-1.4-1.1H5zM2.8 3H5v5.8H2.8z" />
  ),
} satisfies Record<string, ReactNode>;

export type IconName = keyof typeof SHAPES;

const VERDICT_ICONS: Record<Verdict, IconName> = {
  exact: "check",
  supported: "almost",
  unsupported: "cross",
  pending: "dots",
  unchecked: "question",
};

export function VerdictIcon({ verdict }: { verdict: Verdict }) {
  return <Icon name={VERDICT_ICONS[verdict]} />;
}

export function Icon({ name }: { name: IconName }) {
  return (
    <svg className={`icon icon-${name}`} viewBox="0 0 16 16" aria-hidden="true">
      {SHAPES[name]}
    </svg>
  );
}
