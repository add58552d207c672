/** The few icons of the page, drawn in the colour of the text around them; never the only carrier of a meaning. */
import type { ReactNode } from "react";

import type { Verdict } from "../citations";

const SHAPES = {
  check: <path d="M3 8.5l3.2 3.2L13 4.6" />,
  almost: <path d="M2.5 9.2c1.8-3 3.7-3 5.5-1.2s3.7 1.8 5.5-1.2" />,
  cross: <path d="M4 4l8 8M12 4l-8 8" />,
  dots: <path d="M3 8h.01M8 8h.01M13 8h.01" />,
  question: <path d="M5.4 5.6A2.7 2.7 0 1 1 8 8.6v1.2M8 13h.01" />,
  dash: <path d="M4 8h8" />,
  circle: <circle cx="8" cy="8" r="3" />,
  spinner: <path d="M8 2.2A5.8 5.8 0 1 1 2.2 8" />,
} satisfies Record<string, ReactNode>;

type IconName = keyof typeof SHAPES;

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
