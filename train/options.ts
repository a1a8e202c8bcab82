/** What a run is made of, what it tells while it runs, and how it ends. */
import type { Dataset } from "../data/mod.ts";
import type { Engine, EngineFactory } from "../engine/engine.ts";
import type { Graph, Weights } from "../resnet/mod.ts";
import type { EndEvent, FileReference } from "./events.ts";
import type { Recipe } from "./recipe.ts";

/** What a run is made of. */
export interface TrainOptions {
  readonly recipe: Recipe;
  /** A whole number from 0 to 2^32 - 1: decides initialisation, split, order and crops. */
  readonly seed: number;
  /** Called once the folder is locked, so that a refused run costs no download. */
  readonly dataset: () => Promise<Dataset>;
  readonly engine: EngineFactory;
  /** Why this engine was chosen, for the log. */
  readonly engineReason: string;
  readonly threads?: number;
  /** The run's folder; an unfinished run in it is gone on with. */
  readonly out: string;
  /** Steps that one `step` event averages. */
  readonly logEvery: number;
  /** Steps between evaluations of the validation images. */
  readonly evalEvery: number;
  /** Steps between checkpoints. */
  readonly checkpointEvery: number;
  /** Stop with a checkpoint after this iteration. */
  readonly stopAfter?: number;
  /** Weights to start from instead of the initialisation; momentum starts at zero. */
  readonly startWeights?: {
    readonly path: string;
    readonly sha256: string;
    readonly weights: Weights;
  };
  /** Aborting it stops the run with a checkpoint; the reason is logged. */
  readonly signal?: AbortSignal;
  /** Of software, by name; for the log. */
  readonly versions: Readonly<Record<string, string>>;
  /** Of the working copy. */
  readonly revision: string | null;
  /** The command line; for the log. */
  readonly command: readonly string[];
  /** Called once before the first step. */
  readonly onStart?: (start: Started) => void;
  /** Called after every queue of steps that finished, several times a second at most. */
  readonly onProgress?: (progress: TrainProgress) => void;
  /** Called with everything that a person should know at once. */
  readonly onWarning?: (message: string) => void;
}

/** What is known when a run begins or goes on. */
export interface Started {
  /** Steps already taken: 0 for a new run. */
  readonly iteration: number;
  readonly iterations: number;
  readonly graph: Graph;
  readonly engine: Engine;
  readonly dataset: Dataset;
}

/** Where the training stands. */
export interface TrainProgress {
  readonly iteration: number;
  readonly iterations: number;
  readonly learningRate: number;
  /** Means over the current window of the log. */
  readonly loss: number;
  readonly error: number;
  /** Whether the window ends here. */
  readonly logged: boolean;
  /** The steps that have just finished, and the seconds that they took. */
  readonly steps: number;
  readonly images: number;
  readonly seconds: number;
  /** The validation error, where it was just measured. */
  readonly validationError?: number;
}

/** How a run ended. */
export type TrainResult = StoppedResult | FinishedResult;

/** It was asked to stop, and goes on when it is started again. */
export interface StoppedResult {
  readonly outcome: "stopped";
  readonly folder: string;
  readonly iteration: number;
  readonly reason: string;
}

/** It took its last step, and was tested. */
export interface FinishedResult {
  readonly outcome: "finished";
  readonly folder: string;
  readonly iteration: number;
  /** The result: error of the last step on the test set, 0 to 1. */
  readonly testError: number;
  readonly testErrors: number;
  readonly testImages: number;
  /** Lowest validation error; named, never the result. */
  readonly bestValidation?: EndEvent["bestValidation"];
  readonly trainingSeconds: number;
  readonly weights: FileReference;
}
