/** Reads a recording's folder: whole or cut off, honest or hostile, in bounded time and memory. */
import { disk, sha256 } from "../../files/mod.ts";
import { explain } from "../../recipes/schema/mod.ts";
import { asFloats, type StoredArray, storedArrays } from "../../weights/mod.ts";
import { type Tensor, WeightFileError } from "../../resnet/mod.ts";
import type { FileReference } from "../events.ts";
import { LINES } from "./_schema.ts";
import type { RecordingLine, RecordingStart } from "./lines.ts";

/** A recording that breaks its format: where, the rule, and what was found. */
export class RecordingError extends Error {
  /** The class's name, for messages. */
  override name = "RecordingError";
}

/** The log's name in a recording's folder. */
export const RECORDING_FILE = "recording.jsonl";

/** A recorder keeps its log below 30 MB, and a line below 8 MB. */
const MOST_LOG_BYTES = 96 * 2 ** 20;
const MOST_LINE_BYTES = 8 * 2 ** 20;
/** The recording of 64,000 steps has some 30,000 lines. */
const MOST_LINES = 400_000;
/** A file of images has 14 MB at most, one of weights what a network of this kind has. */
const MOST_FILE_BYTES = 128 * 2 ** 20;
/** In all, so that a folder that names one file again and again can't take hours. */
const MOST_BYTES_IN_ALL = 1024 * 2 ** 20;

/** Types of line of the format that nothing reads. */
const UNREAD: readonly string[] = ["phase"];

/** A recording's log. */
export interface RecordingLog {
  /** The first line. */
  readonly start: RecordingStart;
  /** All lines of known types, in order. */
  readonly lines: readonly RecordingLine[];
  /** What was met while reading. */
  readonly notes: readonly string[];
}

/** The lines of one type. */
export type LineOf<Type extends RecordingLine["type"]> = RecordingLine extends infer Line
  ? Line extends { readonly type: infer Own } ? Type extends Own ? Line : never : never
  : never;

/** A recording: its log, and its files as they are asked for. */
export interface Recording extends RecordingLog {
  /**
   * The arrays of a file that a line names.
   *
   * @param file As the line has it.
   * @returns Nothing, and a note, where the file is missing or is not the one that the line names.
   */
  readonly arrays: (file: FileReference) => Promise<RecordedArrays | undefined>;
}

/** The arrays of one file. */
export interface RecordedArrays {
  /** Numbers of any type as 32-bit floats; undefined where there is no such array. */
  readonly floats: (name: string) => Tensor | undefined;
  /** Whole numbers up to 2^53; undefined where there is no such array. */
  readonly integers: (name: string) => Float64Array | undefined;
  /** The arrays' names, in the order of the file. */
  readonly names: readonly string[];
}

/**
 * The lines of one type.
 *
 * @param lines A recording's.
 * @param type The type.
 * @returns In their order.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { linesOf } from "./read.ts";
 *
 * assertEquals(linesOf([], "step"), []);
 * ```
 */
export function linesOf<Type extends RecordingLine["type"]>(
  lines: readonly RecordingLine[],
  type: Type,
): readonly LineOf<Type>[] {
  return lines.filter((line) => line.type === type) as LineOf<Type>[];
}

/**
 * Reads a recording.
 *
 * @param folder The recorder's `--out`.
 * @param readFile Reads a file of at most so many bytes, given `folder`, a slash and a name.
 * @returns Its log. Files are read when they are asked for, and verified.
 * @throws {RecordingError} If there is no log, or it is refused by {@linkcode parseRecording}.
 *
 * @example
 * ```ts
 * import { assertRejects } from "@std/assert";
 * import { readRecording, RecordingError } from "./read.ts";
 *
 * const readFile = () => Promise.resolve(new TextEncoder().encode("not a log\n"));
 * await assertRejects(() => readRecording("recording", readFile), RecordingError, "no complete line");
 * ```
 */
export async function readRecording(
  folder: string,
  readFile: (path: string, mostBytes: number) => Promise<Uint8Array> = readBounded,
): Promise<Recording> {
  let log: Uint8Array;
  try {
    log = await readFile(`${folder}/${RECORDING_FILE}`, MOST_LOG_BYTES);
  } catch (error) {
    if (!disk.isMissing(error)) throw error;
    throw new RecordingError(
      `there is no ${RECORDING_FILE} in ${folder}: give the folder that the recorder was told to write (--out)`,
      { cause: error },
    );
  }
  const { notes, ...parsed } = parseRecording(log);
  const met = [...notes];
  let left = MOST_BYTES_IN_ALL;
  const arrays: Recording["arrays"] = async (file) => {
    const what = `${file.path} does not count`;
    try {
      if (left <= 0) throw new RecordingError("more bytes are named than a recording has");
      const bytes = await readFile(`${folder}/${file.path}`, Math.min(MOST_FILE_BYTES, left));
      left -= bytes.length;
      if (bytes.length !== file.bytes || sha256(bytes) !== file.sha256) {
        throw new RecordingError("it is not the file that the log names");
      }
      return recordedArrays(bytes);
    } catch (error) {
      const problem = disk.isMissing(error)
        ? "it is missing"
        : error instanceof RecordingError || error instanceof WeightFileError
        ? error.message
        : undefined;
      if (problem === undefined) throw error;
      met.push(`${what}: ${problem}`);
    }
  };
  return { ...parsed, notes: met, arrays };
}

/**
 * Parses a recording's log.
 *
 * A last line that is cut off is what a killed training leaves: it does not
 * count, and a note says so. Types of line that are not known are left out.
 *
 * @param bytes Content of `recording.jsonl`.
 * @throws {RecordingError} On a line that is not JSON or not of its type's form, on a log that does
 *   not begin with its only `start`, and on one that is longer than a recorder makes it.
 *
 * @example
 * ```ts
 * import { assertThrows } from "@std/assert";
 * import { parseRecording, RecordingError } from "./read.ts";
 *
 * const bytes = new TextEncoder().encode('{"type":"step"}\n');
 * assertThrows(() => parseRecording(bytes), RecordingError, "line 1");
 * ```
 */
export function parseRecording(bytes: Uint8Array): RecordingLog {
  if (bytes.length > MOST_LOG_BYTES) throw tooLong(bytes.length, MOST_LOG_BYTES);
  const lines: RecordingLine[] = [];
  const notes: string[] = [];
  const unknown = new Set<string>();
  for (let begin = 0, number = 1; begin < bytes.length; number++) {
    if (number > MOST_LINES) {
      throw new RecordingError(
        `${RECORDING_FILE}: a recorder writes at most ${MOST_LINES} lines, found more`,
      );
    }
    const lineEnd = bytes.indexOf(0x0a, begin);
    const end = lineEnd < 0 ? bytes.length : lineEnd;
    const where = `${RECORDING_FILE}, line ${number}`;
    const isLast = lineEnd < 0 || end + 1 === bytes.length;
    const line = parseLine(bytes.subarray(begin, end), where, isLast);
    begin = end + 1;
    if (line === undefined) {
      notes.push(
        `The last line of the log (line ${number}) is cut off, as when a training is killed; it does not count.`,
      );
    } else if ("unknown" in line) {
      if (!UNREAD.includes(line.unknown)) unknown.add(line.unknown);
    } else {
      if ((line.type === "start") !== (lines.length === 0)) {
        throw new RecordingError(
          `${where}: a recording begins with its only start, found "${line.type}"`,
        );
      }
      lines.push(line);
    }
  }
  const [start] = lines;
  if (start?.type !== "start") {
    throw new RecordingError(
      `${RECORDING_FILE} has no complete line: the training ended before its first pass was recorded`,
    );
  }
  if (unknown.size > 0) {
    notes.push(`Lines of types that are not known were left out: ${[...unknown].join(", ")}.`);
  }
  return { start, lines, notes };
}

/** @returns Undefined for a last line that was cut off. */
function parseLine(
  bytes: Uint8Array,
  where: string,
  isLast: boolean,
): RecordingLine | { readonly unknown: string } | undefined {
  if (bytes.length > MOST_LINE_BYTES) {
    throw new RecordingError(
      `${where}: a line has at most ${MOST_LINE_BYTES} bytes, found ${bytes.length}`,
    );
  }
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch (error) {
    if (isLast) return undefined;
    throw new RecordingError(`${where}: expected JSON (${(error as Error).message})`, {
      cause: error,
    });
  }
  const type: unknown = typeof value === "object" && value !== null && "type" in value
    ? value.type
    : undefined;
  if (typeof type !== "string") {
    throw new RecordingError(`${where}: expected an object with a type`);
  }
  const schema = LINES.get(type);
  if (schema === undefined) return { unknown: type.slice(0, 40) };
  const result = schema.safeParse(value);
  if (!result.success) throw new RecordingError(`${where}: ${explain(result.error, value)}`);
  return result.data;
}

function recordedArrays(bytes: Uint8Array): RecordedArrays {
  const { arrays } = storedArrays(bytes);
  const get = (name: string): StoredArray | undefined => arrays.get(name);
  return {
    names: [...arrays.keys()],
    floats: (name) => {
      const array = get(name);
      return array && asFloats(array, name);
    },
    integers: (name) => {
      const array = get(name);
      if (array?.type !== "I64") return undefined;
      const words = new BigInt64Array(array.bytes.slice().buffer);
      return Float64Array.from(words, Number);
    },
  };
}

function tooLong(found: number, most: number): RecordingError {
  return new RecordingError(
    `${RECORDING_FILE}: at most ${most} bytes are read, found ${found}: it is no recorder's log`,
  );
}

/** A whole file that is not longer than is said, and is a file. */
async function readBounded(path: string, mostBytes: number): Promise<Uint8Array> {
  const { size, isFile } = await disk.stat(path);
  if (!isFile) throw new RecordingError(`${path} is no file`);
  if (size > mostBytes) {
    throw new RecordingError(`${path}: at most ${mostBytes} bytes are read, found ${size}`);
  }
  return await disk.read(path);
}
