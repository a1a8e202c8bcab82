/** What the page that trains and its worker say to each other. */
import type { RunEvent } from "../../log/mod.ts";
import type { DatasetName } from "../../data/mod.ts";

/** What is trained, where nothing of it is there yet. */
export interface Wanted {
  /** The images. */
  readonly set: DatasetName;
  /** The network's name. */
  readonly architecture: string;
  /** Length of the training; the recipe's own when undefined. */
  readonly iterations?: number;
  /** Decides initialisation, split, order and crops. */
  readonly seed: number;
}

/** Files that were given to the page, and where the images are among them. */
export interface GivenFiles {
  /** Each with its path. */
  readonly files: readonly (readonly [path: string, file: Blob])[];
  /** Path of the images' folder or archive. */
  readonly data: string;
}

/** A training that is begun, or gone on with where the run is there. */
export interface TrainAsked {
  /** Tells what is asked for. */
  readonly type: "train";
  /** The run's name. */
  readonly run: string;
  /** What to begin with where there is no such run. */
  readonly wanted: Wanted;
  /** Images that are not built in. */
  readonly given?: GivenFiles;
  /** The engine's name, or `auto`. */
  readonly engine: string;
  /** Threads of the engine; all that there are when undefined. */
  readonly threads?: number;
  /** Stop with a checkpoint after this iteration. */
  readonly stopAfter?: number;
}

/** What a run can be saved as. */
export type Form = "safetensors" | "onnx" | "report" | "log";

/** What the worker is asked for. */
export type Asked =
  | TrainAsked
  /** Stop the training with a checkpoint. */
  | { readonly type: "pause" }
  /** What runs are kept. */
  | { readonly type: "list" }
  /** Remove a run. */
  | { readonly type: "forget"; readonly run: string }
  /** A run as a file. */
  | { readonly type: "save"; readonly run: string; readonly form: Form };

/** A run that is kept. */
export interface KeptRun {
  /** Its name. */
  readonly run: string;
  /** The network's name. */
  readonly architecture: string;
  /** The images. */
  readonly set: DatasetName;
  /** Steps that its last checkpoint holds. */
  readonly iteration: number;
  /** Steps in all. */
  readonly iterations: number;
  /** Error on the test images, 0 to 1, where it is over. */
  readonly testError?: number;
}

/** Training images as the network sees them. */
export interface SeenBatch {
  /** Of the step that they were for. */
  readonly iteration: number;
  /** Pixels. */
  readonly height: number;
  /** Pixels. */
  readonly width: number;
  /** RGB, [N, H, W, 3]. */
  readonly pixels: Uint8Array;
  /** What was done to each, and what it shows. */
  readonly images: readonly {
    readonly label: string;
    readonly down: number;
    readonly right: number;
    readonly flipped: boolean;
  }[];
}

/** The first convolution's weights: [O, I, H, W]. */
export interface Filters {
  /** Its sizes. */
  readonly shape: readonly number[];
  /** Its values. */
  readonly data: Float32Array;
}

/** A rule of the checklist and what it says of the run so far. */
export interface JudgedRule {
  /** The rule's name. */
  readonly id: string;
  /** Where the paper says it. */
  readonly section: string;
  /** What the paper says. */
  readonly requirement: string;
  /** What the log shows of it. */
  readonly outcome: "pass" | "fail" | "not-observable" | "defect";
  /** The values on which that rests. */
  readonly evidence: string;
}

/** What the worker says. */
export type Told =
  /** It listens. */
  | { readonly type: "ready"; readonly keeps: boolean; readonly isolated: boolean }
  /** What runs are kept; of some, by their names, the log can't be read. */
  | {
    readonly type: "runs";
    readonly runs: readonly KeptRun[];
    readonly unreadable: readonly string[];
  }
  /** What is being done before the first step. */
  | { readonly type: "line"; readonly text: string }
  | {
    readonly type: "started";
    readonly iteration: number;
    readonly iterations: number;
    readonly engine: string;
    readonly reason: string;
    readonly device: string;
    readonly parameters: number;
  }
  /** Lines of the log that are new. */
  | { readonly type: "events"; readonly events: readonly RunEvent[] }
  | {
    readonly type: "progress";
    readonly iteration: number;
    readonly loss: number;
    readonly error: number;
    readonly learningRate: number;
    readonly imagesPerSecond: number;
  }
  | {
    readonly type: "seen";
    readonly batch: SeenBatch;
    readonly filters: Filters;
  }
  | { readonly type: "checklist"; readonly rules: readonly JudgedRule[] }
  | { readonly type: "warning"; readonly text: string }
  | { readonly type: "stopped"; readonly iteration: number }
  | {
    readonly type: "finished";
    readonly iteration: number;
    readonly testError: number;
    readonly testErrors: number;
    readonly testImages: number;
    readonly errorFloor?: number;
    readonly linearModelError?: number;
    readonly weightsSha256: string;
  }
  | {
    readonly type: "saved";
    readonly name: string;
    readonly media: string;
    readonly content: Uint8Array<ArrayBuffer> | string;
  }
  /** Why the training that was asked for can't begin or go on. */
  | { readonly type: "refused"; readonly message: string }
  /** Why anything else that was asked for can't be done. */
  | { readonly type: "failed"; readonly message: string };
