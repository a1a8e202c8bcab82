/**
 * The one reading of a run's folder: each file once, hashed once. What a report shows (strictly,
 * `read_run.ts`) and what the rules judge (`logged_run.ts`) both follow from it.
 */
import { disk, FileError, readWhole, sha256 } from "../files/mod.ts";
import { effectiveEvents, type FileReference } from "./events.ts";
import { EVENTS_FILE, parseRunLog, type RunLog, RunLogError } from "./parse_log.ts";

/** A run's folder, as it was read. */
export interface FolderReading {
  /** Path of the folder, for messages. */
  readonly folder: string;
  /** The event log. */
  readonly log: RunLog;
  /** Of the event log, every byte of it. */
  readonly logSha256: string;
  /** What was found of a file that the log names, but for checkpoints. */
  readonly fileOf: (file: FileReference) => FoundFile;
}

/** A file that a log names, and what was found. */
export interface FoundFile {
  /** Where it was read. */
  readonly bytes?: Uint8Array;
  /** Of what was read; undefined where the file is missing. */
  readonly sha256?: string;
}

/**
 * Reads a run's folder: the log, and every file that it names but the checkpoints.
 *
 * @param folder Path of the run's folder, the one with `events.jsonl`.
 * @param readFile Reads a file, given `folder`, a slash and the path in the log.
 * @returns What was found; a file that is missing, or another than the log
 *   names, is no error here.
 * @throws {RunLogError} If the log is missing or refused by {@linkcode parseRunLog}.
 *
 * @example
 * ```ts
 * import { assertRejects } from "@std/assert";
 * import { readFolder, RunLogError } from "./mod.ts";
 *
 * const readFile = () => Promise.resolve(new TextEncoder().encode("not a log\n"));
 * await assertRejects(() => readFolder("runs/a", readFile), RunLogError, "line 1");
 * ```
 */
export async function readFolder(
  folder: string,
  readFile: (path: string) => Promise<Uint8Array> = readBounded,
): Promise<FolderReading> {
  const read = async (path: string): Promise<Uint8Array | undefined> => {
    try {
      return await readFile(`${folder}/${path}`);
    } catch (error) {
      if (disk.isMissing(error)) return undefined;
      if (error instanceof FileError || error instanceof Error && "code" in error) {
        throw new RunLogError(`Reading the run in ${folder}: ${path}: ${error.message}`);
      }
      throw error;
    }
  };
  const bytes = await read(EVENTS_FILE);
  if (!bytes) {
    throw new RunLogError(
      `Reading the run in ${folder}: there is no ${EVENTS_FILE}, which every run has; give the folder of a run as it was written`,
    );
  }
  const log = parseRunLog(new TextDecoder().decode(bytes));
  const files = new Map<string, FoundFile>();
  for (const event of effectiveEvents(log.events)) {
    const file = event.type === "file" || event.type === "best"
      ? event.file
      : event.type === "evaluation"
      ? event.predictions
      : undefined;
    if (!file || files.has(file.path)) continue;
    const content = await read(file.path);
    const found = content && sha256(content);
    // Weights are large, and nothing but their hash is asked for.
    const isKept = event.type === "evaluation" ||
      event.type === "file" && event.kind !== "weights";
    files.set(file.path, {
      ...(found === undefined ? {} : { sha256: found }),
      ...(content && isKept ? { bytes: content } : {}),
    });
  }
  return {
    folder,
    log,
    logSha256: sha256(bytes),
    fileOf: ({ path }) => files.get(path) ?? {},
  };
}

/** Weights of ResNet-1202 take 78 MB; nothing else that a log names is as large. */
const MOST_FILE_BYTES = 256 * 2 ** 20;

/** A file that is none, or is larger than any that a run writes, is refused. */
export const readBounded = (path: string): Promise<Uint8Array> => readWhole(path, MOST_FILE_BYTES);
