/**
 * The lines of a recording, `recording.jsonl`: what a recorder saw of somebody's
 * training. `recorders/FORMAT.md` says what each means; here stand the fields
 * that something reads. Unknown lines and fields are left out.
 */
import type { FileReference } from "../events.ts";

/** What every line has. */
export interface RecordedLine {
  /** ISO 8601, UTC. */
  readonly time: string;
}

/** What the lines have that belong to a place in the training. */
export interface PlacedLine extends RecordedLine {
  /** Training steps finished so far. */
  readonly iteration: number;
  /** Id of the {@linkcode SiteLine} of the code that caused it. */
  readonly site?: number;
}

/** First line of every recording. */
export interface RecordingStart extends RecordedLine {
  /** Tells the kinds of line apart. */
  readonly type: "start";
  /** Of the format. */
  readonly version: 1;
  /** What wrote it. */
  readonly recorder: { readonly name: string; readonly version: string };
  /** What trains. */
  readonly framework: { readonly name: string; readonly version: string };
  /** Of what is loaded, by name. */
  readonly versions: Readonly<Record<string, string>>;
  /** Operating system and processor. */
  readonly platform: string;
  /** The training script; absent in a notebook. */
  readonly script?: { readonly name: string; readonly sha256: string };
  /** The script and its arguments. */
  readonly command: readonly string[];
  /** Names of the accelerators; empty: CPU only. */
  readonly devices: readonly string[];
  /** The recorder ends the training after these steps. */
  readonly stopAfter?: number;
  /** Processes that train together, each on its own images: this is the recording of one. */
  readonly worldSize?: number;
  /** Of the framework's random numbers. */
  readonly seed: string;
}

/** A place in somebody's code. */
export interface SiteLine extends RecordedLine {
  /** Tells the kinds of line apart. */
  readonly type: "site";
  /** By which other lines name it. */
  readonly id: number;
  /** Relative to the script's folder. */
  readonly file: string;
  /** From 1. */
  readonly line: number;
  /** The function that the line is in. */
  readonly function: string;
  /** The line's text. */
  readonly code: string;
  /** What was called there: `network`, `step`, `loader`, ... */
  readonly calls: string;
}

/** One data set of a loader, or one that it wraps. */
export interface RecordedDataset {
  /** The same object has the same id in every loader. */
  readonly id: number;
  /** Qualified name. */
  readonly class: string;
  /** Samples. */
  readonly size?: number;
  /** Plain attributes. */
  readonly attributes: Readonly<Record<string, boolean | number | string>>;
  /** As it prints. */
  readonly transform?: string;
  /** As they print. */
  readonly transforms?: string;
  /** A class of the framework that never calls its transform. */
  readonly ignoresTransform?: boolean;
}

/** A data loader, when it is first iterated. */
export interface LoaderLine extends PlacedLine {
  /** Tells the kinds of line apart. */
  readonly type: "loader";
  /** By which other lines name it. */
  readonly id: number;
  /** The loader's own data set, and what it wraps. */
  readonly datasets: readonly RecordedDataset[];
  /** Samples in the loader's own data set. */
  readonly size?: number;
  /** Batches of a pass. */
  readonly batches?: number;
  /** Images of a batch. */
  readonly batchSize?: number;
  /** Whether a last batch that is not full is left out. */
  readonly dropLast: boolean;
  /** true: shuffled; false: in order; absent: by a sampler that is not known. */
  readonly shuffle?: boolean;
  /** Class of the sampler. */
  readonly sampler: string;
  /** Processes that load. */
  readonly workers: number;
  /** Whether they are given a function to begin with. */
  readonly workerInit?: boolean;
  /** Whether indices are positions in the last entry of `datasets`. */
  readonly composed: boolean;
  /** Every index that it can draw from; absent, and not left out: all of 0 to size - 1. */
  readonly indices?: FileReference;
  /** How many these are, fewer than `size` where a sampler draws of a part of the data set. */
  readonly reachable?: number;
  /** There was no room for them. */
  readonly indicesLeftOut?: boolean;
}

/** A pass through a loader begins or ends. */
export interface EpochLine extends PlacedLine {
  /** Tells the kinds of line apart. */
  readonly type: "epoch";
  /** Which end of the epoch. */
  readonly border: "begin" | "end";
  /** The loader's id. */
  readonly loader: number;
  /** From 1, of this loader. */
  readonly epoch: number;
  /** Batches that were delivered. */
  readonly batches?: number;
  /** Images that were delivered. */
  readonly images?: number;
  /** Different indices among them. */
  readonly distinct?: number;
  /** Whether the loader was read to its end. */
  readonly exhausted?: boolean;
  /** The recorder ended it. */
  readonly cut?: boolean;
  /** SHA-256 of the indices in order. */
  readonly order?: string;
}

/** A trainable array or a buffer of a network. */
export interface RecordedParameter {
  /** Without wrappers. */
  readonly name: string;
  /** In the framework's layout. */
  readonly shape: readonly number[];
  /** Whether it requires gradients. */
  readonly trainable: boolean;
}

/** Batch norms and alike that have the same settings. */
export interface RecordedNorms {
  /** Qualified name. */
  readonly class: string;
  /** Added to the variance; absent where a class of one's own doesn't name it. */
  readonly eps?: number;
  /** Of the newest batch in the running statistics; `cumulative`: their plain average; or absent. */
  readonly momentum?: number | "cumulative";
  /** Whether running statistics are kept. */
  readonly tracked: boolean;
  /** Paths of the modules. */
  readonly names: readonly string[];
}

/** A network, at its first pass. */
export interface NetworkLine extends PlacedLine {
  /** Tells the kinds of line apart. */
  readonly type: "network";
  /** By which other lines name it. */
  readonly id: number;
  /** Qualified name. */
  readonly class: string;
  /** Outermost first. */
  readonly wrappers: readonly string[];
  /** Another network with the same arrays. */
  readonly copyOf?: number;
  /** Shared ones once. */
  readonly parameters: readonly RecordedParameter[];
  /** Numbers in parameters that require gradients. */
  readonly trainable: number;
  /** Numbers in parameters that do not. */
  readonly frozen: number;
  /** Batch norms and alike. */
  readonly norms: readonly RecordedNorms[];
  /** Layers of dropout. */
  readonly dropouts?: readonly { readonly class: string; readonly p: number }[];
  /** Of the first pass. */
  readonly input: { readonly shape: readonly number[]; readonly dtype: string };
  /** The logits of the first pass, where it gave any. */
  readonly output?: { readonly shape: readonly number[]; readonly dtype: string };
  /** Type of numbers of automatic mixed precision. */
  readonly autocast?: string;
}

/** One operation of a pass. */
export interface RecordedNode {
  /** As the framework calls it. */
  readonly op: string;
  /** `convolution`, `batch-norm`, ... */
  readonly kind: string;
  /** Path of the innermost module. */
  readonly module?: string;
  /** Its class. */
  readonly moduleClass?: string;
  /** By the operation's own argument names; see FORMAT.md for what a value may be. */
  readonly arguments: Readonly<Record<string, unknown>>;
  /** What it gives. */
  readonly outputs: readonly {
    readonly value: number;
    readonly shape: readonly number[];
  }[];
}

/** The operations of one pass of a network. */
export interface GraphLine extends PlacedLine {
  /** Tells the kinds of line apart. */
  readonly type: "graph";
  /** The network's id. */
  readonly network: number;
  /** By gradient mode. */
  readonly phase: "training" | "evaluation";
  /** Of the network; absent where that is no module. */
  readonly mode?: RecordedMode;
  /** Images of the pass. */
  readonly images: number;
  /** Value numbers of what enters. */
  readonly inputs: readonly number[];
  /** Value numbers of what comes out. */
  readonly outputs: readonly number[];
  /** There were more nodes than are written. */
  readonly cut?: boolean;
  /** In order. */
  readonly nodes: readonly RecordedNode[];
}

/** A way in which a loss was computed. */
export interface LossLine extends PlacedLine {
  /** Tells the kinds of line apart. */
  readonly type: "loss";
  /** As called; absent: none of the framework's. */
  readonly function?: string;
  /** `mean`, `sum`, `none`. */
  readonly reduction?: string;
  /** Of the classes. */
  readonly weight?: readonly number[];
  /** Share of the target that is given to all classes. */
  readonly labelSmoothing?: number;
  /** `indices`, `probabilities`, `other`. */
  readonly targets?: string;
  /** Loss calls in this backward pass. */
  readonly calls: number;
  /** From the loss to the network's output. */
  readonly chain: readonly string[];
  /** A softmax lies below the loss's own. */
  readonly softmaxBelow: boolean;
  /** A term of the loss is made of kernels alone, as a decay is; absent: it was not seen. */
  readonly penalty?: boolean;
  /** Backward was called on this many times the loss. */
  readonly scaled?: number;
}

/** Parameters that an optimiser treats alike; every plain value by the framework's name. */
export interface RecordedGroup {
  /** Now. */
  readonly learningRate?: number;
  /** Parameters. */
  readonly count: number;
  /** Those in the network. */
  readonly names: readonly string[];
  /** `momentum`, `weight_decay`, ... */
  readonly settings: Readonly<Record<string, unknown>>;
}

/** An optimiser, and again whenever anything but its rates changes. */
export interface OptimizerLine extends PlacedLine {
  /** Tells the kinds of line apart. */
  readonly type: "optimizer";
  /** By which other lines name it. */
  readonly id: number;
  /** Qualified name. */
  readonly class: string;
  /** What it was built with. */
  readonly defaults: Readonly<Record<string, unknown>>;
  /** Its groups. */
  readonly groups: readonly RecordedGroup[];
  /** Parameters that are not in the network. */
  readonly foreign: number;
  /** Its state is that of earlier steps, which were not recorded. */
  readonly resumed?: boolean;
}

/** A scheduler, when it is built. */
export interface SchedulerLine extends PlacedLine {
  /** Tells the kinds of line apart. */
  readonly type: "scheduler";
  /** By which other lines name it. */
  readonly id: number;
  /** Qualified name. */
  readonly class: string;
  /** The optimiser's id. */
  readonly optimizer?: number;
  /** By the framework's names. */
  readonly settings: Readonly<Record<string, unknown>>;
  /** Ids of those inside. */
  readonly schedulers?: readonly number[];
}

/** A call of a scheduler. */
export interface SchedulerStepLine extends PlacedLine {
  /** Tells the kinds of line apart. */
  readonly type: "scheduler-step";
  /** Its id. */
  readonly scheduler: number;
  /** From 1. */
  readonly call: number;
  /** A metric or an epoch. */
  readonly argument?: number;
  /** Training steps since its call before. */
  readonly stepsSince: number;
  /** Whether a training loader's epoch was going on. */
  readonly place: "batch" | "epoch";
  /** The rates before, one a group. */
  readonly before: readonly number[];
  /** The rates after. */
  readonly after: readonly number[];
  /** Its own counter. */
  readonly lastEpoch?: number;
}

/** Of a network, or of its batch norms together. */
export type RecordedMode = "training" | "evaluation" | "mixed";

/** Batch norms in each mode. */
export interface RecordedNormModes {
  /** In training mode. */
  readonly training: number;
  /** In evaluation mode. */
  readonly evaluation: number;
}

/** One pass of a network, looked at closely. */
export interface BatchLine extends PlacedLine {
  /** Tells the kinds of line apart. */
  readonly type: "batch";
  /** Whether a backward pass reached it. */
  readonly phase: "training" | "evaluation";
  /** The network's id. */
  readonly network: number;
  /** The loader's id. */
  readonly loader?: number;
  /** Of the loader. */
  readonly epoch?: number;
  /** Position in the epoch, from 0. */
  readonly batch?: number;
  /** Images. */
  readonly images: number;
  /** Of the network; absent where that is no module. */
  readonly mode?: RecordedMode;
  /** Of the batch norms. */
  readonly norms?: RecordedNormModes;
  /** Smallest value, largest, mean. */
  readonly range?: readonly number[];
  /** Of each image, in the data set; -1: not known. */
  readonly indices?: Int32Array;
  /** Of each image. */
  readonly hashes?: BigUint64Array;
  /** Of each image. */
  readonly labels?: Int32Array;
  /** As the loss function returned it. */
  readonly loss?: number;
  /** Wrong images. */
  readonly errors?: number;
  /** The images themselves. */
  readonly file?: FileReference;
}

/** What the optimiser did to one parameter. */
export interface Replay {
  /** The parameter's name. */
  readonly parameter: string;
  /** The group's position. */
  readonly group: number;
  /** Numbers in it that were looked at. */
  readonly elements: number;
  /** Euclidean, of what the step added. */
  readonly updateNorm: number;
  /** Relative distance from what the optimiser's class computes. */
  readonly predicted?: number;
  /** Inner products of update, gradient, momentum, weights: uu, ug, um, uw, gg, gm, gw, mm, mw, ww. */
  readonly gram: readonly number[];
}

/** A step looked at closely. */
export interface CheckedStep {
  /** Euclidean, over all parameters, when the step began. */
  readonly gradientNorm?: number;
  /** The same when the backward pass ended. */
  readonly backwardNorm?: number;
  /** Parameters whose gradient is absent. */
  readonly withoutGradient?: number;
  /** Parameters with a gradient that is not finite. */
  readonly nonFinite?: number;
  /** A few parameters. */
  readonly replay?: readonly Replay[];
}

/** Means over the `steps` steps that end with `iteration`. */
export interface RecordedStep extends PlacedLine {
  /** Tells the kinds of line apart. */
  readonly type: "step";
  /** Steps that the means are taken over. */
  readonly steps: number;
  /** The optimiser's id; absent where none is seen. */
  readonly optimizer?: number;
  /** Images in their passes. */
  readonly images: number;
  /** Training passes. */
  readonly passes: number;
  /** Of the last step; of the first group. */
  readonly learningRate: number;
  /** Where groups differ. */
  readonly rates?: readonly number[];
  /** As the loss function returned it. */
  readonly loss?: number;
  /** Share of wrong images in the training batches. */
  readonly error?: number;
  /** Wall time since the step before. */
  readonly seconds?: number;
  /** Of it, waiting for images. */
  readonly waitSeconds?: number;
  /** Of its last training pass. */
  readonly mode?: RecordedMode;
  /** Of the batch norms. */
  readonly norms?: RecordedNormModes;
  /** The loader's id. */
  readonly loader?: number;
  /** Of the loader. */
  readonly epoch?: number;
  /** Backward passes that its gradients are made of. */
  readonly backwards: number;
  /** Whether gradients were cleared since the step before. */
  readonly cleared?: boolean;
  /** Calls that clip gradients. */
  readonly clips?: readonly {
    readonly kind: "norm" | "value";
    readonly max: number;
    readonly norm?: number;
  }[];
  /** The scaler left the step out. */
  readonly skipped?: boolean;
  /** A few steps are looked at closely. */
  readonly checked?: CheckedStep;
}

/** Consecutive evaluation passes on one loader. */
export interface RecordedEvaluation extends PlacedLine {
  /** Tells the kinds of line apart. */
  readonly type: "evaluation";
  /** The network's id. */
  readonly network: number;
  /** The loader's id. */
  readonly loader?: number;
  /** Of the loader. */
  readonly epoch?: number;
  /** Of this loader's evaluations, from 1. */
  readonly number: number;
  /** Images. */
  readonly images: number;
  /** Different indices. */
  readonly distinct?: number;
  /** Wrong images. */
  readonly errors?: number;
  /** Mean cross entropy of the logits. */
  readonly loss?: number;
  /** Images of each batch. */
  readonly batchImages?: readonly number[];
  /** Wrong images of each batch. */
  readonly batchErrors?: readonly number[];
  /** [images], the predicted classes, where no labels were seen. */
  readonly predictions?: Int32Array;
  /** Of its passes. */
  readonly mode?: RecordedMode;
  /** Of the batch norms. */
  readonly norms?: RecordedNormModes;
  /** The loader was read to its end. */
  readonly exhausted?: boolean;
}

/** What changed of the network's arrays. */
export interface ParametersLine extends PlacedLine {
  /** Tells the kinds of line apart. */
  readonly type: "parameters";
  /** Trainable, and held by no optimiser that has stepped. */
  readonly unheld: readonly string[];
  /** Those that require no gradient. */
  readonly frozen: readonly string[];
  /** Those whose bits are those of the start. */
  readonly unchanged: readonly string[];
  /** Those that have no gradient now. */
  readonly withoutGradient: readonly string[];
  /** Buffers whose bits are those of the start. */
  readonly buffersUnchanged: readonly string[];
  /** By the scheduler's id. */
  readonly schedulerCalls: Readonly<Record<string, number>>;
  /** Parameters of optimisers that are not in the network. */
  readonly foreign: number;
}

/** A module without parameters was called on a batch outside of the network. */
export interface TransformLine extends PlacedLine {
  /** Tells the kinds of line apart. */
  readonly type: "transform";
  /** Qualified name. */
  readonly class: string;
  /** As it prints. */
  readonly text: string;
  /** The result differs from the input. */
  readonly changed: boolean;
  /** Whether a later pass's images are the result. */
  readonly used?: boolean;
}

/** Something was saved or loaded. */
export interface StoreLine extends PlacedLine {
  /** Tells the kinds of line apart. */
  readonly type: "save" | "load";
  /** Base name of the file. */
  readonly name: string;
  /** Plain numbers, texts and booleans of a dictionary. */
  readonly values?: Readonly<Record<string, number | string | boolean>>;
  /** Evaluations before it. */
  readonly afterEvaluation?: number;
}

/** What the script said. */
export interface PrintLine extends PlacedLine {
  /** Tells the kinds of line apart. */
  readonly type: "print";
  /** One line. */
  readonly text: string;
  /** Evaluations before it. */
  readonly afterEvaluation?: number;
}

/** A file of weights. */
export interface RecordedFile extends RecordedLine {
  /** Tells the kinds of line apart. */
  readonly type: "file";
  /** What it holds. */
  readonly kind: "weights-start" | "weights-end";
  /** Whose. */
  readonly network?: number;
  /** The file. */
  readonly file: FileReference;
}

/** Something that a reader should know. */
export interface RecordedWarning extends PlacedLine {
  /** Tells the kinds of line apart. */
  readonly type: "warning";
  /** One sentence. */
  readonly message: string;
}

/** `--steps` was reached. */
export interface RecordedStop extends PlacedLine {
  /** Tells the kinds of line apart. */
  readonly type: "stop";
}

/** The last line, where the training was not killed. */
export interface RecordedEnd extends PlacedLine {
  /** Tells the kinds of line apart. */
  readonly type: "end" | "failure";
  /** `finished`, `steps`, `exit`, `stopped`; of a failure the exception. */
  readonly reason: string;
  /** Steps by the optimiser's id. */
  readonly optimizerSteps: Readonly<Record<string, number>>;
  /** By the scheduler's id. */
  readonly schedulerCalls: Readonly<Record<string, number>>;
  /** Evaluations. */
  readonly evaluations: number;
}

/** One line of a recording. */
export type RecordingLine =
  | RecordingStart
  | SiteLine
  | LoaderLine
  | EpochLine
  | NetworkLine
  | GraphLine
  | LossLine
  | OptimizerLine
  | SchedulerLine
  | SchedulerStepLine
  | BatchLine
  | RecordedStep
  | RecordedEvaluation
  | ParametersLine
  | TransformLine
  | StoreLine
  | PrintLine
  | RecordedFile
  | RecordedWarning
  | RecordedStop
  | RecordedEnd;
