/** What a run trains, on what: everything that follows from recipe, seed and data. */
import {
  BatchSource,
  type Dataset,
  datasetNamed,
  measureNormalisation,
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
import { architecture, fitWeights, initialise, type Weights } from "../resnet/mod.ts";
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
export function prepare(
  recipe: TrainableRecipe,
  dataset: Dataset,
  { seed, threads, convolution, startWeights }: Pick<
    TrainOptions,
    "seed" | "threads" | "convolution" | "startWeights"
  >,
): Prepared {
  const { training: wanted, validation: heldOut } = recipe.data.split;
  if (wanted + heldOut > dataset.train.count) {
    throw new RecipeError(
      `${wanted} training and ${heldOut} validation images were asked for; ${dataset.name} has ${dataset.train.count} together. Choose another --split`,
    );
  }
  const { training, validation } = splitImages(dataset.train.count, recipe.data.split, seed);
  const manifest = splitManifest({ training, validation });
  const mean = measureNormalisation(
    dataset.train,
    training,
    recipe.data,
    datasetNamed(recipe.data.set).channels,
  );
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

/** The state before the first step. */
export function firstState(
  { engineOptions: { graph, optimiser }, recipe }: Prepared,
  seed: number,
  startWeights?: { readonly path: string; readonly weights: Weights },
): TrainingState {
  const weights = startWeights
    ? fitWeights(graph, startWeights.weights, startWeights.path)
    : initialise(graph, seed, recipe.initialisation.fan, recipe.initialisation.lastLayer);
  return freshState(graph, optimiser, weights);
}
