/** What tabs of one browser tell each other, so that two of them on one thread agree. */

export type TabMessage =
  /** A run has begun in a thread; `replaces` is the message id of the turn that it may take the place of. */
  | { type: "asked"; threadId: string; runId: string; question: string; replaces: string | null }
  /** Threads are others than they were: renamed, deleted, or grown. */
  | { type: "threads" }
  | { type: "deleted"; threadId: string }
  /** Collections or documents are others than they were. */
  | { type: "library" };

const CHANNEL = "citestream";

/** A tab's end of the channel. A browser without one has tabs that know nothing of each other until they reload. */
export class Tabs {
  private readonly channel = typeof BroadcastChannel === "undefined" ? null : new BroadcastChannel(CHANNEL);

  tell(message: TabMessage): void {
    this.channel?.postMessage(message);
  }

  /** Hear what the other tabs say; returns the function that ends it. */
  listen(hear: (message: TabMessage) => void): () => void {
    const onMessage = (event: MessageEvent<TabMessage>) => hear(event.data);
    this.channel?.addEventListener("message", onMessage);
    return () => this.channel?.removeEventListener("message", onMessage);
  }
}

export const tabs = new Tabs();
