/** The words of the interface, in the first of the browser's languages that there are words for. */
import { en, type Words } from "./en";
import { zh } from "./zh";

const LANGUAGES: Record<string, Words> = { en, zh };

/** The words for these languages, the most wanted first. */
export function chooseWords(wanted: readonly string[]): Words {
  const known = wanted.map((language) => LANGUAGES[language.split("-")[0]?.toLowerCase() ?? ""]);
  return known.find((words) => words !== undefined) ?? en;
}

export const words = chooseWords(globalThis.navigator?.languages ?? []);

/** Codes whose own words say what no table can: which field, which file, and why. */
const DETAILED = ["invalid_request", "document_unreadable"];

/** What went wrong, in the reader's language where there are words for it, else as the service said it. */
export function explain({ code, message }: { code: string; message: string }): string {
  const known = words.errors[code];
  if (known !== undefined && message !== "" && DETAILED.includes(code)) return `${known} (${message})`;
  return known ?? (message || (words.errors["failed"] ?? ""));
}
