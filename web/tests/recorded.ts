/** Streams as a server sent them, and the frames in them. */
import { readFileSync } from "node:fs";

import { createParser } from "eventsource-parser";

import type { Frame } from "../src/service/stream";
import { parseRunEvent } from "../src/wire";

export type Recording = "completed" | "failed" | "reasoned";

export function readRecording(name: Recording): string {
  return readFileSync(new URL(`./recorded/${name}.sse`, import.meta.url), "utf-8");
}

export function readRecordedFrames(name: Recording): Frame[] {
  const frames: Frame[] = [];
  const parser = createParser({
    onEvent({ id, event, data }) {
      const parsed = parseRunEvent(event, data);
      if (parsed !== null) frames.push({ n: Number(id?.split(":")[1]), event: parsed });
    },
  });
  parser.feed(readRecording(name));
  return frames;
}
