/** Whether the run in a folder is the one that was asked for. */
import { completed, differingFields, isOfPhotographs, type Recipe } from "../recipes/mod.ts";
import {
  type DataRecord,
  effectiveEvents,
  type EndEvent,
  RunError,
  type RunStore,
  type StartEvent,
} from "../log/mod.ts";
import type { FinishedResult } from "./options.ts";

/** What can be compared before the data is read. */
interface Asked {
  readonly recipe: Recipe;
  readonly seed: number;
  readonly startWeights?: { readonly sha256: string };
  readonly plan?: string;
}

/**
 * The start of the run in a folder, or undefined where there is none.
 *
 * @throws {RunError} If the run is another than the one asked for.
 */
export function startOf(run: RunStore, asked: Asked): StartEvent | undefined {
  const [start] = run.earlier;
  if (start?.type !== "start") return undefined;
  const compared = ({ recipe, seed, startWeights, plan }: Asked) => {
    // Departures follow from the other fields, and their reasons are words.
    const { departures: _, ...fields } = completed(recipe);
    return { recipe: fields, seed, startWeights: startWeights?.sha256, plan };
  };
  refuseDifferences(run, compared(start), compared(asked));
  return start;
}

/**
 * The result of a run that is finished, as its log has it: a process may have
 * been killed between its end and its report.
 */
export function finishedBefore(run: RunStore): FinishedResult | undefined {
  const events = effectiveEvents(run.earlier);
  const end = events.find((event): event is EndEvent => event.type === "end");
  if (!end) return undefined;
  const test = events.findLast((event) => event.type === "evaluation" && event.set === "test");
  const weights = events.findLast((event) => event.type === "file" && event.kind === "weights");
  if (test?.type !== "evaluation" || weights?.type !== "file") {
    throw new RunError(
      `the log of the run in "${run.path}" must name the final test and the weights before its end, and does not. To train anew, choose another --out or --seed`,
    );
  }
  const { iteration, testError, bestValidation, trainingSeconds, waitingSeconds } = end;
  const best = events.findLast((event) => event.type === "best");
  return {
    outcome: "finished",
    before: true,
    folder: run.path,
    iteration,
    testError,
    testErrors: test.errors,
    ...(test.errors5 === undefined ? {} : { testErrors5: test.errors5 }),
    testImages: test.images,
    bestValidation,
    ...(best ? { best } : {}),
    trainingSeconds,
    ...(waitingSeconds === undefined ? {} : { waitingSeconds }),
    weights: weights.file,
  };
}

/** @throws {RunError} If the run was begun on other images. */
export function refuseOtherData(run: RunStore, begun: DataRecord, asked: DataRecord): void {
  // What is said of the images is words: another version may say it otherwise.
  const compared = ({ notice: _, ...data }: DataRecord) => ({ data });
  refuseDifferences(run, compared(begun), compared(asked));
}

/** Whether the recipe that was asked for takes its split from a folder of photographs. */
function isOfFolder(asked: { readonly recipe?: Pick<Recipe, "data"> }): boolean {
  return asked.recipe !== undefined && isOfPhotographs(asked.recipe);
}

function refuseDifferences(run: RunStore, begun: object, asked: object): void {
  const differing = differingFields(begun, asked);
  if (differing.length === 0) return;
  const list = differing.map(({ field, before, after }) =>
    `  ${field}: ${before} there, ${after} asked for`
  );
  // A folder's length is not asked for: it follows from what lies in it.
  const areOthers = differing.some(({ field }) => field.startsWith("data.hashes.")) ||
    isOfFolder(asked) && differing.some(({ field }) => field.startsWith("recipe.data.split."));
  const way = areOthers
    ? "Its images have changed since, or are others: put them back as they were"
    : "Ask for the same";
  throw new RunError(
    `the run in "${run.path}" can only be gone on with as it was begun; these fields differ:\n${
      list.join("\n")
    }\n${way}, or choose another folder with --out`,
  );
}
