/** Whether the run in a folder is the one that was asked for. */
import { differingFields, type Recipe } from "../recipes/mod.ts";
import {
  type DataRecord,
  type EndEvent,
  RunError,
  type RunStore,
  type StartEvent,
} from "../log/mod.ts";

/** What can be compared before the data is read. */
interface Asked {
  readonly recipe: Recipe;
  readonly seed: number;
  readonly startWeights?: { readonly sha256: string };
  readonly plan?: string;
}

/**
 * The start of the unfinished run in a folder, or undefined where there is none.
 *
 * @throws {RunError} If the run is finished, or is another than the one asked for.
 */
export function startOf(run: RunStore, asked: Asked): StartEvent | undefined {
  const [start] = run.earlier;
  if (start?.type !== "start") return undefined;
  const compared = ({ recipe, seed, startWeights, plan }: Asked) => {
    // Departures follow from the other fields, and their reasons are words.
    const { departures: _, ...fields } = recipe;
    return { recipe: fields, seed, startWeights: startWeights?.sha256, plan };
  };
  refuseDifferences(run, compared(start), compared(asked));
  const end = run.earlier.find((event): event is EndEvent => event.type === "end");
  if (end) {
    throw new RunError(
      `the run in "${run.path}" is finished: ${end.iteration} iterations, test error ${
        (end.testError * 100).toFixed(2)
      }%. To train anew, choose another --out or --seed, or remove the folder`,
    );
  }
  return start;
}

/** @throws {RunError} If the run was begun on other images. */
export function refuseOtherData(run: RunStore, begun: DataRecord, asked: DataRecord): void {
  refuseDifferences(run, { data: begun }, { data: asked });
}

function refuseDifferences(run: RunStore, begun: object, asked: object): void {
  const differing = differingFields(begun, asked);
  if (differing.length === 0) return;
  const list = differing.map(({ field, before, after }) =>
    `  ${field}: ${before} there, ${after} asked for`
  );
  throw new RunError(
    `the run in "${run.path}" can only be gone on with as it was begun; these fields differ:\n${
      list.join("\n")
    }\nAsk for the same, or choose another folder with --out`,
  );
}
