/**
 * From a plan to the dispatches of a step, with every buffer that they need.
 *
 * What is fused: a convolution makes its input where it reads it (batch norm and
 * ReLU before it are never stored), and leaves the batch-norm sums of what it
 * writes; an input gradient masks what it writes by ReLU and leaves the sums for
 * batch norm's gradient, which the two gradients of the convolution before it
 * then make where they read it.
 */
import { shapeOf, sizeOf, unhandledKind } from "../../resnet/mod.ts";
import { roundUp, storedSize } from "../_stored.ts";
import type { EngineOptions } from "../engine.ts";
import { decayOf, ruleOf } from "../optimiser.ts";
import {
  type ConvolveBackward,
  type ConvolveOp,
  type GradientTarget,
  type NormaliseBackward,
  type NormaliseOp,
  type Plan,
  planGraph,
  type PlanTensor,
  type PoolBackward,
  type PoolOp,
} from "../plan.ts";
import type { Gpu } from "./_device.ts";
import {
  type ImageShape,
  type Kernel,
  type KernelLimits,
  PLAN_WORDS,
  SLOPES,
  type Source,
  STATISTICS,
  vectors,
} from "./_kernel.ts";
import {
  ParameterStorage,
  placeTensors,
  type Storage,
  type StorageSlice,
  take,
  whole,
} from "./_storage.ts";
import { finishScaleKernel, halfStored, overflowKernel, SCALER_BYTES } from "./_half.ts";
import { tilesFor, type Tiling } from "./kernels/_tiling.ts";
import {
  finishGradientKernel,
  finishStatisticsKernel,
  inferenceStatisticsKernel,
} from "./kernels/batch_norm.ts";
import {
  convolutionKernel,
  type ConvolutionShape,
  type Epilogue,
  inputGradientShape,
} from "./kernels/convolution.ts";
import {
  denseInputGradientKernel,
  denseKernel,
  denseWeightGradientKernel,
} from "./kernels/dense.ts";
import { lossKernel } from "./kernels/loss.ts";
import {
  normaliseGradientKernel,
  normaliseKernel,
  passGradientKernel,
  statisticsKernel,
} from "./kernels/normalise.ts";
import {
  averagePoolGradientKernel,
  averagePoolKernel,
  maxPoolGradientKernel,
  maxPoolKernel,
  shortcutGradientKernel,
  shortcutKernel,
} from "./kernels/pool.ts";
import { type UpdatedParameter, updateKernel, updateTable } from "./kernels/update.ts";
import { addPartKernel } from "./kernels/parts.ts";
import { biasGradientKernel, weightGradientKernel } from "./kernels/weight_gradient.ts";

/** A kernel and what it works on. */
export interface Launch {
  readonly kernel: Kernel;
  /** For its bindings from 1 on. */
  readonly slices: readonly StorageSlice[];
  /** Bytes that it reads and writes, where they are fewer than its slices have. */
  readonly bytes?: number;
}

/** Steps whose metrics the device holds until they are read. */
export const METRIC_SLOTS = 1024;
/** Loss and errors, 4 bytes each. */
export const METRIC_BYTES = 8;

/** Everything that a network's engine runs and holds; nothing of it is on a device yet. */
export interface Program {
  readonly input: StorageSlice;
  readonly output: StorageSlice;
  readonly outputGradient: StorageSlice;
  readonly inputGradient: StorageSlice;
  readonly batchPlan: StorageSlice;
  readonly metrics: StorageSlice;
  readonly parameters: ParameterStorage;
  /** Where each trainable parameter's gradient is left, as partial sums to be added in order. */
  readonly gradients: ReadonlyMap<string, Gradient>;

  /** From the input to the output with the batch's statistics. */
  readonly training: readonly Launch[];
  /** Batch norm's coefficients from running statistics: once for many batches of `inference`. */
  readonly runningStatistics: readonly Launch[];
  /** From the input to the output with what `runningStatistics` left. */
  readonly inference: readonly Launch[];
  /** From the output to its gradient and the step's metrics; none where the output is no row. */
  readonly loss: readonly Launch[];
  /** From the output's gradient to every parameter's. */
  readonly backward: readonly Launch[];
  /** The same and the input's. */
  readonly backwardToInput: readonly Launch[];
  /** Adds a part's gradients to those before; none where a batch has no parts. */
  readonly addParts: readonly Launch[];
  readonly update: readonly Launch[];
  /** What each update reads: see `updateTable`. */
  readonly updateTables: readonly { readonly slice: StorageSlice; readonly words: Uint32Array }[];
  /** With mixed precision: the loss's scale, and what it was in each slot's step. */
  readonly scaling?: { readonly scaler: StorageSlice; readonly scales: StorageSlice };
  /** Every buffer that is needed. */
  readonly storages: readonly Storage[];
}

/** A gradient's partial sums. */
export interface Gradient {
  readonly slice: StorageSlice;
  readonly partials: number;
  /** Floats of one. */
  readonly size: number;
}

/** What a program must keep to. */
export interface ProgramLimits extends KernelLimits {
  /** Bytes that a buffer may have, all of it bound at once. */
  readonly largestBuffer: number;
}

/** What a device's programs must keep to. */
export function programLimits({ limits }: Pick<Gpu, "limits">): ProgramLimits {
  return {
    maxComputeInvocationsPerWorkgroup: limits.maxComputeInvocationsPerWorkgroup,
    maxComputeWorkgroupStorageSize: limits.maxComputeWorkgroupStorageSize,
    largestBuffer: Math.min(limits.maxStorageBufferBindingSize, limits.maxBufferSize),
  };
}

/** Writes the program of a network. */
export function writeProgram(options: EngineOptions, limits: ProgramLimits): Program {
  return new Writer(options, limits).program();
}

/** An operand: what a kernel reads it as, and the slices of that. */
interface Operand {
  readonly source: Source;
  readonly slices: readonly StorageSlice[];
}

class Writer {
  readonly #options: EngineOptions;
  readonly #limits: ProgramLimits;
  readonly #plan: Plan;
  readonly #parameters: ParameterStorage;
  readonly #tensors: Map<PlanTensor, StorageSlice>;
  readonly #statistics: Storage = { label: "batch-norm statistics", bytes: 0 };
  readonly #slopes: Storage = { label: "batch-norm slopes", bytes: 0 };
  /** Sums that one kernel leaves for the next: shared by all layers. */
  readonly #sums: Storage = { label: "batch-norm sums", bytes: 0 };
  readonly #statisticsOf = new Map<NormaliseOp, StorageSlice>();
  readonly #slopesOf = new Map<NormaliseOp, StorageSlice>();
  readonly #gradientStorages: Storage[] = [];
  readonly #gradients = new Map<string, Gradient>();
  /** Tensors in half precision; all that come from or go to the host are in single. */
  readonly #half = new Set<StorageSlice>();
  readonly #scaling: Program["scaling"];
  #launches: Launch[] = [];

  constructor(options: EngineOptions, limits: ProgramLimits) {
    this.#options = options;
    this.#limits = limits;
    this.#plan = planGraph(options.graph, {
      ...{ training: true, channelMultiple: 4, recompute: true },
      masks: ({ node }) => node.kind === "convolution",
    });
    this.#parameters = new ParameterStorage(options.graph, ruleOf(options.optimiser).slots);
    const { input, output, outputGradient, inputGradient } = this.#plan;
    const isHalf = (tensor: PlanTensor) =>
      options.precision === "mixed" &&
      ![input, output, outputGradient, inputGradient].includes(tensor);
    this.#tensors = placeTensors(
      this.#plan,
      options.batchSize,
      (tensor) => isHalf(tensor) ? 2 : 4,
    );
    for (const [tensor, slice] of this.#tensors) if (isHalf(tensor)) this.#half.add(slice);
    if (options.precision === "mixed") {
      this.#scaling = {
        scaler: whole({ label: "loss scale", bytes: SCALER_BYTES }),
        scales: whole({ label: "loss scales", bytes: METRIC_BYTES * METRIC_SLOTS }),
      };
    }
    for (const op of this.#plan.forward) {
      if (op.kind !== "normalise" || !op.batchNorm) continue;
      const row = 16 * vectors(imageOf(op.input).channels);
      this.#statisticsOf.set(op, take(this.#statistics, STATISTICS.rows * row));
      this.#slopesOf.set(op, take(this.#slopes, SLOPES.rows * row));
    }
  }

  program(): Program {
    const { graph, batchSize } = this.#options;
    const { input, output, outputGradient, inputGradient } = this.#plan;
    const batchPlan = whole({ label: "batch plan", bytes: 4 * PLAN_WORDS * batchSize });
    const metrics = whole({ label: "metrics", bytes: METRIC_BYTES * METRIC_SLOTS });
    const training = this.#collect(() => this.#forward("training"));
    const inference = this.#collect(() => this.#forward("inference"));
    const runningStatistics = this.#collect(() => this.#runningStatistics());
    const backward = this.#collect(() => this.#backward(false));
    const backwardToInput = this.#collect(() => this.#backward(true));
    const shape = shapeOf(graph, graph.output);
    const loss = shape.length === 1
      ? this.#collect(() =>
        this.#launch(lossKernel(shape[0], this.#scaling !== undefined), [
          this.#slice(output),
          batchPlan,
          this.#slice(outputGradient!),
          metrics,
          ...this.#scaling ? [this.#scaling.scaler] : [],
        ])
      )
      : [];
    const { update, updateTables } = this.#update();
    const addParts = this.#addParts();
    const launches = [
      ...[training, inference, runningStatistics, backwardToInput, loss, addParts, update],
    ].flat();
    const storages = new Set(launches.flatMap(({ slices }) => slices.map((s) => s.storage)));
    return {
      input: this.#slice(input),
      output: this.#slice(output),
      outputGradient: this.#slice(outputGradient!),
      inputGradient: this.#slice(inputGradient!),
      parameters: this.#parameters,
      gradients: this.#gradients,
      ...(this.#scaling && { scaling: this.#scaling }),
      ...{ batchPlan, metrics, training, runningStatistics, inference, loss },
      ...{ backward, backwardToInput, addParts, update, updateTables },
      storages: [...storages, batchPlan.storage, metrics.storage]
        .filter((storage, i, all) => all.indexOf(storage) === i),
    };
  }

  #collect(write: () => void): readonly Launch[] {
    this.#launches = [];
    write();
    return this.#launches;
  }

  #launch(kernel: Kernel, slices: readonly StorageSlice[]): void {
    const half = slices.flatMap((slice, i) => this.#half.has(slice) ? [i + 1] : []);
    this.#launches.push({ kernel: halfStored(kernel, half), slices });
  }

  // Operands.

  #slice(tensor: PlanTensor): StorageSlice {
    return this.#tensors.get(tensor)!;
  }

  #operand(tensor: PlanTensor): Operand {
    const { maker } = tensor;
    if (!maker) return { source: "stored", slices: [this.#slice(tensor)] };
    if (maker.kind === "normalise-gradient") return this.#batchNormGradient(maker);
    return {
      source: maker.relu === "none" ? "normalised" : "normalised-relu",
      slices: [this.#slice(maker.input), this.#statisticsOf.get(maker)!],
    };
  }

  #batchNormGradient({ forward, outputGradient }: NormaliseBackward): Operand {
    const slopes = this.#slopesOf.get(forward)!;
    return {
      source: "gradient",
      slices: [this.#slice(outputGradient), this.#slice(forward.input), slopes],
    };
  }

  #parameter(node: string, suffix: "weight" | "bias"): StorageSlice {
    return this.#parameters.slice(`${node}.${suffix}`);
  }

  /** The buffer that tiles of a layer leave their sums in. */
  #sumsFor(tiling: Tiling, rows: number, { channels }: ImageShape): StorageSlice {
    const size = 16 * tilesFor(tiling, this.#options.batchSize) * rows * vectors(channels);
    this.#sums.bytes = Math.max(this.#sums.bytes, size);
    return { storage: this.#sums, offset: 0, size };
  }

  /** Where a parameter's gradient goes; kernels of several programs share it. */
  #gradientOf(name: string, partials: number): StorageSlice {
    const known = this.#gradients.get(name);
    if (known) return known.slice;
    const { size: bytes } = this.#parameters.slice(name);
    let storage = this.#gradientStorages.at(-1);
    if (!storage || storage.bytes + bytes * partials > this.#limits.largestBuffer) {
      storage = { label: `gradients ${this.#gradientStorages.length}`, bytes: 0 };
      this.#gradientStorages.push(storage);
    }
    const slice = take(storage, bytes * partials);
    this.#gradients.set(name, { slice, partials, size: bytes / 4 });
    return slice;
  }

  // Forward.

  #forward(mode: "training" | "inference"): void {
    const feeds = (layers: readonly NormaliseOp[]) => mode === "training" ? layers : [];
    for (const next of feeds(this.#plan.feeds)) this.#measure(next);
    for (const op of this.#plan.forward) {
      const [first, ...others] = feeds(op.feeds);
      const fused = op.kind === "convolve" && op.node.kind === "convolution";
      switch (op.kind) {
        case "convolve":
          if (op.node.kind === "dense") this.#dense(op);
          else this.#convolve(op, first);
          break;
        case "normalise":
          if (!op.output.maker) this.#normalise(op);
          break;
        case "pool":
          this.#pool(op);
          break;
      }
      // A convolution leaves one layer's sums itself.
      for (const next of fused || !first ? others : [first, ...others]) this.#measure(next);
    }
  }

  #convolve(op: ConvolveOp, next: NormaliseOp | undefined): void {
    const { source, slices } = this.#operand(op.input);
    const epilogue: Epilogue = { kind: next ? "statistics" : "none" };
    const kernel = convolutionKernel(
      convolutionShape(op),
      { source, bias: op.bias, accumulate: false, epilogue, group: "convolution" },
      this.#limits,
    );
    const { name } = op.node;
    const sums = next ? [this.#sumsFor(kernel.tiling, 3, imageOf(op.output))] : [];
    this.#launch(kernel, [
      ...slices,
      this.#parameter(name, "weight"),
      ...op.bias ? [this.#parameter(name, "bias")] : [],
      this.#slice(op.output),
      ...sums,
    ]);
    if (next) this.#finishStatistics(next, kernel.tiling, sums[0]);
  }

  /** Batch statistics of what no convolution wrote. */
  #measure(op: NormaliseOp): void {
    const image = imageOf(op.input);
    const kernel = statisticsKernel(image);
    const sums = this.#sumsFor(kernel.tiling, 3, image);
    this.#launch(kernel, [this.#slice(op.input), sums]);
    this.#finishStatistics(op, kernel.tiling, sums);
  }

  #finishStatistics(op: NormaliseOp, tiling: Tiling, sums: StorageSlice): void {
    const { name } = op.batchNorm!;
    const kernel = finishStatisticsKernel(imageOf(op.input), tiling, this.#options.batchNorm);
    this.#launch(kernel, [
      sums,
      this.#parameter(name, "weight"),
      this.#parameter(name, "bias"),
      this.#parameters.runningSlice(name),
      this.#statisticsOf.get(op)!,
    ]);
  }

  #runningStatistics(): void {
    for (const [op, statistics] of this.#statisticsOf) {
      const { name } = op.batchNorm!;
      const kernel = inferenceStatisticsKernel(imageOf(op.input), this.#options.batchNorm);
      this.#launch(kernel, [
        this.#parameter(name, "weight"),
        this.#parameter(name, "bias"),
        this.#parameters.runningSlice(name),
        statistics,
      ]);
    }
  }

  #normalise(op: NormaliseOp): void {
    const { batchNorm, addend, relu } = op;
    const kernel = normaliseKernel(imageOf(op.output), {
      batchNorm: batchNorm !== undefined,
      addend: addend !== undefined,
      relu: relu !== "none",
    });
    this.#launch(kernel, [
      this.#slice(op.input),
      ...batchNorm ? [this.#statisticsOf.get(op)!] : [],
      ...addend ? [this.#slice(addend)] : [],
      this.#slice(op.output),
    ]);
  }

  #dense(op: ConvolveOp): void {
    const { source, slices } = this.#operand(op.input);
    this.#launch(denseKernel(denseShape(op), source), [
      ...slices,
      this.#parameter(op.node.name, "weight"),
      this.#parameter(op.node.name, "bias"),
      this.#slice(op.output),
    ]);
  }

  #pool({ node, input, output }: PoolOp): void {
    const [x, y] = [imageOf(input), imageOf(output)];
    const kernel = () => {
      switch (node.kind) {
        case "shortcut-a":
          return shortcutKernel(x, y, node);
        case "max-pool":
          return maxPoolKernel(x, y, node);
        case "global-average-pool":
          return averagePoolKernel(x);
        default:
          return unhandledKind(node);
      }
    };
    this.#launch(kernel(), [this.#slice(input), this.#slice(output)]);
  }

  // Backward.

  #backward(toInput: boolean): void {
    for (const op of this.#plan.backward) {
      const target = op.onlyForProbes && !toInput ? undefined : op.inputGradient;
      switch (op.kind) {
        case "convolve-gradient":
          if (op.forward.node.kind === "dense") this.#denseGradients(op, target);
          else {
            this.#weightGradient(op);
            if (target) this.#inputGradient(op, target);
          }
          break;
        case "normalise-gradient":
          if (!op.masked) this.#normaliseGradient(op);
          this.#passGradients(op, target);
          break;
        case "pool-gradient":
          if (target) this.#poolGradient(op, target);
          break;
      }
    }
  }

  #inputGradient(op: ConvolveBackward, target: GradientTarget): void {
    const { forward, outputGradient, masks } = op;
    const { source, slices } = this.#operand(outputGradient);
    const normalise = masks?.forward;
    const mask = normalise?.relu ?? "none";
    const epilogue: Epilogue = normalise ? { kind: "gradient", mask } : { kind: "none" };
    const image = imageOf(forward.input);
    const kernel = convolutionKernel(
      inputGradientShape(convolutionShape(forward)),
      { source, bias: false, accumulate: target.accumulate, epilogue, group: "input gradient" },
      this.#limits,
    );
    const sums = normalise ? this.#sumsFor(kernel.tiling, 2, image) : undefined;
    this.#launch(kernel, [
      ...slices,
      this.#parameters.flippedSlice(`${forward.node.name}.weight`)!,
      this.#slice(target.tensor),
      ...normalise ? [this.#slice(normalise.input), this.#statisticsOf.get(normalise)!] : [],
      ...normalise && mask === "stored" ? [this.#slice(normalise.output)] : [],
      ...sums ? [sums] : [],
    ]);
    if (normalise) this.#finishGradient(normalise, kernel.tiling, sums!);
  }

  #weightGradient({ forward: op, outputGradient }: ConvolveBackward): void {
    const activation = this.#operand(op.input);
    const gradient = this.#operand(outputGradient);
    const { name } = op.node;
    const kernel = weightGradientKernel(
      convolutionShape(op),
      { activation: activation.source, gradient: gradient.source },
      this.#options.batchSize,
      this.#limits,
    );
    this.#launch(kernel, [
      ...activation.slices,
      ...gradient.slices,
      this.#gradientOf(`${name}.weight`, kernel.partials),
    ]);
    if (!op.bias) return;
    this.#launch(biasGradientKernel(imageOf(op.output), gradient.source), [
      ...gradient.slices,
      this.#gradientOf(`${name}.bias`, 1),
    ]);
  }

  /** Masks an output's gradient in place and finishes batch norm's sums of it. */
  #normaliseGradient({ forward: op, outputGradient }: NormaliseBackward): void {
    const mask = op.relu;
    const withSums = op.batchNorm !== undefined;
    if (mask === "none" && !withSums) return;
    const image = imageOf(op.output);
    const kernel = normaliseGradientKernel(image, { mask, sums: withSums });
    const sums = withSums ? this.#sumsFor(kernel.tiling, 2, image) : undefined;
    this.#launch(kernel, [
      this.#slice(outputGradient),
      ...withSums ? [this.#slice(op.input), this.#statisticsOf.get(op)!] : [],
      ...mask === "stored" ? [this.#slice(op.output)] : [],
      ...sums ? [sums] : [],
    ]);
    if (sums) this.#finishGradient(op, kernel.tiling, sums);
  }

  #finishGradient(op: NormaliseOp, tiling: Tiling, sums: StorageSlice): void {
    const { name } = op.batchNorm!;
    this.#launch(finishGradientKernel(imageOf(op.input), tiling), [
      sums,
      this.#parameter(name, "weight"),
      this.#statisticsOf.get(op)!,
      this.#slopesOf.get(op)!,
      this.#gradientOf(`${name}.weight`, 1),
      this.#gradientOf(`${name}.bias`, 1),
    ]);
  }

  /** Gradients of a normalisation that are not made where they are read. */
  #passGradients(op: NormaliseBackward, target: GradientTarget | undefined): void {
    const { forward, outputGradient, addendGradient } = op;
    const masked: Operand = { source: "stored", slices: [this.#slice(outputGradient)] };
    const image = imageOf(forward.output);
    const pass = ({ source, slices }: Operand, { tensor, accumulate }: GradientTarget) =>
      this.#launch(passGradientKernel(image, { source, accumulate }), [
        ...slices,
        this.#slice(tensor),
      ]);
    if (addendGradient) pass(masked, addendGradient);
    if (target && !target.tensor.maker) {
      pass(forward.batchNorm ? this.#batchNormGradient(op) : masked, target);
    }
  }

  #denseGradients(
    { forward: op, outputGradient }: ConvolveBackward,
    target: GradientTarget | undefined,
  ): void {
    const { source, slices } = this.#operand(op.input);
    const { name } = op.node;
    const shape = denseShape(op);
    const dy = this.#slice(outputGradient);
    this.#launch(denseWeightGradientKernel(shape, source), [
      ...slices,
      dy,
      this.#gradientOf(`${name}.weight`, 1),
      this.#gradientOf(`${name}.bias`, 1),
    ]);
    if (!target) return;
    this.#launch(denseInputGradientKernel(shape, target.accumulate), [
      dy,
      this.#parameter(name, "weight"),
      this.#slice(target.tensor),
    ]);
  }

  #poolGradient(
    { forward: { node, input, output }, outputGradient, reads }: PoolBackward,
    { tensor, accumulate }: GradientTarget,
  ): void {
    const [x, y] = [imageOf(input), imageOf(output)];
    const kernel = () => {
      switch (node.kind) {
        case "shortcut-a":
          return shortcutGradientKernel(x, y, node, accumulate);
        case "max-pool":
          return maxPoolGradientKernel(x, y, node, accumulate);
        case "global-average-pool":
          return averagePoolGradientKernel(x, accumulate);
        default:
          return unhandledKind(node);
      }
    };
    const operands = [...reads, outputGradient, tensor];
    this.#launch(kernel(), operands.map((operand) => this.#slice(operand)));
  }

  // Update.

  /** One launch for the parameters whose gradients lie in one buffer. */
  #update(): Pick<Program, "update" | "updateTables"> {
    const { weights, slots, flipped } = this.#parameters;
    const { optimiser } = this.#options;
    const updateTables: { slice: StorageSlice; words: Uint32Array }[] = [];
    const update = this.#gradientStorages.map((storage, i): Launch => {
      const words = updateTable(this.#updatedParameters(storage));
      const slice = whole({ label: `update table ${i}`, bytes: words.byteLength });
      updateTables.push({ slice, words });
      return {
        kernel: updateKernel(optimiser, words, this.#scaling !== undefined),
        slices: [
          ...[slice, ...[storage, weights, flipped, ...slots.values()].map(whole)],
          ...this.#scaling ? [this.#scaling.scaler] : [],
        ],
      };
    });
    return { update: this.#scaled(update), updateTables };
  }

  /** The update between a look at all gradients and what follows of it for the scale. */
  #scaled(update: readonly Launch[]): readonly Launch[] {
    if (!this.#scaling) return update;
    const { scaler, scales } = this.#scaling;
    return [
      ...this.#gradientStorages.map((storage) => ({
        kernel: overflowKernel(storage.bytes / 4),
        slices: [whole(storage), scaler],
      })),
      ...update,
      { kernel: finishScaleKernel(), slices: [scaler, scales] },
    ];
  }

  /** One launch for each buffer of gradients, with a buffer for the sums of the parts before. */
  #addParts(): readonly Launch[] {
    const { batchNormImages = Infinity, batchSize } = this.#options;
    if (batchNormImages >= batchSize) return [];
    return this.#gradientStorages.map((storage, i) => ({
      kernel: addPartKernel(storage.bytes / 4),
      slices: [storage, { label: `gradients of parts ${i}`, bytes: storage.bytes }].map(whole),
    }));
  }

  #updatedParameters(storage: Storage): readonly UpdatedParameter[] {
    const specs = this.#options.graph.nodes.flatMap(({ parameters }) => parameters);
    return specs.flatMap((spec) => {
      const gradient = this.#gradients.get(spec.name);
      if (gradient?.slice.storage !== storage) return [];
      const flipped = this.#parameters.flippedSlice(spec.name);
      const [filters, channels, ...window] = spec.shape;
      return [{
        weights: this.#parameters.slice(spec.name).offset / 4,
        size: storedSize(spec),
        gradients: gradient.slice.offset / 4,
        partials: gradient.partials,
        stride: gradient.size,
        decays: decayOf(this.#options.optimiser, spec) > 0,
        ...flipped && {
          flipped: {
            offset: flipped.offset / 4,
            taps: sizeOf(window),
            channels: roundUp(channels),
            filters: roundUp(filters),
          },
        },
      }];
    });
  }
}

/** How the kernels see a tensor: a row of numbers is an image of one pixel. */
function imageOf({ shape }: PlanTensor): ImageShape {
  const [height, width, channels] = shape.length === 3 ? shape : [1, 1, shape[0]];
  return { height, width, channels };
}

function convolutionShape(
  { input, output, kernel, stride, padding }: ConvolveOp,
): ConvolutionShape {
  return { input: imageOf(input), output: imageOf(output), kernel, stride, padding, dilation: 1 };
}

function denseShape({ input, output }: ConvolveOp): { channels: number; units: number } {
  return { channels: imageOf(input).channels, units: imageOf(output).channels };
}
