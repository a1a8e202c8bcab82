/** What a run is made of, what it tells while it runs, and how it ends. */
import type { Dataset } from "../data/mod.ts";
import type { BatchPlan, ConvolutionAlgorithm, Engine, EngineFactory } from "../engine/mod.ts";
import type { Graph, Weights } from "../resnet/mod.ts";
import type { BestEvent, EndEvent, FileReference, RunStore } from "../log/mod.ts";
import type { Recipe } from "../recipes/mod.ts";

/** What a run is made of. */
export interface TrainOptions {
  /** What is trained, and how. */
  readonly recipe: Recipe;
  /** A whole number from 0 to 2^32 - 1: decides initialisation, split, order and crops. */
  readonly seed: number;
  /** Called once the folder is locked, so that a refused run costs no download. */
  readonly dataset: () => Promise<Dataset>;
  /** What computes. */
  readonly engine: EngineFactory;
  /** Why this engine was chosen, for the log. */
  readonly engineReason: string;
  /** Worker threads, where the engine has them; all cores when undefined. */
  readonly threads?: number;
  /** How 3x3 convolutions are computed, where the engine has a choice. */
  readonly convolution?: ConvolutionAlgorithm;
  /** `mixed`: activations in half precision, where the engine can; single when undefined. */
  readonly precision?: "single" | "mixed";
  /** The run's folder; an unfinished run in it is gone on with. */
  readonly out: string;
  /** Opens `out` for writing; a folder on the disk when undefined. */
  readonly open?: (path: string) => Promise<RunStore>;
  /** Steps that one `step` event averages. */
  readonly logEvery: number;
  /** Steps between evaluations of the validation images. */
  readonly evalEvery: number;
  /** Steps between checkpoints. */
  readonly checkpointEvery: number;
  /** Stop with a checkpoint after this iteration. */
  readonly stopAfter?: number;
  /** Weights to start from instead of the initialisation; what the optimiser keeps starts at 0. */
  readonly startWeights?: {
    readonly path: string;
    readonly sha256: string;
    readonly weights: Weights;
  };
  /** SHA-256 of the plan of the reproduction that the run is a part of; for the log. */
  readonly plan?: string;
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
  /**
   * Called after every queue of steps that finished, several times a second, with the batch of the
   * last of them; a promise is waited for.
   */
  readonly onProgress?: (progress: TrainProgress, batch: BatchPlan) => unknown;
  /** Called with everything that a person should know at once. */
  readonly onWarning?: (message: string) => void;
}

/** What is known when a run begins or goes on. */
export interface Started {
  /** Steps already taken: 0 for a new run. */
  readonly iteration: number;
  /** Steps in all. */
  readonly iterations: number;
  /** The network. */
  readonly graph: Graph;
  /** The engine that holds the state. */
  readonly engine: Engine;
  /** The images. */
  readonly dataset: Dataset;
  /** How many of them are trained on, and how many are held out. */
  readonly split: { readonly training: number; readonly validation: number };
}

/** Where the training stands. */
export interface TrainProgress {
  /** Steps taken. */
  readonly iteration: number;
  /** Steps in all. */
  readonly iterations: number;
  /** Rate of the last step. */
  readonly learningRate: number;
  /** Mean loss over the current window of the log. */
  readonly loss: number;
  /** Mean training error over the current window of the log, 0 to 1. */
  readonly error: number;
  /** Whether the window ends here. */
  readonly logged: boolean;
  /** Steps that have just finished. */
  readonly steps: number;
  /** Their images. */
  readonly images: number;
  /** Seconds that they took. */
  readonly seconds: number;
  /** The validation error, where it was just measured. */
  readonly validationError?: number;
}

/** How a run ended. */
export type TrainResult = StoppedResult | FinishedResult;

/** It was asked to stop, and goes on when it is started again. */
export interface StoppedResult {
  /** Tells the two results apart. */
  readonly outcome: "stopped";
  /** The run's folder. */
  readonly folder: string;
  /** Steps taken; the checkpoint holds them. */
  readonly iteration: number;
  /** What asked it to stop. */
  readonly reason: string;
}

/** It took its last step, and was tested. */
export interface FinishedResult {
  /** Tells the two results apart. */
  readonly outcome: "finished";
  /** Set where it had finished before, and nothing was done. */
  readonly before?: true;
  /** The run's folder. */
  readonly folder: string;
  /** Steps taken. */
  readonly iteration: number;
  /** The result: error of the last step on the test set, 0 to 1. */
  readonly testError: number;
  /** Wrong test images. */
  readonly testErrors: number;
  /** Of sets with many classes: test images whose class is not among the five likeliest. */
  readonly testErrors5?: number;
  /** Test images. */
  readonly testImages: number;
  /** Lowest validation error; named, never the result. */
  readonly bestValidation?: EndEvent["bestValidation"];
  /** The best weights by the value that the recipe names, where it keeps them; not the result. */
  readonly best?: Omit<BestEvent, "type" | "time">;
  /** Seconds spent in training steps, over all resumes. */
  readonly trainingSeconds: number;
  /** Of images that are read beside the training: those of these seconds that waited for them. */
  readonly waitingSeconds?: number;
  /** The final weights alone. */
  readonly weights: FileReference;
}
