/**
 * The contract of every engine: how a graph is executed and differentiated.
 *
 * Engines import this file, `optimiser.ts` and `resnet/`, never each other; the
 * trainer knows nothing of an engine but this.
 *
 * - **Order.** `step` queues one training step and may return before it has
 *   run; steps run in the order of their calls. Every method that returns a
 *   promise first waits for the steps that were queued before it.
 * - **Ownership.** An engine copies what it is given before the call returns
 *   and hands out copies: callers may reuse their buffers, and nothing that an
 *   engine returned changes later.
 * - **Failure.** A call that throws an {@link EngineError} before any work
 *   (wrong shape, index out of range) leaves the state as it was. After any
 *   other failure the engine is unusable; `dispose` is still safe.
 * - **Determinism.** Same engine, device, thread count, state and plans: the
 *   same bits.
 */
import type { Graph, Weights } from "../resnet/mod.ts";
import type { Labels } from "./labels.ts";
import type { Optimiser } from "./optimiser.ts";

/** Images as they are stored: bytes, [N, H, W, C], with one label each. */
export interface ByteImages {
  /** N. */
  readonly count: number;
  /** H, in pixels. */
  readonly height: number;
  /** W, in pixels. */
  readonly width: number;
  /** C. */
  readonly channels: number;
  /** [N, H, W, C], 0..255. */
  readonly pixels: Uint8Array;
  /** [N], the class of each image. */
  readonly labels: Labels;
  /** Labels are 0 to `classes` - 1. */
  readonly classes: number;
}

/**
 * From bytes to the network's input: x = (byte * scale - mean) / std; with `perImage`
 * x = (byte * scale - mean - m) / std, m the mean of the channel in the stored image, scaled.
 */
export interface Normalisation {
  /** 1/255 for pixels in 0..1, 1 for 0..255. */
  readonly scale: number;
  /** [H, W, C], in scaled units; per-pixel means, or channel means repeated. */
  readonly mean: Float32Array;
  /** [C], in scaled units; ones where only the mean is subtracted. */
  readonly std: Float32Array;
  /**
   * True: normalised first, so that the padding around a crop is 0. False: raw
   * zeros are padded, cropped and mirrored, and the mean of the position in the
   * result taken.
   */
  readonly beforePadding: boolean;
  /** True: each image's own channel means are subtracted too; of images of up to 4 channels. */
  readonly perImage?: boolean;
}

/** Which images, crops and flips make up one iteration. All arrays are [N]. */
export interface BatchPlan {
  /** Positions in the training set. */
  readonly indices: Uint32Array;
  /** Top edge of the crop in the padded image: 0 to 2 * padding. */
  readonly cropY: Uint8Array;
  /** Left edge of the crop in the padded image: 0 to 2 * padding. */
  readonly cropX: Uint8Array;
  /** 1 where the crop is mirrored left to right. */
  readonly flip: Uint8Array;
}

/** Batch normalisation's constants. */
export interface BatchNormSettings {
  /** Added to the variance under the root. */
  readonly epsilon: number;
  /** running = (1 - momentum) * running + momentum * batch; variance unbiased. */
  readonly momentum: number;
}

/** What an engine is built for. */
export interface EngineOptions {
  /** The network; its output is [classes]. */
  readonly graph: Graph;
  /** The largest batch that `step` will be given. */
  readonly batchSize: number;
  /** How gradients change the weights. */
  readonly optimiser: Optimiser;
  /** Batch normalisation's constants. */
  readonly batchNorm: BatchNormSettings;
  /**
   * Images over which a training step takes batch norm's statistics, in the order of its plan; the
   * last part may have fewer. The running statistics follow each part in turn, as those of
   * PyTorch's layer do that is given the parts one after the other. All of a batch when undefined.
   * A probe's batch is one part.
   */
  readonly batchNormImages?: number;
  /** Zeros around an image before it is cropped: 4 in the paper. */
  readonly cropPadding: number;
  /**
   * `mixed`: activations and their gradients are stored in half precision, where the engine can;
   * arithmetic, weights and the optimiser's slots are single precision, and the loss is scaled
   * ({@link TrainingState.lossScaling}). Single precision throughout when undefined.
   */
  readonly precision?: "single" | "mixed";
  /** Worker threads, where the engine has them; all cores when undefined. */
  readonly threads?: number;
  /**
   * How 3x3 convolutions of stride 1 are computed, where the engine has a
   * choice: Winograd's minimal filtering (the default; faster, relative error
   * about 1e-6) or directly (about 2e-7).
   */
  readonly convolution?: ConvolutionAlgorithm;
}

/** See {@link EngineOptions.convolution}. */
export type ConvolutionAlgorithm = "winograd" | "direct";

/** The images that an engine holds: given once, kept for all steps. */
export interface EngineData {
  /** Batch plans index this set. */
  readonly train: ByteImages;
  /** Never trained on. */
  readonly test: ByteImages;
  /** Holds for both sets. */
  readonly normalisation: Normalisation;
}

/** The whole state of a training: what a checkpoint holds. */
export interface TrainingState {
  /** Steps taken so far. */
  readonly iteration: number;
  /** Parameters and running statistics, by PyTorch's names and layouts. */
  readonly weights: Weights;
  /**
   * What the optimiser keeps: for each of its slots ("velocity") an array for each trainable
   * parameter, by the parameter's name.
   */
  readonly slots: ReadonlyMap<string, Weights>;
  /** With mixed precision: the loss's scale, and good steps since it changed; 65,536 and 0 at first. */
  readonly lossScaling?: LossScaling;
}

/** What the loss is multiplied by, so that half precision can hold its gradients. */
export interface LossScaling {
  /** Halved where a gradient was not finite, doubled after 2,000 good steps. */
  readonly scale: number;
  /** Since it changed. */
  readonly goodSteps: number;
}

/** What one step measured on its own batch, with the weights before its update. */
export interface StepMetrics {
  /** 1 for the first step. */
  readonly iteration: number;
  /** The rate that the step was given. */
  readonly learningRate: number;
  /** Images in the batch. */
  readonly images: number;
  /** Mean softmax cross entropy over the batch; without weight decay. */
  readonly loss: number;
  /** Images of the batch whose largest logit is not their label's. */
  readonly errors: number;
  /** With mixed precision: what the loss was multiplied by. */
  readonly lossScale?: number;
  /** With mixed precision: a gradient was not finite, and the step changed no weight. */
  readonly skipped?: true;
}

/** Evaluation with running statistics on unaugmented images. */
export interface Evaluation {
  /** Images evaluated: N. */
  readonly images: number;
  /** Mean softmax cross entropy. */
  readonly loss: number;
  /** Images whose prediction is not their label. */
  readonly errors: number;
  /** [N, classes], in the order of the indices asked for. */
  readonly logits: Float32Array;
  /** [N], the class with the largest logit (the first of equals). */
  readonly predictions: Labels;
}

/** One forward and, if `upstream` or `labels` is there, backward pass on given values. */
export interface Probe {
  /** [N, ...graph.inputShape]. */
  readonly input: Float32Array;
  /** N. */
  readonly images: number;
  /** Batch statistics as in training, or running statistics as in testing. */
  readonly mode: "training" | "inference";
  /** [N, ...output shape]: dL/d(output). */
  readonly upstream?: Float32Array;
  /** [N]: softmax cross entropy, mean over the batch, instead of `upstream`. */
  readonly labels?: Labels;
}

/** What a probe found. No probe changes the engine's state. */
export interface ProbeResult {
  /** [N, ...output shape]. */
  readonly output: Float32Array;
  /** Mean loss, if `labels` were given. */
  readonly loss?: number;
  /** [N, ...graph.inputShape], if a backward pass was asked for. */
  readonly inputGradient?: Float32Array;
  /** By parameter name and in its layout, without weight decay. */
  readonly gradients?: Weights;
}

/** What an engine runs on, exactly enough to repeat a result. */
export interface DeviceDescription {
  /** One line for people. */
  readonly summary: string;
  /** Threads, instruction set, adapter, driver, library version, ... */
  readonly details: Readonly<Record<string, string | number | boolean>>;
}

/** An engine with one network's state in it. */
export interface Engine {
  /** The factory's name. */
  readonly name: string;
  /** What it runs on. */
  readonly device: DeviceDescription;
  /** Bytes that the engine holds or reserves for the network and its data. */
  readonly memoryBytes: number;

  /** Takes the data set. Needed before `step` and `evaluate`, once. */
  load(data: EngineData): Promise<void>;
  /**
   * Puts images in the place of those of a set, for sets that are larger than memory: steps and
   * evaluations from here on see these, those before saw the others.
   *
   * @param set The set, which was loaded with at least as many images of the same shape and classes.
   * @param images Indices count from their first.
   * @param shifts [N, C], in scaled units, added to each channel of an image before the mean is
   *   subtracted: x = (byte * scale + shift - mean) / std; none when undefined.
   * @throws {EngineError} If they don't fit what was loaded; the set is as it was.
   */
  feed(set: "train" | "test", images: ByteImages, shifts?: Float32Array): void;
  /** Replaces the whole state; names and shapes must be the graph's. */
  importState(state: TrainingState): Promise<void>;
  /** The whole state, after all queued steps. */
  exportState(): Promise<TrainingState>;

  /** Queues one training step on a batch; see the class notes on order. */
  step(plan: BatchPlan, learningRate: number): void;
  /** Metrics of the steps finished since the last call, in order; waits for all queued steps. */
  metrics(): Promise<StepMetrics[]>;
  /** Evaluates images of a set; all of it when no indices are given. */
  evaluate(set: "train" | "test", indices?: Uint32Array): Promise<Evaluation>;

  /** Runs the network on given values, for tests and numeric rules. */
  probe(probe: Probe): Promise<ProbeResult>;
  /** The batch as the network sees it, [N, H, W, C], for looking at the augmentation. */
  augmented(plan: BatchPlan): Promise<Float32Array>;

  /** Frees threads, memory and device. Idempotent. */
  dispose(): void;
}

/** How an engine is found and made. */
export interface EngineFactory {
  /** As `--engine` takes it. */
  readonly name: string;
  /** One line for help and for the choice of `--engine auto`. */
  readonly description: string;
  /** Why the engine can't run here, or undefined when it can. */
  unavailable(): Promise<string | undefined>;
  /**
   * Why `--engine auto` should not take an engine that can run, as one sentence
   * without its end; undefined, or not there at all, when nothing speaks against it.
   */
  discouraged?(): Promise<string | undefined>;
  /**
   * Builds an engine. Its state is all zeros until `importState`.
   *
   * @throws {EngineError} If the graph, the batch or the settings exceed what
   *   the engine can do; the message names the limit.
   */
  create(options: EngineOptions): Promise<Engine>;
}

/** What an engine was asked that it cannot do; see the contract on failures. */
export class EngineError extends Error {
  /** The class's name, for messages. */
  override name = "EngineError";
}
