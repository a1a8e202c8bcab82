/** What the static rules look at: all that decides a run before its first step. */
import { BatchSource, datasetNamed, PHOTOGRAPHS, splitImages } from "../data/mod.ts";
import type { BatchPlan } from "../engine/mod.ts";
import { architecture, type Graph, initialise, type Weights } from "../resnet/mod.ts";
import { Epochs, learningRate, type Recipe } from "../recipes/mod.ts";
import { type LoggedRun, loggedRun, type LogSubject, type RunEvent } from "../log/mod.ts";
import type { Finding } from "./rule.ts";

/**
 * What is known of a reproduction before its first step. Whatever is missing,
 * such as the recipe of a foreign checkpoint, makes the rules that need it
 * "not observable".
 */
export interface StaticSubject {
  /** The network. */
  readonly graph?: Graph;
  /** What the reproduction says of itself. */
  readonly recipe?: Recipe;
  /** Positions in the data set's training part. */
  readonly split?: { readonly training: Uint32Array; readonly validation: Uint32Array };
  /** The weights before the first step, by PyTorch's names and layouts. */
  readonly initialWeights?: () => Weights;
  /** The rate that step `iteration` (1 for the first) uses. */
  readonly learningRate?: (iteration: number, warmUpEnded: boolean) => number;
  /** The batch that step `iteration` takes. */
  readonly batchPlan?: (iteration: number) => BatchPlan;
  /**
   * Where to begin drawing the places of a schedule that are looked at; drawn
   * anew where undefined, so that no subject can be made to fit the places.
   */
  readonly samplingSeed?: number;
}

/**
 * The subject that a recipe of ours makes, with the very functions that the
 * training loop calls.
 *
 * @param recipe Any recipe.
 * @param seed The seed of the split, the initialisation and the batches.
 * @param classes How many the network tells apart, where it is not the paper's ten.
 * @returns A subject of which every part is known.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { paper } from "../recipes/mod.ts";
 * import { subjectOf } from "./subject.ts";
 *
 * const subject = subjectOf(paper("resnet20"));
 * assertEquals(subject.learningRate(32_001, true), 0.01);
 * assertEquals(subject.batchPlan(1).indices.length, 128);
 * ```
 */
export function subjectOf(
  recipe: Recipe,
  seed = 0,
  classes?: number,
): Required<Omit<StaticSubject, "samplingSeed">> {
  const { name, ...options } = recipe.architecture;
  const { set, split: sizes, photographs } = recipe.data;
  const graph = architecture(name, {
    ...options,
    ...(photographs ? { inputShape: [photographs.size, photographs.size, 3] } : {}),
    ...(classes === undefined ? {} : { classes }),
  });
  const images = set === PHOTOGRAPHS
    ? sizes.training + sizes.validation
    : datasetNamed(set).trainingImages;
  const split = splitImages(images, sizes, seed);
  const batches = new BatchSource({
    ...recipe.data,
    seed,
    indices: split.training,
    batchSize: recipe.batchSize,
  });
  return {
    graph,
    recipe,
    split,
    initialWeights: () =>
      initialise(graph, seed, recipe.initialisation.fan, recipe.initialisation.lastLayer),
    learningRate: (iteration, warmUpEnded) =>
      learningRate(recipe.schedule, iteration, warmUpEnded, new Epochs(recipe)),
    batchPlan: (iteration) => batches.plan(iteration),
  };
}

/** A subject of which some parts are known. */
type Known<Part extends keyof StaticSubject> =
  & StaticSubject
  & Required<Pick<StaticSubject, Part>>;

/** A check that runs where all the parts that it needs are known. */
export function needing<Part extends keyof StaticSubject>(
  parts: readonly Part[],
  check: (subject: Known<Part>) => Finding,
): (subject: StaticSubject) => Finding {
  return (subject) => unknown(subject, parts) ?? check(subject as Known<Part>);
}

/** Says which parts of a subject are not known; undefined where all are. */
export function unknown<Subject>(
  subject: Subject,
  parts: readonly (keyof Subject & string)[],
): Finding | undefined {
  const missing = parts.filter((part) => subject[part] === undefined);
  if (missing.length === 0) return undefined;
  return { outcome: "not-observable", evidence: `not known: ${missing.join(", ")}` };
}

/** Fails with the problems, at most three of them in full, or passes where there are none. */
export function finding(problems: readonly string[], evidence: string): Finding {
  if (problems.length === 0) return { outcome: "pass", evidence };
  const more = problems.length > 3 ? `; and ${problems.length - 3} more` : "";
  return { outcome: "fail", evidence: problems.slice(0, 3).join("; ") + more };
}

/** Logs that were sorted by what their lines say, for all rules that ask. */
const runs = new WeakMap<readonly RunEvent[], LoggedRun>();

/** A check that runs where the log and the named parts of the subject are there. */
export function reading<Part extends Exclude<keyof LogSubject, "events"> = never>(
  parts: readonly Part[],
  check: (run: LoggedRun, subject: Required<Pick<LogSubject, Part>>) => Finding,
): (subject: LogSubject) => Finding {
  return (subject) => {
    const missing = unknown(subject, ["events", ...parts]);
    if (missing) return missing;
    const run = runs.get(subject.events!) ?? loggedRun(subject.events!);
    runs.set(subject.events!, run);
    return run.start
      ? check(run, subject as Required<Pick<LogSubject, Part>>)
      : { outcome: "not-observable", evidence: "the log has no start" };
  };
}
