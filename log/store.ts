/** A run's folder as the loop knows it, wherever it is, and the lines that are written there. */
import type { Sha256 } from "../files/mod.ts";
import { publishable } from "./_publishable.ts";
import type { FileReference, RunEvent } from "./events.ts";

/** A run that can't be started, gone on with or written: what was tried, the rule, what to do. */
export class RunError extends Error {
  /** The class's name, for messages. */
  override name = "RunError";
}

/** A run's folder that another process holds. */
export class RunInUseError extends RunError {
  /** The class's name, for messages. */
  override name = "RunInUseError";
}

/** An event as it is handed to {@link RunStore.append}, which adds the time and the seal. */
export type UntimedEvent = RunEvent extends infer E
  ? E extends RunEvent ? Omit<E, "time" | "logSha256"> : never
  : never;

/**
 * A line of the log: the event with its time, and, where it is one that a run
 * ends with or goes on from, with the hash of the log before it.
 *
 * @param event The event.
 * @param log Of every byte before the line; it is not changed.
 * @param own Absolute path of the run's folder, which no line shows.
 */
export function lineOf(event: UntimedEvent, log: Sha256, own?: string): string {
  const { type, ...rest } = publishable(event, own);
  const seals = type === "checkpoint" || type === "end" || type === "failure";
  const seal = seals ? { logSha256: log.hex() } : {};
  return JSON.stringify({ type, time: new Date().toISOString(), ...rest, ...seal }) + "\n";
}

/** What the loop needs of a run's folder, wherever it is: on the disk, or in memory for tests. */
export interface RunStore extends AsyncDisposable {
  /** Of the folder, for messages. */
  readonly path: string;
  /** The run's name: that of its folder. */
  readonly name: string;
  /** The events of earlier processes, as they stood when the folder was opened. */
  readonly earlier: readonly RunEvent[];
  /** Bytes of a torn last line that were cut off when the folder was opened. */
  readonly tornBytes: number;
  /** Adds one line to the log, with the time and the seal. */
  append(event: UntimedEvent): void;
  /** Returns when every line so far is kept. */
  sync(): void;
  /** Writes a file, whole or not at all; returns what the log says of it. */
  write(name: string, content: Uint8Array | string): Promise<FileReference>;
  /** The names of all files. */
  names(): Promise<readonly string[]>;
  /** The content of a file. */
  read(name: string): Promise<Uint8Array>;
  /** Removes a file; one that is not there is no error. */
  remove(name: string): Promise<void>;
}
