/**
 * Recipes: everything that decides a result, as data. `paper` is section 4.2
 * with each point that the paper leaves open as a named field; every other
 * recipe states its differences with a reason and a source.
 */

import type { SetName } from "../data/mod.ts";
import type {
  ArchitectureName,
  BatchSize,
  Count,
  CropPadding,
  NonNegative,
  Positive,
  PositiveCount,
  Share,
  WatchedValue,
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
    readonly set: SetName;
    /** Training and validation images; together at most the set's training part. */
    readonly split: { readonly training: PositiveCount; readonly validation: Count };
    readonly pixelScale: "0..1" | "0..255";
    /**
     * What is subtracted; measured on the training part alone, or published constants: the data
     * set's own or ImageNet's, or each image's own channel means.
     */
    readonly mean: "per-pixel" | "per-channel" | "published" | "imagenet" | "per-image" | "none";
    /** What divides after the subtraction. */
    readonly std: "none" | "per-channel" | "published" | "imagenet";
    readonly meanSubtracted: "before-padding" | "after-crop";
    /**
     * A crop of the padded image; of photographs a crop of the image with a drawn shorter side (the
     * paper, section 3.4), or torchvision's `RandomResizedCrop`. Each is mirrored by chance.
     */
    readonly augmentation:
      | "pad-crop-flip"
      | "scale-crop-flip"
      | "random-resized-crop-flip"
      | "none";
    /** Zeros on each side before the crop. */
    readonly cropPadding: CropPadding;
    readonly order: "shuffled" | "sequential";
    /** Batches run on into the next shuffle, or an epoch's last partial batch is kept or dropped. */
    readonly epochEnd: "run-on" | "keep-partial" | "drop-partial";
    /** Of a folder of photographs alone: how they are cut. */
    readonly photographs?: PhotographSettings;
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
    /**
     * The statistics for tests: moving averages (when undefined), or strict ones over an epoch's
     * batches after the last step.
     */
    readonly averages?: "moving" | "strict";
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
  readonly schedule:
    | StepSchedule
    | PlateauSchedule
    | ExponentialSchedule
    | CosineSchedule
    | RestartsSchedule;
  /** Keeps the best weights beside the last, by a named value, and may end the training early. */
  readonly best?: BestSettings;
  /** Where a variant leaves the paper, and why. */
  readonly departures: readonly Departure[];
}

/** What becomes of photographs before the network; lengths in pixels. */
export interface PhotographSettings {
  /** Side of what the network sees. */
  readonly size: PositiveCount;
  /** The range that the shorter side is drawn from, both ends included. */
  readonly shorterSide: { readonly least: PositiveCount; readonly most: PositiveCount };
  /** Deviation of the PCA colour augmentation's alphas; 0 leaves colours as they are. */
  readonly colour: NonNegative;
  /** The shorter side of the image whose middle is tested. */
  readonly testShorterSide: PositiveCount;
  /** JPEGs turned as their camera noted; as they are stored, and torchvision reads them, when undefined. */
  readonly orientation?: "upright";
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

/** What a place or a length in a training is counted in; an epoch shows each image once. */
export type ScheduleUnit = "iteration" | "epoch";

/** A rate divided at given places. */
export interface StepSchedule {
  /** Tells the kinds apart. */
  readonly kind: "steps";
  /** The rate at the start. */
  readonly rate: NonNegative;
  /** Places after which the rate is multiplied by `factor`. */
  readonly boundaries: readonly Count[];
  /** Of the boundaries; iterations when undefined. */
  readonly unit?: ScheduleUnit;
  /** What the rate is multiplied by. */
  readonly factor: NonNegative;
  /** Length of the training. */
  readonly iterations: Count;
  /** ResNet-110's start: a lower rate until the training error falls below a bound. */
  readonly warmUp?: { readonly rate: NonNegative; readonly untilTrainingErrorBelow: Share };
}

/** rate * factor^t after t units, as `torch.optim.lr_scheduler.ExponentialLR` has it. */
export interface ExponentialSchedule {
  /** Tells the kinds apart. */
  readonly kind: "exponential";
  /** The rate at the start. */
  readonly rate: NonNegative;
  /** What the rate is multiplied by after each unit. */
  readonly factor: NonNegative;
  /** Of t; iterations when undefined. */
  readonly unit?: ScheduleUnit;
  /** Length of the training. */
  readonly iterations: Count;
}

/**
 * minimumRate + (rate - minimumRate) (1 + cos(pi t / period)) / 2 after t units, as
 * `torch.optim.lr_scheduler.CosineAnnealingLR` has it.
 *
 * Source: Loshchilov, Hutter, arXiv 1608.03983, without its restarts.
 */
export interface CosineSchedule {
  /** Tells the kinds apart. */
  readonly kind: "cosine";
  /** The rate at the start. */
  readonly rate: NonNegative;
  /** The rate after a period; PyTorch has 0. Beyond it the rate rises again. */
  readonly minimumRate: NonNegative;
  /** Units until the minimum: PyTorch's `T_max`. */
  readonly period: PositiveCount;
  /** Of t and the period; iterations when undefined. */
  readonly unit?: ScheduleUnit;
  /** Length of the training. */
  readonly iterations: Count;
}

/**
 * Cosines that begin anew at their ends, as
 * `torch.optim.lr_scheduler.CosineAnnealingWarmRestarts` has them.
 *
 * Source: Loshchilov, Hutter, arXiv 1608.03983.
 */
export interface RestartsSchedule {
  /** Tells the kinds apart. */
  readonly kind: "restarts";
  /** The rate at each start. */
  readonly rate: NonNegative;
  /** What the rate falls towards before each restart; PyTorch has 0. */
  readonly minimumRate: NonNegative;
  /** Units until the first restart: PyTorch's `T_0`. */
  readonly period: PositiveCount;
  /** How much longer each period is than the one before: PyTorch's `T_mult`, 1 there. */
  readonly periodFactor: PositiveCount;
  /** Of t and the period; iterations when undefined. */
  readonly unit?: ScheduleUnit;
  /** Length of the training. */
  readonly iterations: Count;
}

/** Which value is looked at, how often, and what counts as better. */
export interface Watch {
  /** The value. */
  readonly watched: WatchedValue;
  /** What is better: lower, or higher; by the value when undefined. */
  readonly mode?: "min" | "max";
  /** How much better than the best before a value has to be. */
  readonly threshold: NonNegative;
  /** Relative (the default): a share of the best value. Absolute: in the value's own unit. */
  readonly thresholdKind?: "relative" | "absolute";
  /** How often it is looked at; at the end of each epoch when undefined. */
  readonly every?: { readonly count: PositiveCount; readonly unit: ScheduleUnit };
}

/** The rate falls where a value stays as it is: `torch.optim.lr_scheduler.ReduceLROnPlateau`. */
export interface PlateauSchedule extends Watch {
  /** Tells the kinds apart. */
  readonly kind: "plateau";
  /** The rate at the start. */
  readonly rate: NonNegative;
  /** What the rate is multiplied by; PyTorch has 0.1. */
  readonly factor: NonNegative;
  /** Looks without a better value that are let pass: the rate falls at the next. PyTorch has 10. */
  readonly patience: Count;
  /** Looks after a fall that are not counted; 0 when undefined, as in PyTorch. */
  readonly cooldown?: Count;
  /** The rate never falls below it; PyTorch has 0. */
  readonly minimumRate: NonNegative;
  /** A fall by no more than this is not made; 1e-8 when undefined, as in PyTorch. */
  readonly smallestChange?: NonNegative;
  /** Most steps that the training can have. */
  readonly iterations: Count;
}

/** Which weights are kept beside the last ones, and when there is no more hope of better ones. */
export interface BestSettings extends Watch {
  /** Looks without a better value at which the training ends; it never ends early when undefined. */
  readonly stopAfter?: PositiveCount;
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
