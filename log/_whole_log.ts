/** A log as a killed process or a full disk left it, without what is damaged at its end. */
import { Sha256 } from "../files/mod.ts";
import type { RunEvent } from "./events.ts";
import { parseRunLog, refuseLarge, RunLogError } from "./parse_log.ts";
import { RunError } from "./store.ts";

/** The whole lines of a log. */
export interface WholeLog {
  /** What they say. */
  readonly events: readonly RunEvent[];
  /** Their bytes. */
  readonly length: number;
  /** Bytes behind them, which are to be cut off. */
  readonly tornBytes: number;
  /** Of every byte of the lines. */
  readonly hash: Sha256;
}

/**
 * Reads what can be gone on with.
 *
 * @param path The file's, for messages.
 * @param size Bytes of the file, which may be sparse: memory is taken for a log's alone.
 * @param read Reads all of them.
 * @throws {RunError} If it is larger than a log, or a line before its end is damaged.
 */
export async function wholeLog(
  path: string,
  size: number,
  read: () => Uint8Array | Promise<Uint8Array>,
): Promise<WholeLog> {
  try {
    refuseLarge(size);
    const bytes = await read();
    refuseLarge(size, (from) => bytes.indexOf(0x0a, from));
    const length = wholeBytes(bytes);
    const whole = bytes.subarray(0, length);
    const hash = new Sha256();
    hash.update(whole);
    const found = { tornBytes: bytes.length - length, hash, length };
    if (length === 0) return { events: [], ...found };
    // Strictly, with the hashes of the lines before: what is gone on with is what was written.
    return { events: parseRunLog(new TextDecoder().decode(whole)).events, ...found };
  } catch (error) {
    if (!(error instanceof RunLogError)) throw error;
    throw new RunError(
      `"${path}": ${error.message}. Start anew with another --out, or restore it`,
      { cause: error },
    );
  }
}

/**
 * Bytes before a damaged end: a last line without its end, lines at the end that
 * are no JSON, failures behind a run's end, or a log that has nothing but failures.
 */
function wholeBytes(bytes: Uint8Array): number {
  let length = bytes.lastIndexOf(0x0a) + 1;
  const decoder = new TextDecoder();
  const startOf = (end: number) => bytes.subarray(0, end - 1).lastIndexOf(0x0a) + 1;
  const eventAt = (start: number, end: number): { type?: unknown } | null | undefined => {
    try {
      return JSON.parse(decoder.decode(bytes.subarray(start, end)));
    } catch {
      return undefined;
    }
  };
  while (length > 0 && eventAt(startOf(length), length) === undefined) length = startOf(length);
  // A failure behind the end is the disk's that did not keep it: the end stands.
  for (;;) {
    const start = startOf(length);
    if (length === 0 || eventAt(start, length)?.type !== "failure") break;
    if (start === 0 || eventAt(startOf(start), start)?.type !== "end") break;
    length = start;
  }
  let begun = length;
  while (begun > 0 && eventAt(startOf(begun), begun)?.type === "failure") begun = startOf(begun);
  return begun === 0 ? 0 : length;
}
