/** Offsets: the wire counts Unicode code points, JavaScript strings count UTF-16 units. */
import type { Span } from "../wire";

/** Reads the wire's offsets in one text; built once, as most texts need no conversion at all. */
export class Offsets {
  /** UTF-16 offsets of the characters that take two units, ascending. */
  private readonly pairs: number[];

  constructor(private readonly text: string) {
    this.pairs = Array.from(text.matchAll(/[\u{10000}-\u{10FFFF}]/gu), (match) => match.index);
  }

  /** The UTF-16 offset of a code-point offset. */
  toUnits(points: number): number {
    let units = points;
    for (const pair of this.pairs) {
      if (pair >= units) break;
      units += 1;
    }
    return units;
  }

  /** What Python's `text[start:end]` is, for offsets that lie in the text. */
  slice({ start, end }: Span): string {
    return this.text.slice(this.toUnits(start), this.toUnits(end));
  }
}
