/** From TensorFlow.js's kernels, as they run in one pass, to the operations of a recording. */

/** A tensor of TensorFlow.js, as far as it is used. */
export interface TensorLike {
  /** Of this tensor; another view of its values has another. */
  readonly id: number;
  /** [N, ...]. */
  readonly shape: readonly number[];
  /** `float32`, `int32`, ... */
  readonly dtype: string;
  /** Its values. */
  dataSync(): ArrayLike<number>;
}

/** What runs the kernels: the one that all copies of TensorFlow.js share. */
export interface EngineLike {
  /** Runs one kernel. */
  runKernel(name: string, inputs: object, attributes?: object): unknown;
  /** Runs a function and differentiates what it returns. */
  gradients(...given: unknown[]): { readonly value: TensorLike };
  /** Makes a tensor. */
  makeTensor(values: Float32Array, shape: readonly number[], dtype: string): TensorLike;
  /** Frees what a function made. */
  tidy<Result>(run: () => Result): Result;
}

/** An operation as a recording's `graph` has it. */
export interface Operation {
  /** Of the framework. */
  readonly op: string;
  /** Of the format. */
  readonly kind: string;
  /** Name of the layer. */
  readonly module?: string;
  /** Its class. */
  readonly moduleClass?: string;
  /** By name. */
  readonly arguments: Readonly<Record<string, unknown>>;
  /** What it gives: images as [N, C, H, W]. */
  readonly outputs: readonly { readonly value: number; readonly shape: readonly number[] }[];
}

const KINDS: Readonly<Record<string, string>> = {
  ...{ Conv2D: "convolution", FusedConv2D: "convolution", DepthwiseConv2dNative: "convolution" },
  ...{ FusedBatchNorm: "batch-norm", Relu: "relu", Add: "add", AddV2: "add", AddN: "add" },
  ...{ _FusedMatMul: "dense", BatchMatMul: "dense", MaxPool: "max-pool", AvgPool: "average-pool" },
  ...{
    Mean: "mean",
    Reshape: "reshape",
    Transpose: "permute",
    PadV2: "pad",
    Concat: "concatenate",
  },
  ...{ Slice: "slice", StridedSlice: "slice", Softmax: "softmax", LogSoftmax: "log-softmax" },
  ...{ Identity: "copy", Cast: "cast", Multiply: "multiply", Sub: "subtract", RealDiv: "divide" },
  ...{ Relu6: "activation", Elu: "activation", Sigmoid: "activation", Tanh: "activation" },
  ...{ LeakyRelu: "activation", Selu: "activation", Softplus: "activation", Prelu: "activation" },
};

/** Lists the kernels of a pass, with the tensors between them. */
export class KernelTrace {
  /** In order. */
  readonly operations: Operation[] = [];
  readonly #values = new Map<number, number>();
  readonly #parameters: Map<number, string>;
  readonly #layer: () => { readonly name: string; readonly class: string } | undefined;
  #count = 0;

  /**
   * @param parameters Names by the tensors' ids.
   * @param layer The one that runs.
   */
  constructor(
    parameters: ReadonlyMap<number, string>,
    layer: () => { readonly name: string; readonly class: string } | undefined,
  ) {
    this.#parameters = new Map(parameters);
    this.#layer = layer;
  }

  /** Numbers a tensor: the images, or what a kernel gives. */
  value(tensor: Pick<TensorLike, "id">): number {
    this.#values.set(tensor.id, ++this.#count);
    return this.#count;
  }

  /** The number of a tensor; undefined for one that came from elsewhere. */
  numberOf(tensor: TensorLike): number | undefined {
    return this.#values.get(tensor.id);
  }

  /** Notes a kernel that has run. */
  note(name: string, inputs: object, attributes: object, result: unknown): void {
    const [output] = (Array.isArray(result) ? result : [result]) as TensorLike[];
    const given = inputs as Readonly<Record<string, TensorLike | undefined>>;
    const settings = attributes as Readonly<Record<string, unknown>>;
    const kind = KINDS[name] ?? "other";
    if (given.x !== undefined && ["reshape", "copy", "cast"].includes(kind)) {
      // Another name of a parameter, or of a value that keeps its shape.
      const parameter = this.#parameters.get(given.x.id);
      const value = this.#values.get(given.x.id);
      if (parameter !== undefined) {
        this.#parameters.set(output.id, parameter);
        return;
      }
      if (value !== undefined && given.x.shape.join() === output.shape.join()) {
        this.#values.set(output.id, value);
        return;
      }
    }
    const picked = pickedBy(name, settings);
    if (picked !== undefined) {
      // Along one axis after the other, as the format has it.
      const [rows, columns] = picked;
      const [count, height, , channels] = output.shape;
      const shape = [count, height, given.x!.shape[2], channels];
      const input = this.#reference(given.x!);
      this.#add(name, "slice", { input, dim: 2, step: rows }, { id: -1, shape });
      const half = { value: this.#count };
      this.#add(name, "slice", { input: half, dim: 3, step: columns }, output);
      return;
    }
    const own = argumentsOf(
      name,
      (key) => {
        const tensor = given[key];
        return tensor === undefined || tensor === null ? undefined : this.#reference(tensor);
      },
      Object.keys(given),
      settings,
      given,
      output,
    );
    // A matrix product has a first axis of its own.
    const shape = kind === "dense" && output.shape.length === 3
      ? output.shape.slice(1)
      : output.shape;
    this.#add(name, kind, own, { id: output.id, shape });
    // What a fused kernel does besides: its bias is an argument, its activation a step of its own.
    const activation = settings.activation;
    if (name.includes("Fused") && typeof activation === "string" && activation !== "linear") {
      const before = this.#count;
      this.#add(activation, activation === "relu" ? "relu" : "activation", {
        input: { value: before },
      }, output);
    }
  }

  #add(
    op: string,
    kind: string,
    given: Readonly<Record<string, unknown>>,
    output: Pick<TensorLike, "id" | "shape">,
  ): void {
    const layer = this.#layer();
    this.operations.push({
      op,
      kind,
      ...(layer === undefined ? {} : { module: layer.name, moduleClass: layer.class }),
      arguments: given,
      outputs: [{ value: this.value(output), shape: channelsFirst(output.shape) }],
    });
  }

  #reference(tensor: TensorLike): unknown {
    const parameter = this.#parameters.get(tensor.id);
    if (parameter !== undefined) return { parameter };
    const value = this.#values.get(tensor.id);
    if (value !== undefined) return { value };
    // A constant, such as the zeros of option A's shortcut.
    this.#add("constant", "other", {}, tensor);
    return { value: this.#count };
  }
}

/** Every how many rows and columns a kernel takes: a pool of one pixel takes that pixel. */
function pickedBy(
  name: string,
  { strides, filterSize, begin }: Readonly<Record<string, unknown>>,
): readonly [number, number] | undefined {
  if (name === "StridedSlice") {
    const [steps, from] = [strides as readonly number[], begin as readonly number[]];
    return steps.length === 4 && from.every((at) => at === 0) ? [steps[1], steps[2]] : undefined;
  }
  if (name !== "AvgPool" && name !== "MaxPool") return undefined;
  const [rows, columns] = both(filterSize);
  return rows === 1 && columns === 1 ? both(strides) : undefined;
}

/** One number stands for rows and columns. */
function both(value: unknown): readonly [number, number] {
  return typeof value === "number" ? [value, value] : value as readonly [number, number];
}

/** A kernel's arguments under the names that the format has from PyTorch. */
function argumentsOf(
  name: string,
  reference: (key: string) => unknown,
  keys: readonly string[],
  settings: Readonly<Record<string, unknown>>,
  inputs: Readonly<Record<string, TensorLike | undefined>>,
  output: TensorLike,
): Record<string, unknown> {
  switch (name) {
    case "Conv2D":
    case "FusedConv2D": {
      const [rows, columns] = inputs.filter!.shape;
      return {
        input: reference("x"),
        weight: reference("filter"),
        bias: reference("bias"),
        stride: settings.strides,
        dilation: settings.dilations,
        ...padding(settings, inputs.x!.shape, output.shape, [rows, columns]),
      };
    }
    case "MaxPool":
    case "AvgPool": {
      const size = both(settings.filterSize);
      return {
        input: reference("x"),
        kernel_size: size,
        stride: settings.strides,
        ...padding(settings, inputs.x!.shape, output.shape, size),
      };
    }
    case "FusedBatchNorm":
      return {
        input: reference("x"),
        weight: reference("scale"),
        bias: reference("offset"),
        running_mean: reference("mean"),
        running_var: reference("variance"),
        eps: settings.varianceEpsilon,
      };
    case "PadV2": {
      const sides = (settings.paddings as [number, number][] | undefined) ?? [];
      // From the last axis to the first, channels first.
      const [, rows = [0, 0], columns = [0, 0], channels = [0, 0]] = sides;
      return {
        input: reference("x"),
        pad: [...columns, ...rows, ...channels],
        value: settings.constantValue,
      };
    }
    case "Concat":
      return { tensors: keys.map(reference), dim: settings.axis === 3 ? 1 : settings.axis };
    default:
      return Object.fromEntries(keys.map((key) => [key, reference(key)]));
  }
}

/** `same` as numbers where it is alike on all sides, or where a pixel more lies behind. */
function padding(
  settings: Readonly<Record<string, unknown>>,
  [, height]: readonly number[],
  [, outHeight]: readonly number[],
  [rows]: readonly number[],
): Record<string, unknown> {
  const { pad } = settings;
  if (pad === "valid" || typeof pad === "number") return { padding: pad === "valid" ? 0 : pad };
  const [stride] = both(settings.strides);
  const all = Math.max(0, (outHeight - 1) * stride + rows - height);
  return { padding: Math.ceil(all / 2), pad: "same" };
}

/** [N, H, W, C] to [N, C, H, W]; other shapes as they are. */
export function channelsFirst(shape: readonly number[]): number[] {
  const [count, height, width, channels] = shape;
  return shape.length === 4 ? [count, channels, height, width] : [...shape];
}

/**
 * Values with the channels first.
 *
 * @param values [A, B, C], row by row: A the images, B the pixels, C the channels.
 * @returns [A, C, B].
 */
export function transposed(
  values: ArrayLike<number>,
  [outer, middle, inner]: readonly [number, number, number],
): Float32Array {
  const result = new Float32Array(outer * middle * inner);
  for (let a = 0; a < outer; a++) {
    for (let b = 0; b < middle; b++) {
      for (let c = 0; c < inner; c++) {
        result[(a * inner + c) * middle + b] = values[(a * middle + b) * inner + c];
      }
    }
  }
  return result;
}
