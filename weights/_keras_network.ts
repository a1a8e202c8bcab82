/**
 * From a Keras model to what is read from it: its layers as operations of ONNX,
 * which are mapped as those of an ONNX file are.
 *
 * Images and kernels of Keras have their channels last; every value here has
 * them first, from one transposition at the input on.
 */
import type { Contents } from "./format.ts";
import { contentsOf } from "./_onnx_network.ts";
import type { AttributeValue, OnnxNode, StoredTensor } from "./_onnx_format.ts";
import { type KerasCall, type KerasLayer, readTopology } from "./_keras_topology.ts";
import { isRecord } from "./_json.ts";
import { permuteAxes } from "./permute.ts";
import type { SavedTraining } from "./saved_training.ts";
import { quote } from "../text/mod.ts";
import { type Tensor, WeightFileError, type Weights } from "../resnet/mod.ts";

/** A model as a file of Keras or TensorFlow.js has it. */
export interface KerasModel {
  /** Its class and settings. */
  readonly description: unknown;
  /** A layer's arrays by Keras's names for them, in Keras's layouts. */
  readonly arraysOf: (layer: KerasLayer) => Weights;
  /** All arrays, for a model whose layers are not listed. */
  readonly tensors: Weights;
  /** The program that wrote it. */
  readonly producer: string;
  /** What it was compiled with. */
  readonly training?: SavedTraining;
}

/**
 * The network of a model; its arrays alone where some of its code is not in the file.
 *
 * @throws {WeightFileError} If the description is malformed, or a layer's arrays are missing.
 */
export function kerasContents(model: KerasModel): Contents {
  const { description, arraysOf, tensors, producer, training } = model;
  const rest = training ? { training } : {};
  const topology = readTopology(description);
  if (!topology) return { tensors, ordered: false, ...rest };
  const { calls, inputs, outputs } = topology;
  const opaque = calls.find(({ layer }) => !layer.isOwn || OPAQUE.test(layer.className));
  if (opaque) {
    const { path, className } = opaque.layer;
    return {
      tensors: inOrder(calls, arraysOf),
      ordered: true,
      notes: [
        `layer ${quote(path)} is code (${
          quote(className)
        }) that the file does not hold, so what the network computes can't be seen, only its arrays`,
      ],
      ...rest,
    };
  }
  const translation = new Translation(arraysOf, isChannelsFirst(calls));
  for (const input of inputs) translation.input(input.name);
  for (const call of calls) translation.call(call);
  const { nodes, arrays } = translation;
  const contents = contentsOf({
    producer,
    ...{ nodes, inputs, tensors: arrays },
    outputs: outputs.map((output) => translation.valueOf(output)),
    parts: new Map(),
  });
  return { ...contents, ...rest };
}

/** Layers whose code is a program, which a file of weights does not hold or nobody should run. */
const OPAQUE = /Lambda$|^TorchModuleWrapper$|^TFSMLayer$|^JaxLayer$|^FlaxLayer$/;

/** The arrays of the layers, in the order in which they are called. */
function inOrder(calls: readonly KerasCall[], arraysOf: KerasModel["arraysOf"]): Weights {
  const tensors = new Map<string, Tensor>();
  for (const { layer } of calls) {
    if (layer.className === "Normalization") continue;
    for (const [role, tensor] of arraysOf(layer)) tensors.set(`${layer.path}/${role}`, tensor);
  }
  if (tensors.size === 0) throw withoutWeights();
  return tensors;
}

function isChannelsFirst(calls: readonly KerasCall[]): boolean {
  return calls.some(({ layer: { config } }) => config.data_format === "channels_first");
}

function withoutWeights(): WeightFileError {
  return new WeightFileError(
    "the file describes a model and holds no weights of it; give the file of its weights",
  );
}

type Attributes = Readonly<Record<string, AttributeValue | undefined>>;

/** Layers that do nothing once a model is trained. */
const IDENTITIES = /^(Identity|GaussianNoise|ActivityRegularization|Random(?!Crop|Resize)\w+)$/;
const DROPOUTS = /^(Dropout|SpatialDropout\w+|AlphaDropout|GaussianDropout)$/;

/** By less Keras's Normalization does not divide. */
const LEAST_DEVIATION = 1e-7;

/** ONNX's names for the functions that Keras calls by text. */
const FUNCTIONS: ReadonlyMap<string, string> = new Map([
  ["relu", "Relu"],
  ["softmax", "Softmax"],
  ["log_softmax", "LogSoftmax"],
  ["sigmoid", "Sigmoid"],
  ["hard_sigmoid", "HardSigmoid"],
  ["tanh", "Tanh"],
  ["elu", "Elu"],
  ["selu", "Selu"],
  ["gelu", "Gelu"],
  ["silu", "Swish"],
  ["swish", "Swish"],
  ["mish", "Mish"],
  ["softplus", "Softplus"],
  ["softsign", "Softsign"],
  ["leaky_relu", "LeakyRelu"],
  ["hard_silu", "HardSwish"],
  ["hard_swish", "HardSwish"],
]);

class Translation {
  readonly nodes: OnnxNode[] = [];
  readonly arrays: StoredTensor[] = [];
  readonly #values = new Map<string, string>();
  readonly #stored = new Set<string>();

  constructor(
    private readonly arraysOf: KerasModel["arraysOf"],
    private readonly channelsFirst: boolean,
  ) {}

  /** The name of what stands for a value of Keras. */
  valueOf(name: string): string {
    return this.#values.get(name) ?? name;
  }

  input(name: string): void {
    this.#values.set(
      name,
      this.channelsFirst ? name : this.#add("Transpose", name, [name], { perm: [0, 3, 1, 2] }),
    );
  }

  call(call: KerasCall): void {
    const inputs = call.inputs.map((input) => this.valueOf(input));
    this.#values.set(call.output, this.#layer(call, inputs));
  }

  #layer({ layer, parameters, output }: KerasCall, inputs: readonly string[]): string {
    const { className, config } = layer;
    const add = (operator: string, from: readonly string[], attributes: Attributes = {}) =>
      this.#add(operator, output, from, attributes, layer.path);
    const activated = (value: string, activation: unknown = config.activation) => {
      const operators = activationOf(activation);
      return operators === undefined ? value : this.#activate(value, operators, output, layer.path);
    };
    const [x = ""] = inputs;
    if (IDENTITIES.test(className)) return x;
    if (DROPOUTS.test(className)) return config.rate === 0 ? x : add("Dropout", [x]);
    switch (className) {
      case "Conv2D": {
        const arrays = this.arraysOf(layer);
        const kernel = this.#store(layer, "kernel", arrays, KERNEL);
        const bias = config.use_bias === false ? [] : [this.#store(layer, "bias", arrays)];
        return activated(add("Conv", [x, kernel, ...bias], {
          strides: pair(config.strides, 1),
          dilations: pair(config.dilation_rate, 1),
          group: typeof config.groups === "number" ? config.groups : 1,
          ...padding(config.padding),
        }));
      }
      case "BatchNormalization": {
        if (this.#axis(config.axis ?? -1) !== 1) break;
        const arrays = this.arraysOf(layer);
        const channels = arrays.get("moving_mean")?.shape ?? [0];
        const constant = (role: string, value: number) =>
          arrays.get(role) ?? { shape: channels, data: new Float32Array(channels[0]).fill(value) };
        const filled = new Map([
          ...arrays,
          ["gamma", constant("gamma", 1)],
          ["beta", constant("beta", 0)],
        ]);
        return add("BatchNormalization", [
          x,
          ...["gamma", "beta", "moving_mean", "moving_variance"].map((role) =>
            this.#store(layer, role, filled)
          ),
        ], { epsilon: typeof config.epsilon === "number" ? config.epsilon : 1e-3 });
      }
      case "Dense": {
        const arrays = this.arraysOf(layer);
        const kernel = this.#store(layer, "kernel", arrays);
        const bias = config.use_bias === false ? [] : [this.#store(layer, "bias", arrays)];
        return activated(add("Gemm", [x, kernel, ...bias]));
      }
      case "Activation":
        return activated(x);
      case "Relu":
        return add("Relu", [x]);
      case "ReLU":
        return activated(x, { class_name: "ReLU", config });
      case "LeakyReLU":
        return add("LeakyRelu", [x]);
      case "PReLU":
        return add("PRelu", [x]);
      case "ELU":
        return add("Elu", [x]);
      case "Softmax":
        return add("Softmax", [x]);
      case "Add":
        return add(inputs.length === 2 ? "Add" : "Sum", inputs);
      case "Concatenate":
        return add("Concat", inputs, { axis: this.#axis(config.axis ?? -1) });
      case "GlobalAveragePooling2D":
        return add("ReduceMean", [x], { axes: [2, 3], keepdims: config.keepdims === true ? 1 : 0 });
      case "AveragePooling2D":
      case "MaxPooling2D":
        return add(className === "MaxPooling2D" ? "MaxPool" : "AveragePool", [x], {
          kernel_shape: pair(config.pool_size, 2),
          strides: pair(config.strides ?? config.pool_size, 2),
          ...padding(config.padding),
        });
      case "ZeroPadding2D": {
        const [top, bottom, left, right] = paddingOf(config.padding);
        return add("Pad", [x], { pads: [0, 0, top, left, 0, 0, bottom, right] });
      }
      case "Permute": {
        // Numbered from 1, without the axis of images.
        const dims = numbers(config.dims);
        const perm = [0, 0, 0, 0];
        dims.forEach((from, to) => perm[this.#axis(to + 1)] = this.#axis(from));
        return dims.length === 3 ? add("Transpose", [x], { perm }) : add("Permute", [x]);
      }
      case "Flatten":
        return add("Flatten", [x]);
      case "Reshape":
        return add("Reshape", [x, this.#numbers([-1, ...numbers(config.target_shape)])]);
      case "Rescaling":
        return add("Add", [
          add("Mul", [x, this.#perChannel(config.scale, 1)]),
          this.#perChannel(config.offset, 0),
        ]);
      case "Normalization": {
        const found = this.#normalisation(layer);
        if (!found) break;
        return add("Mul", [add("Add", [x, found.shift]), found.scale]);
      }
      // Random in training alone; images of that size pass as they are.
      case "RandomCrop":
      case "CenterCrop":
      case "Resizing":
        return add("CenterCropPad", [x, this.#numbers(numbers([config.height, config.width]))], {
          axes: [2, 3],
        });
      case "GetItem":
        return this.#slice(x, parameters, add);
      case "Pad":
        return this.#pad(x, config, parameters, add);
    }
    // Layers of other kinds of nets: named, and mapped to nothing.
    return this.#add(className, output, inputs, {}, layer.path, "keras");
  }

  #activate(value: string, operators: Operators, output: string, name: string): string {
    const { operator, limits } = operators;
    const inputs = limits ? [value, ...limits.map((limit) => this.#numbers([limit]))] : [value];
    return this.#add(operator, output, inputs, {}, name);
  }

  /** The axis of a value here that is an axis of a value of Keras. */
  #axis(axis: unknown): number {
    const [at] = Array.isArray(axis) ? axis : [axis];
    if (typeof at !== "number") return NaN;
    const positive = at < 0 ? at + 4 : at;
    return this.channelsFirst ? positive : [0, 2, 3, 1][positive] ?? NaN;
  }

  /** An array of a layer as ONNX has it. */
  #store(layer: KerasLayer, role: string, arrays: Weights, axes?: readonly number[]): string {
    const name = `${layer.path}/${role}`;
    if (this.#stored.has(name)) return name;
    const tensor = arrays.get(role);
    if (!tensor) {
      throw new WeightFileError(
        `the ${role} of layer ${quote(layer.path)} is missing; give the file that holds it`,
      );
    }
    this.#stored.add(name);
    const fits = !axes || axes.length === tensor.shape.length;
    const laidOut = axes && fits ? permuteAxes(tensor, axes) : tensor;
    this.arrays.push({ name, shape: laidOut.shape, read: () => laidOut });
    return name;
  }

  #numbers(data: readonly number[], shape: readonly number[] = [data.length]): string {
    const name = `constant ${this.arrays.length}`;
    this.arrays.push({ name, shape, read: () => ({ shape, data }) });
    return name;
  }

  /** What a layer adds and then multiplies by, from its settings or from what it was adapted to. */
  #normalisation(
    layer: KerasLayer,
  ): { readonly shift: string; readonly scale: string } | undefined {
    const { mean, variance, axis = -1, invert } = layer.config;
    const kept = (axis === null ? [] : [axis]).flat().map((axis) => this.#axis(axis));
    // Alike for all, by channel, or by each number of an image.
    if (invert === true || !["", "1", "1,2,3"].includes(kept.toSorted().join())) return undefined;
    const arrays = this.arraysOf(layer);
    const valuesOf = (given: unknown, role: string) => {
      if (given === null || given === undefined) {
        const array = arrays.get(role);
        return array?.shape.length === 3 && !this.channelsFirst
          ? permuteAxes(array, [2, 0, 1])
          : array;
      }
      // Keras 3 describes an array of NumPy by its values.
      const plain = isRecord(given) && isRecord(given.config) ? given.config.value : given;
      const data = numbers([plain].flat());
      // Of nested lists the axes are not told apart.
      return data.some(Number.isNaN) ? undefined : { shape: [data.length], data };
    };
    const shift = valuesOf(mean, "mean");
    const spread = valuesOf(variance, "variance");
    if (!shift || !spread) return undefined;
    const stored = ({ shape, data }: typeof shift, change: (value: number) => number) =>
      this.#numbers(
        Array.from(data, change),
        shape.length === 3 ? shape : data.length > 1 ? [data.length, 1, 1] : [1],
      );
    return {
      shift: stored(shift, (value) => -value),
      scale: stored(spread, (value) => 1 / Math.max(Math.sqrt(value), LEAST_DEVIATION)),
    };
  }

  /** A number, or one for each channel. */
  #perChannel(value: unknown, otherwise: number): string {
    const data = numbers(Array.isArray(value) ? value.flat(4) : [value ?? otherwise]);
    return this.#numbers(data, data.length > 1 ? [data.length, 1, 1] : [1]);
  }

  /** `x[:, ::2, ::2, :]`, as Keras 3 writes it. */
  #slice(x: string, parameters: readonly unknown[], add: Add): string {
    const ranges = Array.isArray(parameters[1]) ? parameters[1] : [];
    const axes: number[] = [], starts: number[] = [], ends: number[] = [], steps: number[] = [];
    ranges.forEach((range, i) => {
      const { start = null, stop = null, step = null } = isRecord(range) && isRecord(range.config)
        ? range.config
        : { start: NaN };
      if (start === null && stop === null && step === null) return;
      const number = (value: unknown, otherwise: number) =>
        value === null ? otherwise : typeof value === "number" ? value : NaN;
      axes.push(this.#axis(i));
      starts.push(number(start, 0));
      ends.push(number(stop, Number.MAX_SAFE_INTEGER));
      steps.push(number(step, 1));
    });
    return add("Slice", [x, ...[starts, ends, axes, steps].map((list) => this.#numbers(list))]);
  }

  #pad(
    x: string,
    config: Readonly<Record<string, unknown>>,
    parameters: readonly unknown[],
    add: Add,
  ): string {
    const widths = (config.pad_width ?? parameters[1]) as unknown;
    const pads = new Array<number>(8).fill(0);
    if (!Array.isArray(widths) || widths.length !== 4) return add("Pad", [x], { mode: "unknown" });
    widths.forEach((width, i) => {
      const at = this.#axis(i);
      [pads[at], pads[at + 4]] = numbers(width);
    });
    const mode = typeof config.mode === "string" ? config.mode : "constant";
    return add("Pad", [x], { pads, mode });
  }

  #add(
    operator: string,
    output: string,
    inputs: readonly string[],
    attributes: Attributes,
    name = "",
    domain = "",
  ): string {
    // Several operations of one layer each need a name for what they give.
    const value = `${output} #${this.nodes.length}`;
    const given = Object.entries(attributes)
      .filter((entry): entry is [string, AttributeValue] => entry[1] !== undefined);
    this.nodes.push({
      ...{ operator, domain, name, inputs },
      outputs: [value],
      attributes: new Map(given),
    });
    return value;
  }
}

type Add = (operator: string, inputs: readonly string[], attributes?: Attributes) => string;

/** From [H, W, I, O] to [O, I, H, W]. */
const KERNEL = [3, 2, 0, 1] as const;

interface Operators {
  readonly operator: string;
  readonly limits?: readonly number[];
}

/** An activation by its name or its settings; undefined for none. */
function activationOf(activation: unknown): Operators | undefined {
  if (isRecord(activation)) {
    const { class_name: name, config } = activation;
    const settings = isRecord(config) ? config : {};
    if (name !== "ReLU") return activationOf(typeof config === "string" ? config : String(name));
    const { max_value: most = null, negative_slope: slope = 0, threshold = 0 } = settings;
    if (slope !== 0 && slope !== null) return { operator: "LeakyRelu" };
    if (threshold !== 0 && threshold !== null) return { operator: "ThresholdedRelu" };
    return typeof most === "number"
      ? { operator: "Clip", limits: [0, most] }
      : { operator: "Relu" };
  }
  if (activation === undefined || activation === null || activation === "linear") return undefined;
  if (activation === "relu6") return { operator: "Clip", limits: [0, 6] };
  return {
    operator: FUNCTIONS.get(String(activation)) ?? `activation ${quote(String(activation))}`,
  };
}

function padding(value: unknown): Attributes {
  return value === "same"
    ? { auto_pad: "SAME_UPPER" }
    : value === "valid" || value === undefined
    ? {}
    : { pads: [NaN] };
}

/** Top, bottom, left, right: of one number, two, or two pairs. */
function paddingOf(value: unknown): readonly number[] {
  const [rows, columns] = Array.isArray(value) ? value : [value ?? 1, value ?? 1];
  return [rows, columns].flatMap((side) => Array.isArray(side) ? numbers(side) : [side, side])
    .map((zeros) => typeof zeros === "number" ? zeros : NaN);
}

/** A number twice, or two numbers. */
function pair(value: unknown, otherwise: number): readonly number[] {
  const given = value ?? otherwise;
  return Array.isArray(given) ? numbers(given) : [Number(given), Number(given)];
}

function numbers(value: unknown): number[] {
  return Array.isArray(value)
    ? value.map((item) => typeof item === "number" ? item : NaN)
    : [NaN, NaN];
}
