/**
 * Short trainings that differ in one thing each: what people ask whose net does
 * not learn, answered by measurement.
 *
 * `deno task ablations --question stem --iterations 500`
 */
import { PAPER_DATASET } from "../paper/mod.ts";
import {
  choice,
  COMMON,
  ENGINE_FLAGS,
  type FlagValues,
  integer,
  main,
  type Outcome,
  text,
  UsageError,
} from "../cli/mod.ts";
import {
  BatchSource,
  type Dataset,
  type DatasetName,
  loadDataset,
  measureNormalisation,
  splitImages,
} from "../data/mod.ts";
import {
  chooseEngine,
  type Engine,
  engineFactories,
  type EngineFactory,
  freshState,
  PLAIN_SGD,
} from "../engine/mod.ts";
import {
  architecture,
  buildGraph,
  countParameters,
  type Graph,
  initialise,
  withInputs,
} from "../resnet/mod.ts";
import {
  Epochs,
  forDataset,
  learningRate,
  type OptimiserName,
  OPTIMISERS,
  type Recipe,
  RECIPES,
  withImages,
  withIterations,
  withOptimiser,
} from "../recipes/mod.ts";
import { table } from "./_table.ts";

const QUESTIONS = ["stem", "projection", "mean", "relu"] as const;
type Question = typeof QUESTIONS[number];

const FLAGS = {
  question: choice(QUESTIONS, "one of the questions; all of them by default"),
  iterations: integer("steps of each training; 500 by default", 20),
  batch: integer("images in a batch; the recipe's by default, 128 in the paper", 1),
  net: text("NAME", "the net of projection, mean and relu; the recipe's by default, else resnet20"),
  recipe: choice(
    Object.keys(RECIPES) as (keyof typeof RECIPES)[],
    "how they are trained, shortened to the iterations; paper by default",
  ),
  optimiser: choice(
    Object.keys(OPTIMISERS) as OptimiserName[],
    "in the recipe's place, with its own rate",
  ),
  data: text("PATH", "CIFAR-10's binary version; the built-in images by default"),
  seed: integer("of initialisation, split and batches; 0 by default", 0, 0xffffffff),
  engine: ENGINE_FLAGS.engine,
  threads: ENGINE_FLAGS.threads,
  ...COMMON,
} as const;

const command = {
  usage: "deno task ablations",
  summary: "Trains nets that differ in one thing for a short time and compares them.\n\n" +
    "  stem        the paper's net, ImageNet's widths with a 3x3 stem, and ImageNet's stem\n" +
    "  projection  projections on the shortcut with batch normalisation, and without\n" +
    "  mean        a trained net tested with the mean subtracted, and without\n" +
    "  relu        a last layer as it is, and with a ReLU behind it\n\n" +
    "What 10-crop testing is needs no training: the mean of the predictions for ten crops of an\n" +
    "image, its four corners and its centre, each as it is and mirrored. Section 3.4 tests so on\n" +
    "ImageNet; on CIFAR-10 the paper tests the single view of the 32x32 image (section 4.2).",
  flags: FLAGS,
} as const;

/** What every training of a comparison shares. */
interface Setting {
  readonly recipe: Recipe;
  readonly dataset: Dataset;
  readonly factory: EngineFactory;
  readonly seed: number;
  readonly threads?: number;
}

/** One line of a table. */
interface Row {
  readonly variant: string;
  readonly parameters: number;
  readonly iterations: number;
  /** Mean softmax cross entropy of the last steps; ln 10 = 2.303 is guessing. */
  readonly trainingLoss: number;
  /** Share of wrong test images, 0 to 1. */
  readonly testError: number;
}

/** Steps over which the final training loss is averaged. */
const LAST_STEPS = 20;

/** Graphs that differ in what a question asks about. */
function variantsOf(question: Question, net: string): readonly (readonly [string, Graph])[] {
  switch (question) {
    case "stem":
      return [
        ["resnet20, 3x3 stem, 16 to 64 filters", architecture("resnet20")],
        ["resnet34-cifar, 3x3 stem, 64 to 512 filters", architecture("resnet34-cifar")],
        ["resnet34, 7x7 stem and max pooling", architecture("resnet34")],
      ];
    case "projection": {
      const graph = architecture(net, { shortcut: "B" });
      return [
        ["projections with batch normalisation", graph],
        ["projections without", withoutProjectionNorm(graph)],
      ];
    }
    case "mean":
      return [["", architecture(net)]];
    case "relu": {
      const graph = architecture(net);
      const relu = { kind: "relu", name: "relu", input: graph.output } as const;
      return [
        ["last layer as it is", graph],
        ["ReLU behind the last layer", buildGraph(net, graph.inputShape, [...graph.nodes, relu])],
      ];
    }
  }
}

/** The graph with each 1x1 convolution on a shortcut going into the addition by itself. */
function withoutProjectionNorm(graph: Graph): Graph {
  const bare = (name: string) => name.replace(/\.shortcut\.1$/, ".shortcut.0");
  const specs = graph.nodes.filter(({ name }) => !name.endsWith(".shortcut.1")).map((node) =>
    withInputs(node, bare)
  );
  return buildGraph(graph.name, graph.inputShape, specs);
}

/** Trains a graph from its initialisation; the caller disposes of the engine. */
async function trained(
  graph: Graph,
  { recipe, dataset, factory, seed, threads }: Setting,
): Promise<{ engine: Engine; trainingLoss: number }> {
  const { batchSize, batchNorm, optimiser, schedule, data } = recipe;
  const { training } = splitImages(dataset.train.count, data.split, seed);
  const batches = new BatchSource({ ...data, seed, indices: training, batchSize });
  const engine = await factory.create({
    ...{ graph, batchSize, batchNorm, optimiser, cropPadding: data.cropPadding },
    ...(threads === undefined ? {} : { threads }),
  });
  try {
    const { normalisation } = measureNormalisation(dataset.train, training, data);
    await engine.load({ train: dataset.train, test: dataset.test, normalisation });
    const weights = initialise(
      graph,
      seed,
      recipe.initialisation.fan,
      recipe.initialisation.lastLayer,
    );
    await engine.importState(freshState(graph, optimiser, weights));
    const epochs = new Epochs(recipe);
    for (let iteration = 1; iteration <= schedule.iterations; iteration++) {
      const rate = schedule.kind === "plateau"
        ? schedule.rate // Too short for a fall, which is checked beforehand.
        : learningRate(schedule, iteration, true, epochs);
      engine.step(batches.plan(iteration), rate);
    }
    const last = (await engine.metrics()).slice(-LAST_STEPS);
    return { engine, trainingLoss: last.reduce((sum, { loss }) => sum + loss, 0) / last.length };
  } catch (error) {
    engine.dispose();
    throw error;
  }
}

async function errorOf(engine: Engine): Promise<number> {
  const { errors, images } = await engine.evaluate("test");
  return errors / images;
}

/** Trains each variant and tests it. */
async function compare(question: Question, net: string, setting: Setting): Promise<Row[]> {
  const rows: Row[] = [];
  for (const [variant, graph] of variantsOf(question, net)) {
    console.error(`${question}: training ${variant || net}`);
    const { engine, trainingLoss } = await trained(graph, setting);
    try {
      const { iterations } = setting.recipe.schedule;
      const row = { parameters: countParameters(graph), iterations, trainingLoss };
      if (question !== "mean") {
        rows.push({ ...row, variant, testError: await errorOf(engine) });
      } else {
        rows.push(
          { ...row, variant: "tested with the mean subtracted", testError: await errorOf(engine) },
          {
            ...row,
            variant: "tested without",
            testError: await errorWithoutMean(engine, graph, setting),
          },
        );
      }
    } finally {
      engine.dispose();
    }
  }
  return rows;
}

/** Tests the same weights on images of which nothing was subtracted. */
async function errorWithoutMean(
  source: Engine,
  graph: Graph,
  { recipe, dataset, factory, threads }: Setting,
): Promise<number> {
  const engine = await factory.create({
    ...{ graph, batchSize: 1, batchNorm: recipe.batchNorm, cropPadding: 0 },
    optimiser: PLAIN_SGD,
    ...(threads === undefined ? {} : { threads }),
  });
  try {
    const { normalisation } = measureNormalisation(dataset.train, Uint32Array.of(0), {
      ...recipe.data,
      mean: "none",
    });
    await engine.load({ train: dataset.train, test: dataset.test, normalisation });
    await engine.importState(await source.exportState());
    return await errorOf(engine);
  } finally {
    engine.dispose();
  }
}

function tableOf(rows: readonly Row[]): string {
  return table([
    ["variant", "parameters", "iterations", "final training loss", "test error"],
    ...rows.map(({ variant, parameters, iterations, trainingLoss, testError }) => [
      variant,
      parameters.toLocaleString("en-US"),
      String(iterations),
      trainingLoss.toFixed(3),
      `${(100 * testError).toFixed(2)}%`,
    ]),
  ]);
}

/**
 * The recipe that all of a comparison share.
 *
 * @throws {UsageError} If it is so long that a plateau's rate could fall: nothing is looked at here.
 */
function recipeOf(
  flags: FlagValues<typeof FLAGS>,
  set: DatasetName,
  iterations: number,
): Recipe {
  let recipe = forDataset(RECIPES[flags.recipe ?? "paper"](flags.net), set);
  if (flags.optimiser) recipe = withOptimiser(recipe, flags.optimiser, "asked for");
  if (flags.batch !== undefined) {
    recipe = withImages(recipe, { batchSize: flags.batch }, "asked for");
  }
  const { schedule } = recipe;
  if (schedule.kind === "plateau") {
    const longest = new Epochs(recipe).end(schedule.patience);
    if (iterations > longest) {
      throw new UsageError(
        `--iterations must be at most ${longest} with this recipe, whose rate could fall by then; found ${iterations}`,
      );
    }
  }
  return withIterations(recipe, iterations);
}

async function ablations(flags: FlagValues<typeof FLAGS>): Promise<Outcome> {
  const { iterations = 500, seed = 0 } = flags;
  const set = flags.data === undefined ? "shapes10" : PAPER_DATASET;
  const recipe = recipeOf(flags, set, iterations);
  const { batchSize: batch } = recipe;
  const net = recipe.architecture.name;
  const dataset = await loadDataset(set, flags.data === undefined ? {} : { path: flags.data });
  const { factory, reason } = await chooseEngine(flags.engine ?? "auto", engineFactories);
  const setting = {
    ...{ recipe, dataset, factory, seed },
    ...(flags.threads === undefined ? {} : { threads: flags.threads }),
  };
  const results: Partial<Record<Question, Row[]>> = {};
  for (const question of flags.question ? [flags.question] : QUESTIONS) {
    results[question] = await compare(question, net, setting);
  }
  const head = [
    `${set}, recipe ${recipe.name}, ${recipe.optimiser.kind}, batch ${batch}, ${iterations} iterations from seed ${seed}; engine ${factory.name}: ${reason}`,
    `guessing has a loss of ${Math.log(dataset.test.classes).toFixed(3)}`,
    ...(dataset.notice ? [dataset.notice] : []),
  ];
  return {
    text: [
      head.join("\n"),
      ...Object.entries(results).map(([question, rows]) => `${question}\n${tableOf(rows)}`),
    ].join("\n\n"),
    json: {
      set,
      recipe,
      batch,
      iterations,
      seed,
      engine: factory.name,
      notice: dataset.notice,
      results,
    },
  };
}

if (import.meta.main) await main(command, ablations);
