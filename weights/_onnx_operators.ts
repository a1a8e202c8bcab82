/**
 * The operators of ONNX that residual nets have, each as nodes of our graph or
 * as a change that waits for its node.
 *
 * Source of their meaning: docs/Operators.md of ONNX 1.23.
 */
import type { AttributeValue, Constant, OnnxNode } from "./_onnx_format.ts";
import {
  Activation,
  type AffineChange,
  type Axis,
  CHANNELS_FIRST,
  DEFAULT_EPSILON,
  describe,
  floats,
  Grouped,
  isConstant,
  type OneSided,
  type Operation,
  type Pads,
  type PickChange,
  Unmappable,
  type Value,
  VECTOR,
  vector,
  Zeros,
} from "./_onnx_values.ts";
import { INPUT, sizeOf, type Tensor } from "../resnet/mod.ts";
import { quote } from "../text/mod.ts";
import { permuteAxes } from "./permute.ts";

const IMAGE_AXES = ["H", "W", "C"] as const;
/** An end of a slice at least this far away means "to the end"; tf2onnx writes just this. */
const FAR = 1_000_000_000;
/** Numbers of a kernel that stands for a grouped one; the largest of ResNet-34 has 2.4 million. */
const MOST_STAND_IN = 4_000_000;
/** Zeros on one side of an image; option A's channels are fewer than any net's. */
const MOST_PADS = 4096;
type Handler = (operation: Operation) => Value;

const BY_NAME: Readonly<Record<string, Handler>> = {
  Conv: convolution,
  BatchNormalization: batchNorm,
  Relu: ({ inputs: [x], settle, emit }) => {
    const { node: input, axes } = settle(activation(x));
    return emit({ kind: "relu", input }, {}).with({ axes });
  },
  ...Object.fromEntries(
    [
      ...["LeakyRelu", "PRelu", "Elu", "Selu", "Celu", "Gelu", "HardSwish", "Mish", "Swish"],
      ...["Softplus", "Softsign", "Tanh", "ThresholdedRelu", "HardSigmoid", "Sigmoid"],
    ].map((name) => [name, otherActivation]),
  ),
  Add: add,
  Sum: add,
  Sub: ({ inputs: [a, b] }) =>
    isConstant(a)
      ? affine(activation(b), (x, c) => [-x.scale, c - x.shift], a)
      : affine(activation(a), (x, c) => [x.scale, x.shift - c], constantOf(b)),
  Mul: (operation) => {
    const [a, b] = operation.inputs;
    // x * sigmoid(x) and the like are one activation.
    if (a instanceof Activation && b instanceof Activation) {
      if (isActivationOf(b, a, operation)) return b;
      if (isActivationOf(a, b, operation)) return a;
    }
    const [x, factor] = isConstant(a) ? [activation(b), a] : [activation(a), constantOf(b)];
    if (factor.data.every((value) => value === 0)) return new Zeros(x.extents());
    if (operation.standsFor(x.node) === "norm") return x;
    return affine(x, ({ scale, shift }, c) => [scale * c, shift * c], factor);
  },
  Div: ({ inputs: [a, b] }) =>
    affine(activation(a), ({ scale, shift }, c) => [scale / c, shift / c], constantOf(b)),
  MaxPool: maxPool,
  AveragePool: averagePool,
  GlobalAveragePool: ({ inputs: [x], settle, emit }) => globalPool(settle(activation(x)), emit),
  ReduceMean: reduceMean,
  Flatten: (operation) =>
    asVector(operation.settle(activation(operation.inputs[0])), operation).with({ axes: VECTOR }),
  Reshape: reshape,
  Squeeze: squeeze,
  Transpose: ({ node, inputs: [x] }) => {
    const value = activation(x);
    const permutation = integers(node, "perm") ?? value.axes.map((_, i) => i).reverse();
    const axes = permutation.map((axis) => value.axes[axis]);
    if (new Set(axes).size !== value.axes.length || axes.includes(undefined as unknown as Axis)) {
      throw new Unmappable(`has the permutation ${permutation} of ${value.axes.length} axes`);
    }
    return value.with({ axes, change: value.change });
  },
  Gemm: gemm,
  MatMul: ({ inputs: [x, b], settle, emit, withoutBias }) => {
    const weight = transposed(constantOf(b));
    const dense = denseNode(settle(activation(x)), weight, undefined, emit);
    withoutBias(dense.node);
    return dense;
  },
  Softmax: softmax,
  LogSoftmax: softmax,
  Identity: ({ inputs: [x] }) => x,
  Cast: ({ inputs: [x] }) => x,
  CastLike: ({ inputs: [x] }) => x,
  Dropout: ({ node, inputs: [x], note }) => {
    note("dropout", describe(node));
    return x;
  },
  Clip: clip,
  Shape: ({ node, inputs: [x] }) => {
    const extents = activation(x).extents().slice(
      integer(node, "start", 0),
      optionalInteger(node, "end"),
    );
    return { shape: [extents.length], data: extents };
  },
  ConstantOfShape: ({ node, inputs: [shape] }) => {
    const tensor = node.attributes.get("value");
    const fill = typeof tensor === "object" && "read" in tensor ? tensor.read().data[0] : 0;
    if (fill !== 0) throw new Unmappable(`is filled with ${fill}`);
    return new Zeros([...constantOf(shape).data]);
  },
  Pad: pad,
  CenterCropPad: ({ node, inputs: [x, sizes] }) => {
    const value = activation(x);
    const extents = value.extents();
    const axes = integers(node, "axes") ?? extents.map((_, i) => i);
    const found = axes.map((axis) => extents[axis < 0 ? axis + extents.length : axis]);
    const asked = [...constantOf(sizes).data];
    if (found.join() === asked.join()) return value;
    throw new Unmappable(`makes ${asked.join("x")} pixels of ${found.join("x")}`);
  },
  Slice: slice,
  Concat: concat,
  Tile: tile,
  InstanceNormalization: instanceNorm,
  GroupNormalization: instanceNorm,
  LayerNormalization: instanceNorm,
};

/** By the operator's name; a map, because a file may call an operator "constructor". */
export const HANDLERS: ReadonlyMap<string, Handler> = new Map(Object.entries(BY_NAME));

/** A ReLU stands for any other activation; a sigmoid at the end is left out. */
function otherActivation(operation: Operation): Activation {
  const { node, inputs: [x], settle, emit, departs, isLast, standIn } = operation;
  const value = activation(x);
  if (node.operator === "Sigmoid" && isLast) {
    departs("sigmoid-at-end", describe(node));
    return value;
  }
  departs("other-activation", describe(node));
  const { node: input, axes } = settle(value);
  const stand = emit({ kind: "relu", input }, {}).with({ axes });
  standIn(stand.node, "activation");
  return stand;
}

/** Whether a value is an activation of the other, however many stand-ins it takes. */
function isActivationOf(value: Activation, of: Activation, operation: Operation): boolean {
  let node: string | undefined = value.node;
  while (node !== undefined && operation.standsFor(node) === "activation") {
    node = operation.inputOf(node);
    if (node === of.node) return true;
  }
  return false;
}

/** A batch norm stands for a norm over groups of channels. */
function instanceNorm({ node, inputs: [x], settle, emit, departs, standIn }: Operation): Value {
  const grouped = x instanceof Grouped;
  const { node: input, axes, shape } = settle(grouped ? x.x : activation(x));
  departs("group-norm", describe(node));
  const channels = shape[shape.length - 1];
  const constant = (value: number) => vector(new Float32Array(channels).fill(value));
  const stand = emit({ kind: "batch-norm", input }, {
    ...{ weight: constant(1), bias: constant(0) },
    ...{ running_mean: constant(0), running_var: constant(1) },
  }).with({ axes });
  standIn(stand.node, "norm");
  return grouped ? new Grouped(stand, true) : stand;
}

/** Channels that are repeated stand for zeros. */
function tile({ node, inputs: [x, repeats], settle, departs }: Operation): Activation {
  const given = activation(x);
  const times = [...constantOf(repeats).data];
  const at = given.axes.indexOf("C");
  if (!(times[at] > 1) || times.some((count, axis) => axis !== at && count !== 1)) {
    throw new Unmappable(`repeats its input by ${times.join(", ")}`);
  }
  departs("copied-channels", describe(node));
  return pick(given, { before: 0, after: (times[at] - 1) * given.extents()[at] }, settle);
}

function convolution(operation: Operation): Activation {
  const { node, inputs: [x, kernel, bias], emit, settle, note, oneSided, departs } = operation;
  const given = activation(x);
  const outer = given.change?.kind === "pad" ? given.change.pads : [0, 0, 0, 0] as const;
  const input = given.change?.kind === "pad" ? given.with({}) : settle(given);
  expectAxes(input, CHANNELS_FIRST);
  let weight = floats(constantOf(kernel));
  if (weight.shape.length !== 4) {
    throw new Unmappable(`has a kernel of ${weight.shape.length} axes, not 4`);
  }
  const [filters, channels, size] = weight.shape;
  const [height, width, inputChannels] = input.shape;
  const groups = integer(node, "group", 1);
  if (!(groups >= 1) || channels * groups !== inputChannels) {
    throw new Unmappable(`has ${groups} groups of ${channels} of ${inputChannels} channels`);
  }
  if (groups > 1) {
    const shape = [filters, inputChannels, size, size];
    // A few bytes must not ask for much memory.
    if (sizeOf(shape) > MOST_STAND_IN) throw new Unmappable(`has ${groups} groups`);
    departs("grouped", `${describe(node)} has ${groups} groups of ${channels} channels`);
    weight = { shape, data: ungrouped(weight, groups) };
  }
  const stride = square(node, "strides", 1);
  const dilation = square(node, "dilations", 1);
  if (dilation !== 1) departs("dilated", `${describe(node)} takes every ${dilation}th pixel`);
  if (weight.shape[3] !== size) throw new Unmappable(`has a ${size}x${weight.shape[3]} kernel`);
  // What a dilated window is padded by more keeps the size.
  const inner = padsOf(node, size, stride, [height, width])
    .map((zeros) => Math.max(0, zeros - Math.floor((dilation - 1) * (size - 1) / 2)));
  const pads = inner.map((zeros, i) => zeros + outer[i]) as unknown as Pads;
  const window = windowFor(pads, size, stride, [height, width]);
  const one = window.kernel !== size;
  const biasTensor = isZeroCalculation(bias) ? undefined : bias;
  const output = emit({
    kind: "convolution",
    input: input.node,
    filters,
    kernel: size,
    stride,
    padding: one ? Math.ceil((pads[0] + pads[2]) / 2) : window.padding,
    bias: biasTensor !== undefined,
  }, {
    weight,
    ...(biasTensor ? { bias: floats(constantOf(biasTensor)) } : {}),
  });
  if (one) {
    oneSided(output.node, window);
    note(
      "padding-one-sided",
      `${describe(node)} has ${pads[0]} rows of zeros above and ${pads[2]} below`,
    );
  }
  return output;
}

/** A grouped kernel as one over all channels, with zeros between those of other groups. */
function ungrouped({ shape: [filters, channels, ...window], data }: Tensor, groups: number) {
  const pixels = sizeOf(window);
  const all = new Float32Array(data.length * groups);
  for (let filter = 0; filter < filters; filter++) {
    const group = Math.floor(filter * groups / filters);
    const kernel = data.subarray(filter * channels * pixels, (filter + 1) * channels * pixels);
    all.set(kernel, (filter * groups + group) * channels * pixels);
  }
  return all;
}

/** PyTorch's newer exporter calculates zeros where there is no bias; stored zeros are a bias. */
function isZeroCalculation(bias: Value): boolean {
  return isConstant(bias) && !(bias.data instanceof Float32Array) &&
    bias.data.every((value) => value === 0);
}

/** A window with one padding on all sides that gives what uneven pads give. */
function windowFor(
  pads: Pads,
  kernel: number,
  stride: number,
  extents: readonly [number, number],
): OneSided {
  const [top, left, bottom, right] = pads;
  const outputs = (extent: number, zeros: number) =>
    Math.floor((extent + zeros - kernel) / stride) + 1;
  // The last window may leave zeros over, or need none of them.
  const even = top === left &&
    outputs(extents[0], top + bottom) === outputs(extents[0], 2 * top) &&
    outputs(extents[1], left + right) === outputs(extents[1], 2 * left);
  if (even) return { kernel, padding: top, offset: 0 };
  // Zeros in the kernel make up for zeros around the image that must not be there.
  const padding = Math.max(top, bottom);
  const larger = kernel + 2 * padding - top - bottom;
  if (top !== left || bottom !== right || larger > 2 * kernel) {
    throw new Unmappable(`has the pads ${pads.join(", ")}`);
  }
  return { kernel: larger, padding, offset: padding - top };
}

function batchNorm(operation: Operation): Activation {
  const { node, inputs: [x, ...arrays], settle, emit, note, epsilon } = operation;
  const { node: input, axes, shape } = settle(activation(x));
  if (axes[1] !== "C") throw new Unmappable(`normalises the axis ${axes[1]}`);
  const channels = shape[shape.length - 1];
  const [weight, bias, mean, variance] = arrays.map((array) => floats(constantOf(array)));
  for (const array of [weight, bias, mean, variance]) {
    if (array?.shape.join() !== String(channels)) {
      throw new Unmappable(`needs four arrays of ${channels} numbers`);
    }
  }
  epsilon(number(node, "epsilon", DEFAULT_EPSILON));
  // Before opset 14, only training has more outputs than one.
  const outputs = node.outputs.filter((name) => name !== "").length;
  if (integer(node, "training_mode", 0) === 1 || outputs > 1) {
    note("batch-norm-in-training-mode", describe(node));
  }
  return emit({ kind: "batch-norm", input }, {
    weight,
    bias,
    running_mean: mean,
    running_var: variance,
  }).with({ axes });
}

function add({ inputs, settle, emit, addBias, depth, standsFor }: Operation): Activation {
  if (inputs.length !== 2) throw new Unmappable(`adds ${inputs.length} values, not 2`);
  const at = inputs.findIndex(isConstant);
  if (at >= 0) {
    const x = activation(inputs[1 - at]);
    const constant = constantOf(inputs[at]);
    if (standsFor(x.node) === "norm") return x;
    const changed = affine(x, ({ scale, shift }, c) => [scale, shift + c], constant);
    const { shift } = changed.change as AffineChange;
    return !x.change && x.node !== INPUT && addBias(1 - at, shift) ? x : changed;
  }
  const [a, b] = inputs.map((value) => settle(activation(value)));
  if (a.extents().join() !== b.extents().join() || a.axes.join() !== b.axes.join()) {
    throw new Unmappable(`adds [${a.extents().slice(1)}] and [${b.extents().slice(1)}]`);
  }
  // The residual branch is the way with more layers.
  const [branch, shortcut] = depth(a.node) >= depth(b.node) ? [a, b] : [b, a];
  return emit({ kind: "add", inputs: [branch.node, shortcut.node] }, {}).with({ axes: a.axes });
}

/** x with each number of the constant put to use; `change` gives the new scale and shift. */
function affine(
  x: Activation,
  change: (x: { scale: number; shift: number }, constant: number) => readonly [number, number],
  constant: Constant,
): Activation {
  if (x.change && x.change.kind !== "affine") {
    throw new Unmappable("changes the values of a padded or sliced image");
  }
  const before = x.change ?? { scale: Float32Array.of(1), shift: Float32Array.of(0) };
  const values = inGraphOrder(x, constant);
  const length = Math.max(values.length, before.scale.length);
  const channels = x.shape[x.shape.length - 1];
  const at = (array: ArrayLike<number>, i: number) =>
    array[array.length === 1 ? 0 : array.length === channels ? i % channels : i];
  const scale = new Float32Array(length);
  const shift = new Float32Array(length);
  for (let i = 0; i < length; i++) {
    [scale[i], shift[i]] = change(
      { scale: at(before.scale, i), shift: at(before.shift, i) },
      at(values, i),
    );
  }
  return x.with({ change: { kind: "affine", scale, shift } });
}

/** A constant that is broadcast to an activation: one number, [C], or [H, W, C]. */
function inGraphOrder(x: Activation, { shape, data }: Constant): ArrayLike<number> {
  if (data.length === 1) return data;
  const rank = x.axes.length;
  const extents = x.extents();
  const full = [...new Array(rank - Math.min(shape.length, rank)).fill(1), ...shape];
  const fits = full.length === rank &&
    full.every((extent, i) => extent === 1 || (extent === extents[i] && x.axes[i] !== "N"));
  if (!fits) {
    throw new Unmappable(
      `has a constant of [${shape.join(", ")}] for values of [${extents.slice(1).join(", ")}]`,
    );
  }
  const varying = x.axes.filter((_, i) => full[i] > 1);
  if (varying.join() === "C") return data;
  if (x.shape.length !== 3 || varying.length !== 3) {
    throw new Unmappable(`changes values by their place along ${varying.join(" and ")}`);
  }
  const permutation = [x.axes.indexOf("N"), ...IMAGE_AXES.map((axis) => x.axes.indexOf(axis))];
  return permuteAxes(floats({ shape: full, data }), permutation).data;
}

function maxPool({ node, inputs: [x], settle, emit, kindOf }: Operation): Activation {
  const given = activation(x);
  const kernel = square(node, "kernel_shape", 0);
  // Keras's nets put zeros around; of values that are never negative they can't be the largest
  // where a window has any other.
  const around = given.change?.kind === "pad" && kernel > 1 && kindOf(given.node) === "relu"
    ? given.change.pads
    : [0, 0, 0, 0] as const;
  const input = around.some((zeros) => zeros > 0) ? given.with({}) : settle(given);
  expectAxes(input, CHANNELS_FIRST);
  const stride = square(node, "strides", 1);
  if (square(node, "dilations", 1) !== 1) throw new Unmappable("is dilated");
  if (kernel === 1) return pick(input, { rows: stride, columns: stride });
  const [height, width] = input.shape;
  const [top, left, bottom, right] = around;
  const inner = padsOf(node, kernel, stride, [height + top + bottom, width + left + right]);
  const pads = inner.map((zeros, i) => zeros + around[i]) as unknown as Pads;
  // With room left over, rounding up would give one window more.
  const roundsUp = integer(node, "ceil_mode", 0) === 1 &&
    [height + pads[0] + pads[2], width + pads[1] + pads[3]]
      .some((extent) => (extent - kernel) % stride !== 0);
  const window = windowFor(pads, kernel, stride, [height, width]);
  if (window.kernel !== kernel || roundsUp) {
    throw new Unmappable(`has uneven pads ${pads.join(", ")}, which no max pooling here has`);
  }
  return emit(
    { kind: "max-pool", input: input.node, kernel, stride, padding: window.padding },
    {},
  );
}

function averagePool({ node, inputs: [x], settle, emit }: Operation): Activation {
  const input = settle(activation(x));
  expectAxes(input, CHANNELS_FIRST);
  const [height, width] = input.shape;
  const kernel = integers(node, "kernel_shape") ?? [];
  const [size] = kernel;
  const padded = padsOf(node, size, square(node, "strides", 1), [height, width])
    .some((zeros) => zeros !== 0);
  if (kernel[0] === height && kernel[1] === width && !padded) return globalPool(input, emit);
  if (kernel.every((extent) => extent === 1) && !padded) {
    const stride = square(node, "strides", 1);
    return pick(input, { rows: stride, columns: stride });
  }
  const [window] = kernel;
  const stride = square(node, "strides", 1);
  if (kernel.length === 2 && kernel[1] === window && stride > 1 && !padded) {
    const evidence = `${
      describe(node)
    } averages windows of ${window}x${window} of a ${height}x${width} map`;
    return pick(input, { rows: stride, columns: stride, averaged: { window, evidence } });
  }
  throw new Unmappable(
    `averages windows of ${
      kernel.join("x")
    } of a ${height}x${width} map, where the paper's nets only average the whole map at the end`,
  );
}

/** Mean over H and W; the axes stay, with one pixel. */
function globalPool(x: Activation, emit: Operation["emit"]): Activation {
  if (x.shape.length === 1) return x;
  return emit({ kind: "global-average-pool", input: x.node }, {}).with({ axes: x.axes });
}

function reduceMean({ node, inputs: [x, axesInput], settle, emit }: Operation): Activation {
  const input = settle(activation(x));
  const listed = axesInput ? [...constantOf(axesInput).data] : integers(node, "axes") ?? [];
  const axes = listed.map((axis) => input.axes[axis < 0 ? axis + input.axes.length : axis]);
  if (axes.toSorted().join() !== "H,W") {
    throw new Unmappable(`takes the mean over ${axes.join(", ") || "all axes"}`);
  }
  const pooled = globalPool(input, emit);
  return integer(node, "keepdims", 1) === 1
    ? pooled
    : pooled.with({ axes: pooled.axes.filter((axis) => !axes.includes(axis)) });
}

/** An image of one pixel is a vector; for a larger one its mean stands. */
function asVector(x: Activation, { node, emit, departs }: Operation): Activation {
  if (x.shape.length === 1) return x;
  const [height, width] = x.shape;
  if (height !== 1 || width !== 1) {
    departs(
      "flattened-head",
      `${describe(node)} flattens maps of ${height}x${width} pixels without averaging them`,
    );
  }
  return globalPool(x, emit);
}

function reshape(operation: Operation): Value {
  const { inputs: [x, target], settle } = operation;
  // Behind a group norm the channels come apart again.
  if (x instanceof Grouped) return x.x;
  const input = settle(activation(x));
  const extents = [...constantOf(target).data];
  if (extents.length === 3 && input.shape.length === 3 && extents[1] > 0) {
    return new Grouped(input, false);
  }
  const flat = sizeOf(input.shape);
  const isVector = extents.length === 2 && [-1, 0, flat].includes(extents[1]);
  if (!isVector) throw new Unmappable(`has the target shape [${extents.join(", ")}]`);
  return asVector(input, operation).with({ axes: VECTOR });
}

function squeeze(operation: Operation): Activation {
  const { node, inputs: [x, axesInput], settle } = operation;
  const input = asVector(settle(activation(x)), operation);
  const listed = axesInput ? [...constantOf(axesInput).data] : integers(node, "axes");
  const removed = listed?.map((axis) => axis < 0 ? axis + input.axes.length : axis);
  const axes = input.axes.filter((axis, i) =>
    removed ? !removed.includes(i) : axis === "N" || axis === "C"
  );
  if (!axes.includes("N") || !axes.includes("C")) throw new Unmappable("removes a needed axis");
  return input.with({ axes });
}

function gemm({ node, inputs: [x, b, c], settle, emit, withoutBias }: Operation): Activation {
  if (number(node, "alpha", 1) !== 1 || number(node, "beta", 1) !== 1) {
    throw new Unmappable("has factors alpha and beta other than 1");
  }
  if (integer(node, "transA", 0) === 1) throw new Unmappable("transposes its input");
  const matrix = constantOf(b);
  const weight = integer(node, "transB", 0) === 1 ? floats(matrix) : transposed(matrix);
  const dense = denseNode(settle(activation(x)), weight, c, emit);
  if (!c) withoutBias(dense.node);
  return dense;
}

function denseNode(
  x: Activation,
  weight: Tensor,
  bias: Value,
  emit: Operation["emit"],
): Activation {
  expectAxes(x, VECTOR);
  const [units, channels] = weight.shape;
  const pixels = channels / x.shape[0];
  // Maps that were flattened without an average: their mean stands, and what is summed over them.
  if (weight.shape.length === 2 && pixels > 1 && Number.isInteger(pixels)) {
    const shape = [units, x.shape[0]];
    const data = new Float32Array(sizeOf(shape));
    weight.data.forEach((value, i) => data[Math.floor(i / pixels)] += value);
    return denseNode(x, { shape, data }, bias, emit);
  }
  if (weight.shape.length !== 2 || channels !== x.shape[0]) {
    throw new Unmappable(
      `has a matrix of [${weight.shape.join(", ")}] for ${x.shape[0]} channels`,
    );
  }
  const array = bias ? floats(constantOf(bias)) : vector(new Float32Array(units));
  if (array.data.length !== units) {
    throw new Unmappable(`has ${array.data.length} biases for ${units} outputs`);
  }
  return emit({ kind: "dense", input: x.node, units }, { weight, bias: vector(array.data) });
}

function softmax({ node, inputs: [x], isLast, note }: Operation): Value {
  if (!isLast) throw new Unmappable("is not the last operation");
  note("softmax-inside", describe(node));
  return x;
}

function clip(
  { node, inputs: [x, low, high], settle, emit, note, departs }: Operation,
): Activation {
  const input = activation(x);
  const bound = (value: Value, attribute: string, open: number) =>
    value ? constantOf(value).data[0] : number(node, attribute, open);
  const [least, most] = [bound(low, "min", -Infinity), bound(high, "max", Infinity)];
  if (input.node === INPUT) {
    note("input-clipped", `${describe(node)} limits the input to ${least} to ${most}`);
    return input;
  }
  // The largest float stands for "no limit" in older files.
  if (least !== 0) throw new Unmappable(`limits values to ${least} to ${most}`);
  if (most < 3e38) departs("other-activation", `${describe(node)} limits values to 0 to ${most}`);
  const { node: name, axes } = settle(input);
  return emit({ kind: "relu", input: name }, {}).with({ axes });
}

function pad({ node, inputs: [x, padsInput, fill, axesInput], settle }: Operation): Activation {
  const given = activation(x);
  const mode = node.attributes.get("mode") ?? "constant";
  const value = fill ? constantOf(fill).data[0] : number(node, "value", 0);
  if (mode !== "constant" || value !== 0) throw new Unmappable(`pads by ${mode} ${value}`);
  const pads = padsInput ? [...constantOf(padsInput).data] : integers(node, "pads") ?? [];
  const axes = axesInput ? [...constantOf(axesInput).data] : given.axes.map((_, i) => i);
  if (
    pads.length !== 2 * axes.length || pads.some((zeros) => !(zeros >= 0 && zeros <= MOST_PADS))
  ) {
    throw new Unmappable(`has the pads ${pads.join(", ")}`);
  }
  const around = (axis: Axis): readonly [number, number] => {
    const i = axes.findIndex((at) => given.axes[at < 0 ? at + given.axes.length : at] === axis);
    return i < 0 ? [0, 0] : [pads[i], pads[i + axes.length]];
  };
  if (around("N").some((zeros) => zeros > 0)) throw new Unmappable("pads the batch");
  const [before, after] = around("C");
  const [[top, bottom], [left, right]] = [around("H"), around("W")];
  const spatial = top + bottom + left + right > 0;
  if (!spatial) return before + after > 0 ? pick(given, { before, after }, settle) : given;
  if (before + after > 0) throw new Unmappable("pads the channels and the image at once");
  const input = settle(given);
  return input.with({ change: { kind: "pad", pads: [top, left, bottom, right] } });
}

/** Adds to what option A's shortcut does; the order of its two halves does not matter. */
function pick(
  x: Activation,
  more: Partial<Omit<PickChange, "kind">>,
  settle?: Operation["settle"],
): Activation {
  const input = x.change && x.change.kind !== "pick" && settle ? settle(x) : x;
  if (input.shape.length !== 3) throw new Unmappable("slices or pads a vector");
  const nothing = { rows: 1, columns: 1, before: 0, after: 0 };
  const known = input.change?.kind === "pick" ? input.change : nothing;
  const rows = known.rows * (more.rows ?? 1);
  const columns = known.columns * (more.columns ?? 1);
  const before = known.before + (more.before ?? 0);
  const after = known.after + (more.after ?? 0);
  const averaged = more.averaged ??
    (input.change?.kind === "pick" ? input.change.averaged : undefined);
  if (rows * columns === 1 && before + after === 0) return input;
  if (before !== 0 && before !== Math.floor((before + after) / 2)) {
    throw new Unmappable(
      `puts ${before} zero channels before the others and ${after} behind, which is neither appended nor split`,
    );
  }
  return input.with({ change: { kind: "pick", rows, columns, before, after, averaged } });
}

function slice({ node, inputs: [x, start, end, axesInput, steps], settle }: Operation): Activation {
  const given = activation(x);
  const list = (value: Value, attribute: string) =>
    value ? [...constantOf(value).data] : integers(node, attribute);
  const starts = list(start, "starts") ?? [];
  const ends = list(end, "ends") ?? [];
  const axes = list(axesInput, "axes") ?? starts.map((_, i) => i);
  const by = list(steps, "steps") ?? starts.map(() => 1);
  const extents = given.extents();
  const strides: Partial<Record<Axis, number>> = {};
  axes.forEach((at, i) => {
    const axis = at < 0 ? at + extents.length : at;
    // The batch's extent is not known; an end there can only be open.
    const whole = starts[i] === 0 &&
      (ends[i] >= FAR || (extents[axis] > 0 && ends[i] >= extents[axis]));
    if (!whole || !(by[i] >= 1)) {
      throw new Unmappable(
        `takes ${starts[i]} to ${ends[i]} by ${by[i]} of ${
          extents[axis]
        }, not every s-th from the first on`,
      );
    }
    if (by[i] > 1) strides[given.axes[axis]] = by[i];
  });
  if (strides.N || strides.C) throw new Unmappable("takes some of the channels or images");
  return pick(given, { rows: strides.H, columns: strides.W }, settle);
}

function concat({ node, inputs, settle, departs }: Operation): Activation {
  const at = inputs.findIndex((value) => value instanceof Activation);
  const x = activation(inputs[at]);
  const position = integer(node, "axis", 0);
  const axis = position < 0 ? position + x.axes.length : position;
  if (x.axes[axis] !== "C") throw new Unmappable(`joins along the axis ${x.axes[axis]}`);
  const others = inputs.filter((value, i) => i !== at && value instanceof Activation);
  const same = (value: Value) =>
    value instanceof Activation && value.node === x.node && sameChange(value.change, x.change);
  if (others.length > 0 && others.length === inputs.length - 1 && others.every(same)) {
    departs("copied-channels", `${describe(node)} joins ${quote(node.inputs[at])} to itself`);
    return pick(x, { before: 0, after: others.length * x.extents()[axis] }, settle);
  }
  if (others.length > 0) throw new Unmappable("joins the channels of two branches");
  const zeroChannels = inputs.map((value) => {
    if (value instanceof Zeros) return value.extents[axis];
    if (isConstant(value) && value.data.every((number) => number === 0)) return value.shape[axis];
    return value === x ? 0 : NaN;
  });
  const sum = (channels: readonly number[]) => channels.reduce((a, b) => a + b, 0);
  const [before, after] = [sum(zeroChannels.slice(0, at)), sum(zeroChannels.slice(at + 1))];
  if (!(before + after >= 0)) throw new Unmappable("joins constants that are not zeros");
  return pick(x, { before, after }, settle);
}

/** Without looking into arrays, of which each input might have large ones. */
function sameChange(a: Activation["change"], b: Activation["change"]): boolean {
  return a === b || (a?.kind === "pick" && b?.kind === "pick" && a.rows === b.rows &&
    a.columns === b.columns && a.before === b.before && a.after === b.after);
}

function activation(value: Value): Activation {
  if (value instanceof Activation) return value;
  throw new Unmappable("takes a constant where it needs what depends on the input");
}

function constantOf(value: Value): Constant {
  if (isConstant(value)) return value;
  throw new Unmappable("takes what depends on the input, or nothing, where it needs a constant");
}

function expectAxes(x: Activation, axes: readonly Axis[]): void {
  if (x.axes.join() !== axes.join()) {
    throw new Unmappable(`takes [${x.axes.join(", ")}] where it needs [${axes.join(", ")}]`);
  }
}

function transposed(matrix: Constant): Tensor {
  if (matrix.shape.length !== 2) throw new Unmappable("multiplies by what is no matrix");
  return permuteAxes(floats(matrix), [1, 0]);
}

/** The zeros around an image by the attributes `pads` and `auto_pad`. */
function padsOf(
  node: OnnxNode,
  kernel: number,
  stride: number,
  extents: readonly [number, number],
): Pads {
  const automatic = node.attributes.get("auto_pad") ?? "NOTSET";
  if (automatic === "SAME_UPPER" || automatic === "SAME_LOWER") {
    const [rows, columns] = extents.map((extent) =>
      Math.max(0, (Math.ceil(extent / stride) - 1) * stride + kernel - extent)
    );
    const [less, more] = [Math.floor, Math.ceil];
    const [first, second] = automatic === "SAME_UPPER" ? [less, more] : [more, less];
    return [first(rows / 2), first(columns / 2), second(rows / 2), second(columns / 2)];
  }
  const pads = integers(node, "pads") ?? [0, 0, 0, 0];
  if (pads.length !== 4 || pads.some((zeros) => !(zeros >= 0))) {
    throw new Unmappable(`has the pads ${pads.join(", ")}`);
  }
  return pads as unknown as Pads;
}

/** An attribute with two equal numbers, down and across. */
function square(node: OnnxNode, name: string, otherwise: number): number {
  const values = integers(node, name) ?? [otherwise];
  if (values.some((value) => value !== values[0]) || !(values[0] >= 1)) {
    throw new Unmappable(`has the ${name} ${values.join(", ")}`);
  }
  return values[0];
}

function number(node: OnnxNode, name: string, otherwise: number): number {
  const value: AttributeValue | undefined = node.attributes.get(name);
  return typeof value === "number" ? value : otherwise;
}

const integer = number;

function optionalInteger(node: OnnxNode, name: string): number | undefined {
  const value = node.attributes.get(name);
  return typeof value === "number" ? value : undefined;
}

function integers(node: OnnxNode, name: string): readonly number[] | undefined {
  const value = node.attributes.get(name);
  return Array.isArray(value) ? value : undefined;
}
