/** What a screen reader is told of an answer while it grows: whole sentences, without the marks of Markdown. */

const SEGMENTER =
  typeof Intl.Segmenter === "undefined" ? null : new Intl.Segmenter(undefined, { granularity: "sentence" });

/** The sentences of a text that are complete; the last one is once `ended`. Code is named, not read. */
export function speakSentences(answer: string, ended: boolean, code: string): string[] {
  if (ended) return sentencesOf(speak(answer, code));
  // Half a marker would count as the beginning of another sentence.
  const text = answer.replace(/\s*\[\d*$/, "");
  const lines = text.slice(0, text.lastIndexOf("\n") + 1);
  const inCode = lines.split(FENCE).length % 2 === 0;
  const whole = inCode ? lines.slice(0, lines.lastIndexOf(FENCE)) : lines;
  const last = inCode ? "" : text.slice(lines.length);
  const open = sentencesOf(speak(last, code)).slice(0, -1);
  return [...sentencesOf(speak(whole, code)), ...open];
}

const FENCE = "```";

function sentencesOf(text: string): string[] {
  return text
    .split(/\n+/)
    .flatMap((line) => (SEGMENTER === null ? [line] : Array.from(SEGMENTER.segment(line), ({ segment }) => segment)))
    .map((sentence) => sentence.trim())
    .filter(Boolean);
}

function speak(markdown: string, code: string): string {
  return markdown
    .replaceAll(/```[\s\S]*?```/g, `\n${code}\n`)
    .replaceAll(/(?<!\\)\[\d{1,4}\](?!\()/g, "")
    .replaceAll(/!?\[([^\]]*)\]\([^)]*\)/g, "$1")
    .replaceAll(/^\s*(#{1,6}|>|[-*+]|\|)\s*/gm, "")
    .replaceAll(/[*_`~|]+|\\(?=[[\]()*_#])/g, " ")
    .replaceAll(/[ \t]+/g, " ")
    .replaceAll(/ (?=[.,;:!?])/g, "");
}
