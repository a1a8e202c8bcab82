/** Recording a case: the recorder around its script, for the steps that its mistake takes. */
import { type Case, writeCase } from "./_case.ts";
import { runProgram } from "../../testing/mod.ts";

/** A script that did not come to a recording. */
export class RecordError extends Error {
  /** The class's name, for messages. */
  override name = "RecordError";
}

/** Where and how a case is recorded. */
export interface RecordOptions {
  /** Of the case: its script, and its `recording`. */
  readonly folder: string;
  /** Of the binary files. */
  readonly data: string;
}

const RECORDER = new URL("../../recorders/pytorch.py", import.meta.url);

/** More than a script takes that is to end by itself. */
const NO_STOP = 600;

/**
 * Records a case, where its folder does not hold the recording of the same
 * script, recorder, data and steps already.
 *
 * @returns Seconds; undefined if the recording was there.
 * @throws {RecordError} If the script fails.
 */
export async function record(
  one: Case,
  { folder, data }: RecordOptions,
): Promise<number | undefined> {
  const recorder = decodeURIComponent(RECORDER.pathname);
  const args = [
    ...[recorder, "--out", "recording", "--steps", `${one.tests ? NO_STOP : one.steps}`],
    ...["--", "train.py", "--data", data, "--seed", `${one.seed}`],
    ...(one.tests ? ["--iterations", `${one.steps}`] : []),
  ];
  const key = JSON.stringify([args, [...one.files], await Deno.readTextFile(RECORDER)]);
  if (await textOf(`${folder}/key.json`) === key) return undefined;
  await Deno.remove(folder, { recursive: true }).catch(ignoreMissing);
  await writeCase(one, folder);
  const ended = await runProgram("python3", args, folder, { OMP_NUM_THREADS: "1" });
  await Deno.writeTextFile(`${folder}/output.txt`, `${ended.output}\n${ended.errors}`);
  if (ended.code !== 0) {
    throw new RecordError(
      `recording ${one.id}: the exit status must be 0, found ${ended.code}: ${
        ended.errors.trimEnd().split("\n").at(-1)
      }`,
    );
  }
  await Deno.writeTextFile(`${folder}/key.json`, key);
  return ended.seconds;
}

async function textOf(path: string): Promise<string | undefined> {
  try {
    return await Deno.readTextFile(path);
  } catch (error) {
    ignoreMissing(error);
    return undefined;
  }
}

function ignoreMissing(error: unknown): void {
  if (!(error instanceof Deno.errors.NotFound)) throw error;
}
