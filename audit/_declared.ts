/**
 * What a log shows of its own recipe. A run whose recipe departs from the paper breaks the rules on
 * its log too: that follows from what it declared, and only a log that contradicts its own recipe
 * shows that something went wrong.
 */
import { countParameters, type Graph } from "../resnet/mod.ts";
import { Epochs, learningRate } from "../recipes/mod.ts";
import { type LoggedRun, loggedRun, type LogSubject } from "../log/mod.ts";

/** What a log rule says again, of the steps that were taken. */
interface Declared {
  /** The rules on the recipe and on the network of which one is broken. */
  readonly by: readonly string[];
  /** Whether the run did what its recipe and its network say. */
  readonly kept: (run: LoggedRun, log: LogSubject, graph: Graph | undefined) => boolean;
}

const NETWORK = ["stem", "stages", "depth", "identity", "subsampling", "head"];
const DECLARED: Readonly<Record<string, Declared>> = {
  "split-made": { by: ["split"], kept: splitAsDeclared },
  "mean-measured-on": {
    by: ["mean"],
    // A mean per pixel can be of the wrong images; which others are of is in the recipe alone.
    kept: ({ start: { recipe } }) => recipe.data.mean !== "per-pixel",
  },
  "images-per-step": { by: ["batch-size"], kept: imagesAsDeclared },
  "rates-used": { by: ["learning-rate", "warm-up", "iterations"], kept: ratesAsDeclared },
  "parameters-logged": {
    by: NETWORK,
    kept: ({ start }, _, graph) => !!graph && countParameters(graph) === start.parameters,
  },
  "recipe-of-paper": {
    by: [
      ...NETWORK,
      ...["split", "mean", "augmentation", "batch-size", "momentum", "weight-decay"],
      ...["learning-rate", "iterations", "warm-up", "initialisation", "batch-norm-constants"],
    ],
    kept: () => true,
  },
};

/**
 * The rules that a rule on the log says again.
 *
 * @param rule The broken rule's id.
 * @param log The run's.
 * @param graph What was trained.
 * @returns Ids, none where the log contradicts its recipe or the rule stands for itself.
 */
export function declaredBy(
  rule: string,
  log: LogSubject | undefined,
  graph: Graph | undefined,
): readonly string[] {
  const declared = DECLARED[rule];
  const run = declared && log?.events && loggedRun(log.events);
  return run && declared.kept(run, log, graph) ? declared.by : [];
}

/** Whether a log has no end only because its run goes on, or can. */
export function isUnderWay(log: LogSubject | undefined): boolean {
  return log?.events !== undefined &&
    !log.events.some(({ type }) => type === "failure" || type === "end");
}

function splitAsDeclared({ start: { recipe, data } }: LoggedRun, { split }: LogSubject): boolean {
  return split !== undefined &&
    (["training", "validation"] as const).every((part) =>
      split[part].count === recipe.data.split[part] &&
      split[part].count === data[`${part}Images`] &&
      split[part].sha256 === data.splitHashes[part]
    );
}

function imagesAsDeclared({ start: { recipe, data }, steps }: LoggedRun): boolean {
  const { batchSize, data: { epochEnd } } = recipe;
  const batches = Math.ceil(data.trainingImages / batchSize);
  const upTo = (iteration: number) =>
    epochEnd === "keep-partial"
      ? Math.floor(iteration / batches) * data.trainingImages + (iteration % batches) * batchSize
      : iteration * batchSize;
  return steps.every(({ iteration, steps, images }) =>
    images === upTo(iteration) - upTo(iteration - steps)
  );
}

/** Of rates that follow from the training alone the recipe says no more than where they begin. */
function ratesAsDeclared({ start: { recipe }, steps, warmUpEnd }: LoggedRun): boolean {
  const { schedule } = recipe;
  const epochs = new Epochs(recipe);
  return steps.every(({ iteration, learningRate: rate }) => {
    if (iteration > schedule.iterations) return false;
    if (schedule.kind === "plateau") return rate <= schedule.rate * (1 + 1e-6);
    const ended = warmUpEnd !== undefined && iteration > warmUpEnd.iteration;
    const due = learningRate(schedule, iteration, ended, epochs);
    return Math.abs(rate - due) <= 1e-6 * due;
  });
}
