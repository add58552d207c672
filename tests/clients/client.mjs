// Asks each question of `asks` with one of the packages and writes what it hears, a line of JSON for each thing.
//
//     node client.mjs PACKAGE ADDRESS ASKS        ASKS is [{run_id, question}, …]
//
// It is left alone to reconnect. `hide` and `show` on stdin are what a browser's tab does. It ends with its stdin.
import { setMaxListeners } from "node:events";
import { createInterface } from "node:readline";

import { fetchEventSource } from "@microsoft/fetch-event-source";
import { EventSource } from "eventsource";

const NAMES = ["run", "status", "source", "message", "reasoning", "citation", "suggest", "done", "failed"];
const TERMINAL = ["done", "failed"];

// All at once would be a test of load.
const APART_MS = 50;

const [name, address, asks] = process.argv.slice(2);
const tell = (what) => process.stdout.write(`${JSON.stringify(what)}\n`);

// What fetch-event-source expects of a browser.
globalThis.window = globalThis;
globalThis.document = Object.assign(new EventTarget(), { hidden: false });
setMaxListeners(0, document);

const clients = {
  eventsource({ run_id, question }) {
    const source = new EventSource(`${address}/v1/chat/stream?${new URLSearchParams({ question, run_id })}`);
    source.onerror = () => {
      if (source.readyState === EventSource.CLOSED) tell({ run_id, closed: true });
    };
    for (const event of NAMES) {
      source.addEventListener(event, ({ data, lastEventId }) => tell({ run_id, event, data, id: lastEventId }));
    }
  },

  async "fetch-event-source"({ run_id, question }) {
    let ended = false;
    await fetchEventSource(`${address}/v1/chat/stream`, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ question, run_id }),
      onmessage({ event, data, id }) {
        ended ||= TERMINAL.includes(event);
        tell({ run_id, event, data, id });
      },
      // As its README has it: a response that ends too early is tried again.
      onclose() {
        if (!ended) throw new Error("closed before the end");
      },
    });
    tell({ run_id, closed: true });
  },
};

JSON.parse(asks).forEach((ask, place) => setTimeout(() => void clients[name](ask), place * APART_MS));

createInterface({ input: process.stdin })
  .on("line", (line) => {
    document.hidden = line === "hide";
    document.dispatchEvent(new Event("visibilitychange"));
  })
  .on("close", () => process.exit());
