/**
 * Recipes: everything that decides a result, as data. `paper` is section 4.2
 * with each point that the paper leaves open as a named field; every other
 * recipe states its differences with a reason and a source.
 */

import type { DatasetName } from "../data/mod.ts";
import type {
  ArchitectureName,
  BatchSize,
  Count,
  CropPadding,
  NonNegative,
  Positive,
  PositiveCount,
  Share,
} from "./schema/leaves.ts";

/** Everything that decides a result but the seed, the engine and the machine. */
export interface Recipe {
  /** As `--recipe` takes it. */
  readonly name: string;
  /** What network is trained. */
  readonly architecture: {
    /** As `architecture()` of `resnet/` takes it: `resnet32`, `plain20`, ... */
    readonly name: ArchitectureName;
    /** What the graph has where the shape changes: option A, option B, or no shortcuts at all. */
    readonly shortcut: "A" | "B" | "none";
    /** Where option A's zero channels stand; none where nothing is option A. */
    readonly zeroChannels: "append" | "split" | "none";
  };
  /** What it is trained on, and what happens to the images before the network. */
  readonly data: {
    readonly set: DatasetName;
    /** Training and validation images; together at most the set's training part. */
    readonly split: { readonly training: PositiveCount; readonly validation: Count };
    readonly pixelScale: "0..1" | "0..255";
    /** What is subtracted; measured on the training part alone, or published constants. */
    readonly mean: "per-pixel" | "per-channel" | "imagenet" | "none";
    /** What divides after the subtraction. */
    readonly std: "none" | "per-channel" | "imagenet";
    readonly meanSubtracted: "before-padding" | "after-crop";
    readonly augmentation: "pad-crop-flip" | "none";
    /** Zeros on each side before the crop. */
    readonly cropPadding: CropPadding;
    readonly order: "shuffled" | "sequential";
    /** Batches run on into the next shuffle, or an epoch's last partial batch is kept or dropped. */
    readonly epochEnd: "run-on" | "keep-partial" | "drop-partial";
  };
  /** Images in a step. */
  readonly batchSize: BatchSize;
  /** Images over which batch-norm statistics are taken. */
  readonly batchNormImages: Count;
  /** running = (1 - momentum) * running + momentum * batch. */
  readonly batchNorm: {
    readonly epsilon: Positive;
    readonly momentum: Share;
    readonly runningVariance: "unbiased";
  };
  /** Normal with mean 0 and variance 2 / fan. */
  readonly initialisation: {
    readonly kind: "he-normal";
    readonly fan: "in" | "out";
    /** Library: uniform within 1 / sqrt(inputs) of 0; he-normal when undefined. */
    readonly lastLayer?: "he-normal" | "library";
  };
  /** How gradients change the weights. */
  readonly optimiser: Sgd | Adam | AdamW | Nadam;
  /** The learning rate of each step, and their number. */
  readonly schedule: StepSchedule | PlateauSchedule;
  /** Where a variant leaves the paper, and why. */
  readonly departures: readonly Departure[];
}

/** v = momentum * v + g; w = w - rate * v, with g including weight decay. */
export interface Sgd {
  /** Tells the kinds apart. */
  readonly kind: "sgd";
  /** From 0 to below 1. */
  readonly momentum: NonNegative;
  /** True: w = w - rate * (g + momentum * v). */
  readonly nesterov: boolean;
  /** Steps: v = momentum * v + rate * g, w = w - v, as in Caffe; gradients when undefined. */
  readonly velocityOf?: "gradients" | "steps";
  /** Times the weight, added to its gradient. */
  readonly weightDecay: NonNegative;
  /** The weights that decay: every trainable one, or kernels (convolution, dense) alone. */
  readonly decayed: "all" | "kernels";
}

/** What Adam and AdamW have in common, as PyTorch has it. */
export interface AdamConstants {
  /** Decay of the mean of gradients. */
  readonly beta1: Share;
  /** Decay of the mean of squared gradients. */
  readonly beta2: Share;
  /** Added to the root of the mean of squares. */
  readonly epsilon: NonNegative;
  /** Times the weight: added to its gradient by Adam, taken from it, times the rate, by AdamW. */
  readonly weightDecay: NonNegative;
  /** True: the root of the largest mean of squares so far. */
  readonly amsgrad?: boolean;
  /** The weights that decay; every trainable one when undefined. */
  readonly decayed?: "all" | "kernels";
}

/** Adam, or AMSGrad. */
export interface Adam extends AdamConstants {
  /** Tells the kinds apart. */
  readonly kind: "adam";
}

/** Adam with decoupled weight decay. */
export interface AdamW extends AdamConstants {
  /** Tells the kinds apart. */
  readonly kind: "adamw";
}

/** NAdam, as PyTorch has it. */
export interface Nadam {
  /** Tells the kinds apart. */
  readonly kind: "nadam";
  /** Decay of the mean of gradients. */
  readonly beta1: Share;
  /** Decay of the mean of squared gradients. */
  readonly beta2: Share;
  /** Added to the root of the mean of squares. */
  readonly epsilon: NonNegative;
  /** Times the weight, added to its gradient. */
  readonly weightDecay: NonNegative;
  /** How fast the momentum rises to `beta1`. */
  readonly momentumDecay: NonNegative;
  /** True: decay is taken from the weight, times the rate. */
  readonly decoupled?: boolean;
  /** The weights that decay; every trainable one when undefined. */
  readonly decayed?: "all" | "kernels";
}

/** A rate divided at given iterations. */
export interface StepSchedule {
  /** Tells the kinds apart. */
  readonly kind: "steps";
  /** The rate at the start. */
  readonly rate: NonNegative;
  /** Iterations after which the rate is multiplied by `factor`. */
  readonly boundaries: readonly Count[];
  /** What the rate is multiplied by. */
  readonly factor: NonNegative;
  /** Length of the training. */
  readonly iterations: Count;
  /** ResNet-110's start: a lower rate until the training error falls below a bound. */
  readonly warmUp?: { readonly rate: NonNegative; readonly untilTrainingErrorBelow: Share };
}

/** Admitted so that other systems' recipes can be stated and audited; the trainer refuses it. */
export interface PlateauSchedule {
  /** Tells the kinds apart. */
  readonly kind: "plateau";
  /** The rate at the start. */
  readonly rate: NonNegative;
  /** What the rate is multiplied by. */
  readonly factor: NonNegative;
  /** Epochs without improvement after which the rate falls. */
  readonly patienceEpochs: NonNegative;
  /** The smallest change that counts as an improvement. */
  readonly threshold: NonNegative;
  /** The rate never falls below it. */
  readonly minimumRate: NonNegative;
  /** Most steps that the training can have. */
  readonly iterations: Count;
  /** Ends the training early; never when undefined. */
  readonly stopAfterEpochsWithoutImprovement?: NonNegative;
}

/** One difference from the paper. */
export interface Departure {
  /** Dotted path of the field, for example `schedule.iterations`. */
  readonly field: string;
  /** The paper's value. */
  readonly paper: string;
  /** The recipe's value. */
  readonly here: string;
  /** Why it differs. */
  readonly reason: string;
  /** Where the value comes from. */
  readonly source?: string;
}
