/** What a page's worker asks the page for when it computes on several threads. */

/** A thread's worker, which the page is to start. */
export interface ThreadAsked {
  /** Tells what is asked for. */
  readonly type: "thread";
  /** The worker's text. */
  readonly program: string;
  /** For the browser's tools. */
  readonly name: string;
  /** Its first message. */
  readonly first: unknown;
  /** Takes what it answers; a message from there ends it. */
  readonly answers: MessagePort;
}

/** Its answer: `ready`, or why it is not. */
export type ThreadTold = string;
