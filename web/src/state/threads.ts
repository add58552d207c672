/** The list of conversations: pages put together, searched and grouped by day. Pure. */
import type { ThreadItem } from "../wire";

/** Days as people speak of them, newest first. */
export const DAYS = ["today", "yesterday", "week", "month", "older"] as const;

export type Day = (typeof DAYS)[number];

/** Newer pages win over older ones; newest first. */
export function mergeThreads(older: ThreadItem[], newer: ThreadItem[]): ThreadItem[] {
  const byId = new Map([...older, ...newer].map((thread) => [thread.id, thread]));
  return [...byId.values()].toSorted((a, b) => b.updated_at.localeCompare(a.updated_at));
}

/** Threads whose title has every word of `search`, whatever its case and accents. */
export function findThreads(threads: ThreadItem[], search: string): ThreadItem[] {
  const words = plain(search).split(/\s+/).filter(Boolean);
  return threads.filter((thread) => {
    const title = plain(thread.title);
    return words.every((word) => title.includes(word));
  });
}

function plain(text: string): string {
  return text.normalize("NFKD").replaceAll(/\p{M}/gu, "").toLowerCase();
}

/** Threads by the day on which something was last asked, in the reader's own time; days without any are left out. */
export function groupThreads(threads: ThreadItem[], now: Date): { day: Day; threads: ThreadItem[] }[] {
  const groups = new Map<Day, ThreadItem[]>(DAYS.map((day) => [day, []]));
  for (const thread of threads) groups.get(dayOf(new Date(thread.updated_at), now))?.push(thread);
  return [...groups].filter(([, some]) => some.length > 0).map(([day, some]) => ({ day, threads: some }));
}

function dayOf(time: Date, now: Date): Day {
  const days = Math.round((startOfDay(now) - startOfDay(time)) / 86_400_000);
  if (days <= 0) return "today";
  if (days === 1) return "yesterday";
  if (days < 7) return "week";
  return days < 30 ? "month" : "older";
}

function startOfDay(time: Date): number {
  return new Date(time.getFullYear(), time.getMonth(), time.getDate()).getTime();
}
