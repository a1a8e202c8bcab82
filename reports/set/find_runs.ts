/** Which runs a folder holds. */
import { foldersIn, isFile, readWholeText } from "../../files/mod.ts";
import { EVENTS_FILE } from "../../log/mod.ts";
import { parsePlan, type ReproductionPlan } from "../../verdicts/mod.ts";

/**
 * The folders of the runs in a folder, where it is one of runs and no run itself.
 *
 * @param folder Path of the folder.
 * @returns Their paths in order, also of those that have not begun; undefined where it is no job's
 *   folder, which has a `plan.json`, and none of its folders has an event log.
 *
 * @example
 * ```ts
 * import { runsIn } from "./find_runs.ts";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(await runsIn("no/run/is/here"), undefined);
 * ```
 */
export async function runsIn(folder: string): Promise<readonly string[] | undefined> {
  const { plan, paths } = await findRuns(folder);
  return plan !== undefined || paths[0] !== folder ? paths.toSorted() : undefined;
}

/**
 * The plan and the runs of a folder. A job has its runs in `runs/`; a folder in which one folder
 * has an event log is one of runs, the others are broken ones; all else is taken for a run.
 */
export async function findRuns(
  folder: string,
): Promise<{ readonly plan?: ReproductionPlan; readonly paths: readonly string[] }> {
  if (await isFile(`${folder}/${EVENTS_FILE}`)) return { paths: [folder] };
  if (await isFile(`${folder}/plan.json`)) {
    const plan = parsePlan(await readWholeText(`${folder}/plan.json`));
    return { plan, paths: await foldersIn(`${folder}/runs`) };
  }
  const paths = await foldersIn(folder);
  const logs = await Promise.all(paths.map((path) => isFile(`${path}/${EVENTS_FILE}`)));
  return { paths: logs.includes(true) ? paths : [folder] };
}
