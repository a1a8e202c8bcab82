/** What a run trains, on what: everything that follows from recipe, seed and data. */
import {
  BatchSource,
  type Dataset,
  datasetNamed,
  type MeasuredNormalisation,
  measureNormalisation,
  PHOTOGRAPHS,
  type Split,
  splitImages,
  splitManifest,
} from "../data/mod.ts";
import {
  type EngineOptions,
  freshState,
  type Normalisation,
  type Optimiser,
  type TrainingState,
} from "../engine/mod.ts";
import { architecture, fitWeights, initialise, parametersOf, type Weights } from "../resnet/mod.ts";
import type { RunIdentity } from "./checkpoint.ts";
import type { DataRecord } from "../log/mod.ts";
import type { TrainOptions } from "./options.ts";
import { type Recipe, RecipeError } from "../recipes/mod.ts";

/** A recipe that `checkRecipe` let pass. */
export type TrainableRecipe = Recipe & {
  readonly optimiser: Optimiser;
};

/** Everything that the loop works on but the engine and the state. */
export interface Prepared {
  readonly recipe: TrainableRecipe;
  readonly dataset: Dataset;
  /** Positions in the training part. */
  readonly training: Uint32Array;
  readonly validation: Uint32Array;
  /** Content of the split's file. */
  readonly splitFile: string;
  readonly normalisation: Normalisation;
  readonly data: DataRecord;
  readonly batches: BatchSource;
  readonly engineOptions: EngineOptions;
  readonly identity: RunIdentity;
}

/** @throws {RecipeError} If the data set is smaller than the recipe's split. */
export async function prepare(
  recipe: TrainableRecipe,
  dataset: Dataset,
  { seed, threads, convolution, precision, startWeights, signal }: Pick<
    TrainOptions,
    "seed" | "threads" | "convolution" | "precision" | "startWeights" | "signal"
  >,
): Promise<Prepared> {
  const split = splitOf(recipe, dataset, seed);
  const { training, validation } = split;
  const manifest = splitManifest(split);
  const mean = await meanOf(recipe, dataset, training, signal);
  const { height, width, channels, classes } = dataset.train;
  const { name, shortcut, zeroChannels } = recipe.architecture;
  const { cropPadding, augmentation, order, epochEnd } = recipe.data;
  const { batchSize } = recipe;
  return {
    recipe,
    dataset,
    training,
    validation,
    splitFile: JSON.stringify(manifest),
    normalisation: mean.normalisation,
    data: {
      set: recipe.data.set,
      ...(dataset.notice === undefined ? {} : { notice: dataset.notice }),
      hashes: dataset.hashes,
      trainingImages: training.length,
      validationImages: validation.length,
      testImages: dataset.test.count,
      splitHashes: { training: manifest.training.sha256, validation: manifest.validation.sha256 },
      mean: { sha256: mean.sha256, of: mean.of },
      ...(dataset.errorFloor === undefined ? {} : { errorFloor: dataset.errorFloor }),
      ...(dataset.linearModelError === undefined
        ? {}
        : { linearModelError: dataset.linearModelError }),
    },
    batches: new BatchSource({
      seed,
      indices: training,
      batchSize,
      cropPadding,
      augmentation,
      order,
      epochEnd,
    }),
    engineOptions: {
      graph: architecture(name, {
        shortcut,
        zeroChannels,
        classes,
        inputShape: [height, width, channels],
      }),
      batchSize,
      ...(recipe.batchNormImages < batchSize ? { batchNormImages: recipe.batchNormImages } : {}),
      optimiser: recipe.optimiser,
      batchNorm: recipe.batchNorm,
      cropPadding,
      ...(threads === undefined ? {} : { threads }),
      ...(convolution === undefined ? {} : { convolution }),
      ...(precision === undefined ? {} : { precision }),
    },
    identity: {
      recipe,
      seed,
      classes,
      dataHashes: dataset.hashes,
      meanSha256: mean.sha256,
      ...(startWeights ? { startWeights: startWeights.sha256 } : {}),
    },
  };
}

/** Which images are trained on, and which are held out. */
function splitOf({ data: { set, split } }: Recipe, dataset: Dataset, seed: number): Split {
  const { training: wanted, validation: heldOut } = split;
  const { train: { count }, test, stream, name } = dataset;
  if ((stream !== undefined) !== (set === PHOTOGRAPHS)) {
    throw new RecipeError(`the recipe is for ${set}, and the images are ${name}`);
  }
  if (stream) {
    // A folder is split by its halves; those to test on count on from those to train on.
    if (wanted !== count || heldOut !== test.count) {
      throw new RecipeError(
        `the recipe's data.split must be that of the folder, ${count} photographs to train on and ${test.count} to validate on; found ${wanted} and ${heldOut}`,
      );
    }
    const from = (first: number, length: number) =>
      Uint32Array.from({ length }, (_, i) => first + i);
    return { training: from(0, count), validation: from(count, test.count) };
  }
  if (wanted + heldOut > count) {
    throw new RecipeError(
      `${wanted} training and ${heldOut} validation images were asked for; ${name} has ${count} together. Choose another --split`,
    );
  }
  return splitImages(count, split, seed);
}

async function meanOf(
  { data }: Recipe,
  { train, stream }: Dataset,
  training: Uint32Array,
  signal?: AbortSignal,
): Promise<MeasuredNormalisation> {
  if (stream) return await stream.measure(data, signal);
  const { channels } = datasetNamed(data.set);
  return measureNormalisation(train, training, data, channels);
}

/** The state before the first step, and what to say of it. */
export interface FirstState {
  readonly state: TrainingState;
  /** Set where the given weights tell another number of classes apart. */
  readonly replaced?: string;
}

/**
 * The state before the first step: initialised, or the given weights. Where these tell another
 * number of classes apart, their last layer is replaced by an initialised one.
 *
 * @throws {WeightFileError} If the given weights are of another network.
 */
export function firstState(
  { engineOptions: { graph, optimiser }, recipe }: Prepared,
  seed: number,
  startWeights?: { readonly path: string; readonly weights: Weights },
): FirstState {
  const { fan, lastLayer } = recipe.initialisation;
  const begun = () => initialise(graph, seed, fan, lastLayer);
  if (!startWeights) return { state: freshState(graph, optimiser, begun()) };
  const { path } = startWeights;
  const given = new Map(startWeights.weights);
  const replaced = parametersOf(graph).filter(({ name, shape }) => {
    const found = given.get(name)?.shape;
    return name.startsWith(`${graph.output}.`) && found && found[0] !== shape[0] &&
      found.slice(1).join() === shape.slice(1).join();
  });
  const [last] = replaced;
  const classes = last && given.get(last.name)!.shape[0];
  if (last) {
    const initial = begun();
    for (const { name } of replaced) given.set(name, initial.get(name)!);
  }
  return {
    state: freshState(graph, optimiser, fitWeights(graph, given, path)),
    ...(last && {
      replaced: `"${path}" tells ${classes} classes apart, the data set has ${
        last.shape[0]
      }: its last layer, "${graph.output}", was replaced by an initialised one`,
    }),
  };
}
