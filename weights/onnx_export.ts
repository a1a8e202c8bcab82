/**
 * Networks as ONNX files, which other programs run: ONNX Runtime, PyTorch's and
 * TensorFlow's importers, browsers.
 *
 * Source of the field numbers: onnx/onnx.proto of ONNX 1.23 (Apache-2.0); of the
 * operators: opset 13.
 */
import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import {
  fitWeights,
  type Graph,
  INPUT,
  inputsOf,
  type Node,
  shapeOf,
  type Tensor,
  type Weights,
} from "../resnet/mod.ts";

/** The version of ONNX's operators that is written; Slice and Pad have their numbers as inputs. */
const OPSET = 13;
/** Of the file's form; the one that belongs to the opset. */
const IR_VERSION = 7;
const FLOAT = 1, INT64 = 7;
/** "To the end", as exporters write it. */
const END = 2 ** 31 - 1;

/** What decides a file beside graph and weights. */
export interface OnnxExportOptions {
  /** Batch norm's constant; 1e-5 when undefined, PyTorch's. */
  readonly epsilon?: number;
}

type Attribute = readonly [
  name: string,
  value: number | readonly number[],
  type: "f" | "i" | "ints",
];

/**
 * A network as an ONNX file: input `input` [N, C, H, W] of 32-bit floats, output
 * `logits` [N, classes], batch norms as they are used in tests, not folded.
 *
 * @param graph The network.
 * @param weights Its weights, by PyTorch's names.
 * @param options What else decides the file.
 * @returns The file.
 * @throws {WeightFileError} If the weights do not fit the graph.
 *
 * @example
 * ```ts
 * import { architecture, initialise } from "../resnet/mod.ts";
 * import { decodeOnnx } from "./onnx.ts";
 * import { encodeOnnx } from "./onnx_export.ts";
 * import { assertEquals } from "@std/assert";
 *
 * const graph = architecture("resnet8");
 * const file = encodeOnnx(graph, initialise(graph, 0, "in"));
 * const { graph: again } = decodeOnnx(file);
 * assertEquals(again.nodes.map(({ kind }) => kind), graph.nodes.map(({ kind }) => kind));
 * ```
 */
export function encodeOnnx(
  graph: Graph,
  weights: Weights,
  { epsilon = 1e-5 }: OnnxExportOptions = {},
): Uint8Array {
  const fitted = fitWeights(graph, weights, graph.name);
  const constants = new Map<string, readonly number[]>();
  const nodes = graph.nodes.flatMap((node) => operationsOf(graph, node, epsilon, constants));
  const [height, width, channels] = graph.inputShape;
  const classes = shapeOf(graph, graph.output);
  const model = new BinaryWriter();
  field(model, 1).int64(IR_VERSION);
  model.tag(2, WireType.LengthDelimited).string("resnet-cifar");
  message(model, 7, (writer) => {
    for (const write of nodes) message(writer, 1, write);
    writer.tag(2, WireType.LengthDelimited).string(graph.name);
    for (const [name, tensor] of fitted) message(writer, 5, (to) => floats(to, name, tensor));
    for (const [name, values] of constants) message(writer, 5, (to) => integers(to, name, values));
    message(writer, 11, (to) => value(to, INPUT, [channels, height, width]));
    message(writer, 12, (to) => value(to, "logits", classes));
  });
  message(model, 8, (writer) => {
    writer.tag(1, WireType.LengthDelimited).string("");
    field(writer, 2).int64(OPSET);
  });
  return model.finish();
}

/** The operations that compute a node, each as what writes it. */
function operationsOf(
  graph: Graph,
  node: Node,
  epsilon: number,
  constants: Map<string, readonly number[]>,
): ((writer: BinaryWriter) => void)[] {
  const output = node.name === graph.output ? "logits" : node.name;
  const inputs = inputsOf(node);
  const owned = node.parameters.map(({ name }) => name);
  const constant = (suffix: string, values: readonly number[]): string => {
    constants.set(`${node.name}.${suffix}`, values);
    return `${node.name}.${suffix}`;
  };
  const one = (operator: string, more: readonly string[] = [], attributes: Attribute[] = []) => [
    operation(operator, node.name, [...inputs, ...more], output, attributes),
  ];
  const square = (size: number) => [size, size];
  switch (node.kind) {
    case "convolution":
      return one("Conv", owned, [
        ["kernel_shape", square(node.kernel), "ints"],
        ["strides", square(node.stride), "ints"],
        ["pads", [...square(node.padding), ...square(node.padding)], "ints"],
      ]);
    case "batch-norm":
      return one("BatchNormalization", owned, [["epsilon", epsilon, "f"]]);
    case "relu":
      return one("Relu");
    case "add":
      return one("Add");
    case "shortcut-a": {
      const channels = shapeOf(graph, node.input)[2];
      const added = node.filters - channels;
      const before = node.zeroChannels === "split" ? Math.floor(added / 2) : 0;
      const picked = `${node.name}.picked`;
      const pick = operation("Slice", picked, [
        node.input,
        constant("starts", square(0)),
        constant("ends", square(END)),
        constant("axes", [2, 3]),
        constant("steps", square(node.stride)),
      ], picked);
      const pads = constant("pads", [0, before, 0, 0, 0, added - before, 0, 0]);
      return [pick, operation("Pad", node.name, [picked, pads], output)];
    }
    case "max-pool":
      return one("MaxPool", [], [
        ["kernel_shape", square(node.kernel), "ints"],
        ["strides", square(node.stride), "ints"],
        ["pads", [...square(node.padding), ...square(node.padding)], "ints"],
      ]);
    case "global-average-pool": {
      const pooled = `${node.name}.pooled`;
      return [
        operation("GlobalAveragePool", pooled, inputs, pooled),
        operation("Flatten", node.name, [pooled], output, [["axis", 1, "i"]]),
      ];
    }
    case "dense":
      return one("Gemm", owned, [["transB", 1, "i"]]);
    default:
      return node satisfies never;
  }
}

function operation(
  operator: string,
  name: string,
  inputs: readonly string[],
  output: string,
  attributes: readonly Attribute[] = [],
): (writer: BinaryWriter) => void {
  return (writer) => {
    for (const input of inputs) writer.tag(1, WireType.LengthDelimited).string(input);
    writer.tag(2, WireType.LengthDelimited).string(output);
    writer.tag(3, WireType.LengthDelimited).string(name);
    writer.tag(4, WireType.LengthDelimited).string(operator);
    for (const [attribute, content, type] of attributes) {
      message(writer, 5, (to) => {
        to.tag(1, WireType.LengthDelimited).string(attribute);
        if (type === "f") to.tag(2, WireType.Bit32).float(content as number);
        else if (type === "i") field(to, 3).int64(content as number);
        else for (const number of content as readonly number[]) field(to, 8).int64(number);
        field(to, 20).int32({ f: 1, i: 2, ints: 7 }[type]);
      });
    }
  };
}

function floats(writer: BinaryWriter, name: string, { shape, data }: Tensor): void {
  for (const extent of shape) field(writer, 1).int64(extent);
  field(writer, 2).int32(FLOAT);
  writer.tag(8, WireType.LengthDelimited).string(name);
  const bytes = new DataView(new ArrayBuffer(4 * data.length));
  data.forEach((number, i) => bytes.setFloat32(4 * i, number, true));
  writer.tag(9, WireType.LengthDelimited).bytes(new Uint8Array(bytes.buffer));
}

function integers(writer: BinaryWriter, name: string, values: readonly number[]): void {
  field(writer, 1).int64(values.length);
  field(writer, 2).int32(INT64);
  writer.tag(8, WireType.LengthDelimited).string(name);
  const bytes = new DataView(new ArrayBuffer(8 * values.length));
  values.forEach((number, i) => bytes.setBigInt64(8 * i, BigInt(number), true));
  writer.tag(9, WireType.LengthDelimited).bytes(new Uint8Array(bytes.buffer));
}

/** A value's name and type: 32-bit floats, any number of images. */
function value(writer: BinaryWriter, name: string, shape: readonly number[]): void {
  writer.tag(1, WireType.LengthDelimited).string(name);
  message(writer, 2, (type) =>
    message(type, 1, (tensor) => {
      field(tensor, 1).int32(FLOAT);
      message(tensor, 2, (extents) => {
        message(extents, 1, (extent) => extent.tag(2, WireType.LengthDelimited).string("N"));
        for (const size of shape) message(extents, 1, (extent) => field(extent, 1).int64(size));
      });
    }));
}

const field = (writer: BinaryWriter, number: number): BinaryWriter =>
  writer.tag(number, WireType.Varint);

function message(
  writer: BinaryWriter,
  number: number,
  write: (writer: BinaryWriter) => void,
): void {
  writer.tag(number, WireType.LengthDelimited).fork();
  write(writer);
  writer.join();
}
