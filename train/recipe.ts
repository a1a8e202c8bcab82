/**
 * Recipes: everything that decides a result, as data. `paper` is section 4.2
 * with each point that the paper leaves open as a named field; every other
 * recipe states its differences with a reason and a source.
 */

/** Everything that decides a result but the seed, the engine and the machine. */
export interface Recipe {
  readonly name: string;
  readonly architecture: {
    /** As `architecture()` of `resnet/` takes it: `resnet32`, `plain20`, ... */
    readonly name: string;
    readonly shortcut: "A" | "B";
    readonly zeroChannels: "append" | "split";
  };
  readonly data: {
    readonly set: "cifar10" | "cifar100" | "shapes10";
    /** Training and validation images; together at most the set's training part. */
    readonly split: { readonly training: number; readonly validation: number };
    readonly pixelScale: "0..1" | "0..255";
    /** What is subtracted; measured on the training part alone, or published constants. */
    readonly mean: "per-pixel" | "per-channel" | "imagenet" | "none";
    /** What divides after the subtraction. */
    readonly std: "none" | "per-channel" | "imagenet";
    readonly meanSubtracted: "before-padding" | "after-crop";
    readonly augmentation: "pad-crop-flip" | "none";
    /** Zeros on each side before the crop. */
    readonly cropPadding: number;
    readonly order: "shuffled" | "sequential";
    /** Batches run on into the next shuffle, or an epoch's last partial batch is kept or dropped. */
    readonly epochEnd: "run-on" | "keep-partial" | "drop-partial";
  };
  readonly batchSize: number;
  /** Images over which batch-norm statistics are taken. */
  readonly batchNormImages: number;
  readonly batchNorm: {
    readonly epsilon: number;
    readonly momentum: number;
    readonly runningVariance: "unbiased";
  };
  readonly initialisation: { readonly kind: "he-normal"; readonly fan: "in" | "out" };
  readonly optimiser: Sgd | Adam;
  readonly schedule: StepSchedule | PlateauSchedule;
  /** Where a variant leaves the paper, and why. */
  readonly departures: readonly Departure[];
}

/** v = momentum * v + g; w = w - rate * v, with g including weight decay. */
export interface Sgd {
  readonly kind: "sgd";
  readonly momentum: number;
  readonly nesterov: boolean;
  readonly weightDecay: number;
  readonly decayed: "all" | "kernels";
}

/** Admitted so that other systems' recipes can be stated and audited; no engine trains it. */
export interface Adam {
  readonly kind: "adam";
  readonly beta1: number;
  readonly beta2: number;
  readonly epsilon: number;
  readonly weightDecay: number;
}

/** A rate divided at given iterations. */
export interface StepSchedule {
  readonly kind: "steps";
  readonly rate: number;
  /** Iterations after which the rate is multiplied by `factor`. */
  readonly boundaries: readonly number[];
  readonly factor: number;
  /** Length of the training. */
  readonly iterations: number;
  /** ResNet-110's start: a lower rate until the training error falls below a bound. */
  readonly warmUp?: { readonly rate: number; readonly untilTrainingErrorBelow: number };
}

/** Admitted so that other systems' recipes can be stated and audited; the trainer refuses it. */
export interface PlateauSchedule {
  readonly kind: "plateau";
  readonly rate: number;
  readonly factor: number;
  readonly patienceEpochs: number;
  readonly threshold: number;
  readonly minimumRate: number;
  readonly iterations: number;
  readonly stopAfterEpochsWithoutImprovement?: number;
}

/** One difference from the paper. */
export interface Departure {
  /** Dotted path of the field, for example `schedule.iterations`. */
  readonly field: string;
  readonly paper: string;
  readonly here: string;
  readonly reason: string;
  readonly source?: string;
}
