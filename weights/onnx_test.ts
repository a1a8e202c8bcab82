import { assert, assertAlmostEquals, assertEquals, assertThrows } from "@std/assert";
import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import { MODEL_NAMES, modelFile, type ModelName } from "../testing/files/mod.ts";
import { countParameters, type Node, WeightFileError } from "../resnet/mod.ts";
import { decodeOnnx, isOnnx, OnnxOperatorError } from "./onnx.ts";

/** One message by its field numbers, as onnx.proto has them. */
function message(fields: readonly (readonly [number, unknown])[]): Uint8Array<ArrayBuffer> {
  const writer = new BinaryWriter();
  for (const [number, value] of fields) {
    if (typeof value === "number") writer.tag(number, WireType.Varint).int64(value);
    else if (typeof value === "string") writer.tag(number, WireType.LengthDelimited).string(value);
    else writer.tag(number, WireType.LengthDelimited).bytes(value as Uint8Array);
  }
  return writer.finish();
}

function tensor(name: string, shape: readonly number[], values: readonly number[]) {
  const raw = new Uint8Array(Float32Array.from(values).buffer);
  return message([...shape.map((extent) => [1, extent] as const), [2, 1], [8, name], [9, raw]]);
}

function whole(name: string, values: readonly number[]) {
  const raw = new Uint8Array(BigInt64Array.from(values.map(BigInt)).buffer);
  return message([[1, values.length], [2, 7], [8, name], [9, raw]]);
}

function node(
  operator: string,
  inputs: readonly string[],
  output: string,
  attributes: Readonly<Record<string, number | readonly number[] | string>> = {},
) {
  return message([
    ...inputs.map((input) => [1, input] as const),
    [2, output],
    [3, `the ${operator}`],
    [4, operator],
    ...Object.entries(attributes).map(([name, value]) =>
      [
        5,
        message([
          [1, name],
          ...(typeof value === "number"
            ? [[3, value], [20, 2]] as const
            : typeof value === "string"
            ? [[4, value], [20, 3]] as const
            : [...value.map((item) => [8, item] as const), [20, 7]] as const),
        ]),
      ] as const
    ),
  ]);
}

function value(name: string, shape: readonly number[]) {
  const extents = message(shape.map((extent) => [1, message([[1, extent]])]));
  return message([[1, name], [2, message([[1, message([[1, 1], [2, extents]])]])]]);
}

/** An ONNX file with the input x and the output y. */
function file(
  nodes: readonly Uint8Array[],
  tensors: readonly Uint8Array[] = [],
  shape: readonly number[] = [1, 1, 4, 4],
): Uint8Array {
  const graph = message([
    ...nodes.map((node) => [1, node] as const),
    ...tensors.map((tensor) => [5, tensor] as const),
    [11, value("x", shape)],
    [12, value("y", [])],
  ]);
  return message([[1, 8], [2, "a test"], [7, graph], [8, message([[2, 13]])]]);
}

const kinds = (nodes: readonly Node[]) => nodes.map(({ kind }) => kind).join(" ");
const decode = async (name: ModelName) => decodeOnnx(await modelFile(name));
const CONVOLUTION = tensor("k", [2, 1, 3, 3], new Array(18).fill(1));

Deno.test("all exports of PyTorch give one network under our names", async () => {
  const { graph, weights, notes } = await decode("optionASplit");
  const dynamo = await decode("optionASplitDynamo");
  assertEquals(dynamo.graph, graph);
  assertEquals(dynamo.weights, weights);
  assertEquals(notes, []);
  // 3x3 convolutions, batch norms and the dense layer, by hand.
  const layers = 9 * (3 * 4 + 2 * 4 * 4 + 4 * 8 + 8 * 8 + 8 * 16 + 16 * 16);
  assertEquals(countParameters(graph), layers + 2 * (3 * 4 + 2 * 8 + 2 * 16) + 16 * 10 + 10);
  assertEquals(graph.nodes.find(({ name }) => name === "layer2.0.shortcut"), {
    kind: "shortcut-a",
    name: "layer2.0.shortcut",
    input: "layer1.0.relu2",
    filters: 8,
    stride: 2,
    zeroChannels: "split",
    shape: [16, 16, 8],
    parameters: [],
    multiplyAdds: 0,
  });
});

Deno.test("folded batch norm is noted, and a batch norm that is there is not", async () => {
  for (const name of ["optionASplitFolded", "optionASplitDynamoFolded"] as const) {
    const { graph, notes, epsilon } = await decode(name);
    assertEquals(graph.nodes.some(({ kind }) => kind === "batch-norm"), false);
    assertEquals(notes.map(({ id }) => id), ["batch-norm-folded"]);
    assert(notes[0].evidence.startsWith("7 of 7 convolutions"), notes[0].evidence);
    assertEquals(epsilon, undefined);
  }
  const biased = await decode("bias");
  assertEquals(biased.notes, []);
  assertAlmostEquals(biased.epsilon!, 1e-5, 1e-12);
});

Deno.test("what is wrong with each model stands in its graph", async () => {
  const nodes = async (name: ModelName) => (await decode(name)).graph.nodes;
  const find = async (name: ModelName, node: string) =>
    (await nodes(name)).find((other) => other.name === node);
  assertEquals((await nodes("finalRelu")).at(-1)?.kind, "relu");
  assertEquals((await nodes("optionASplit")).at(-1)?.kind, "dense");
  assertEquals((await nodes("plain")).some(({ kind }) => kind === "add"), false);
  const appended = await find("optionAAppend", "layer2.0.shortcut");
  assertEquals(appended?.kind === "shortcut-a" && appended.zeroChannels, "append");
  assertEquals((await find("optionB", "layer2.0.shortcut.1"))?.kind, "batch-norm");
  assertEquals(
    (await find("projectionWithoutBatchNorm", "layer2.0.shortcut.0"))?.kind,
    "convolution",
  );
  assertEquals(await find("projectionWithoutBatchNorm", "layer2.0.shortcut.1"), undefined);
  assertEquals((await find("imagenetStem", "maxpool"))?.shape, [8, 8, 4]);
  assertEquals((await nodes("pooledStages")).filter(({ kind }) => kind === "max-pool").length, 2);
  assertEquals(
    kinds((await nodes("reluBeforeBatchNorm")).slice(0, 3)),
    "convolution relu batch-norm",
  );
  assertEquals(
    kinds((await nodes("preActivation")).slice(0, 4)),
    "convolution batch-norm relu convolution",
  );
  assertEquals(
    (await nodes("bottleneck")).filter((node) => "kernel" in node && node.kernel === 1).length,
    9,
  );
});

Deno.test("an average over windows is named, and every second pixel stands for it", async () => {
  const { graph, departures, executable } = await decode("pooledShortcut");
  assertEquals(departures.map(({ id }) => id), ["average-pooled-shortcut"]);
  assert(departures[0].evidence.includes("averages windows of 2x2"), departures[0].evidence);
  assertEquals(executable, undefined);
  assertEquals(graph.nodes.filter(({ kind }) => kind === "shortcut-a").length, 2);
});

Deno.test("tf2onnx's channels-last input, preprocessing and uneven padding", async () => {
  const a = await decode("kerasOptionA");
  assertEquals(a.producer, "tf2onnx");
  assertEquals(a.notes.map(({ id }) => id).sort(), [
    "batch-norm-folded",
    "padding-one-sided",
    "preprocessing-inside",
  ]);
  // Rescaling([0.5, 1, 2], [0.25, 0, -0.5]) in bench/peers/foreign_models_keras.py.
  assertEquals([...a.inputTransform!.scale.slice(0, 4)], [0.5, 1, 2, 0.5]);
  assertEquals([...a.inputTransform!.shift.slice(-3)], [0.25, 0, -0.5]);
  const kernel = (model: typeof a) =>
    model.weights.get("layer2.0.conv1.weight")?.shape.slice(2).join("x");
  assertEquals(kernel(a), "3x3");
  assertEquals(
    a.executable!.weights.get("layer2.0.conv1.weight")?.shape,
    [8, 4, 4, 4],
  );
  const b = await decode("kerasOptionB");
  assertEquals(b.notes.some(({ id }) => id === "softmax-inside"), true);
  assertEquals(b.graph.nodes.at(-1)?.kind, "dense");
});

Deno.test("a scale and a shift of the channels are a batch norm", () => {
  const { graph, weights, notes } = decodeOnnx(file([
    node("Conv", ["x", "k"], "a", { pads: [1, 1, 1, 1] }),
    node("Mul", ["a", "s"], "b"),
    node("Sub", ["b", "t"], "y"),
  ], [CONVOLUTION, tensor("s", [2, 1, 1], [2, 4]), tensor("t", [2, 1, 1], [1, -1])]));
  assertEquals(kinds(graph.nodes), "convolution batch-norm");
  assertEquals(notes.map(({ id }) => id), ["affine-as-batch-norm"]);
  const array = (name: string) => [...weights.get(`bn1.${name}`)!.data];
  assertEquals(array("weight"), [2, 4]);
  assertEquals(array("bias"), [-1, 1]);
  assertEquals(array("running_mean"), [0, 0]);
});

Deno.test("a shift alone behind a convolution is its bias", () => {
  const { graph, weights } = decodeOnnx(file([
    node("Conv", ["x", "k"], "a"),
    node("Add", ["t", "a"], "y"),
  ], [CONVOLUTION, tensor("t", [1, 2, 1, 1], [3, -1])]));
  assertEquals(kinds(graph.nodes), "convolution");
  assertEquals([...weights.get("conv1.bias")!.data], [3, -1]);
});

Deno.test("the input's preprocessing is gathered from its operations", () => {
  // (x / 4 - 1) / 2, and 3 minus that.
  const { inputTransform } = decodeOnnx(file([
    node("Div", ["x", "four"], "a"),
    node("Sub", ["a", "one"], "b"),
    node("Div", ["b", "two"], "c"),
    node("Sub", ["three", "c"], "d"),
    node("Conv", ["d", "k"], "y"),
  ], [
    CONVOLUTION,
    ...Object.entries({ one: 1, two: 2, three: 3, four: 4 })
      .map(([name, value]) => tensor(name, [], [value])),
  ]));
  assertEquals(inputTransform?.scale, new Float32Array(16).fill(-0.125));
  assertEquals(inputTransform?.shift, new Float32Array(16).fill(3.5));
});

Deno.test("option A as every second pixel joined with zeros", () => {
  const shortcut = (parts: readonly string[]) =>
    decodeOnnx(file([
      node("AveragePool", ["x"], "a", { kernel_shape: [1, 1], strides: [2, 2] }),
      node("Mul", ["a", "zero"], "z"),
      node("Concat", parts, "y", { axis: 1 }),
    ], [tensor("zero", [], [0])])).graph.nodes[0];
  const appended = shortcut(["a", "z"]);
  assertEquals(appended.shape, [2, 2, 2]);
  assertEquals(appended.kind === "shortcut-a" && appended.zeroChannels, "append");
  const split = shortcut(["z", "a", "z"]);
  assertEquals(split.kind === "shortcut-a" && split.zeroChannels, "split");
  assertThrows(() => shortcut(["z", "a"]), OnnxOperatorError, "neither appended nor split");
});

Deno.test("padding may stand apart from its convolution, or be automatic", () => {
  const window = (...nodes: Uint8Array[]) => {
    const { graph, executable } = decodeOnnx(
      file(nodes, [CONVOLUTION, whole("p", [0, 0, 1, 1, 0, 0, 1, 1])]),
    );
    const [node] = graph.nodes;
    const [run] = executable!.graph.nodes;
    return [node, run].flatMap((node) =>
      node.kind === "convolution" ? [`${node.kernel} ${node.padding} to ${node.shape[0]}`] : []
    );
  };
  assertEquals(
    window(node("Pad", ["x", "p"], "a"), node("Conv", ["a", "k"], "y")),
    ["3 1 to 4", "3 1 to 4"],
  );
  // For an even extent and stride 2 the zeros stand below and to the right alone.
  assertEquals(
    window(node("Conv", ["x", "k"], "y", { auto_pad: "SAME_UPPER", strides: [2, 2] })),
    ["3 1 to 2", "4 1 to 2"],
  );
  assertEquals(
    window(node("Conv", ["x", "k"], "y", { auto_pad: "SAME_LOWER", strides: [2, 2] })),
    ["3 1 to 2", "3 1 to 2"],
  );
});

Deno.test("what cannot be mapped is named, all of it", () => {
  const unknown = file([
    node("Conv", ["x", "k"], "a"),
    node("Einsum", ["a"], "b"),
    node("constructor", ["a"], "y"),
  ], [CONVOLUTION]);
  const error = assertThrows(() => decodeOnnx(unknown), OnnxOperatorError);
  assertEquals(error.operators, [
    'Einsum "the Einsum" is no operation of a residual net',
    'constructor "the constructor" is no operation of a residual net',
  ]);
  for (
    const [attributes, message] of [
      [{ group: 2 }, "2 groups"],
      [{ strides: [1, 2] }, "the strides 1, 2"],
      [{ pads: [0, 1, 0, 1] }, "the pads 0, 1, 0, 1"],
    ] as const
  ) {
    const bytes = file([node("Conv", ["x", "k"], "y", attributes)], [CONVOLUTION]);
    assertThrows(() => decodeOnnx(bytes), OnnxOperatorError, message);
  }
});

Deno.test("16-bit floats in a list of whole numbers are their bits", () => {
  // 1.5, -2 and 0.0999755859375; as bfloat16 the upper halves of 1.5 and -2.
  const listed = (type: number, values: readonly number[]) => {
    const bits = message([
      ...[3, 1, 1].map((extent) => [1, extent] as const),
      ...[[2, type], [8, "c"]] as const,
      ...values.map((value) => [5, value] as const),
    ]);
    return decodeOnnx(file(
      [
        node("Mul", ["x", "c"], "a"),
        node("Conv", ["a", "k"], "y"),
      ],
      [tensor("k", [2, 3, 3, 3], new Array(54).fill(1)), bits],
      [1, 3, 4, 4],
    )).inputTransform!.scale;
  };
  const row = (...values: number[]) => Float32Array.from(new Array(16).fill(values).flat());
  assertEquals(listed(10, [0x3e00, 0xc000, 0x2e66]), row(1.5, -2, 0.0999755859375));
  assertEquals(listed(16, [0x3fc0, 0xc000, 0x3fc0]), row(1.5, -2, 1.5));
  assertEquals(listed(6, [3, 4, 5]), row(3, 4, 5));
  // 8-bit floats, and 32-bit ones that would stand elsewhere.
  assertThrows(() => listed(17, [1, 2, 3]), WeightFileError, "element type 17");
  assertThrows(() => listed(1, [1, 2, 3]), WeightFileError, "a list of whole numbers");
});

Deno.test("files that cannot be read say why", () => {
  const convolution = [node("Conv", ["x", "k"], "y")];
  const cases: readonly (readonly [Uint8Array, string])[] = [
    [new Uint8Array(0), "not an ONNX file"],
    [new TextEncoder().encode("PK\x03\x04"), "not an ONNX file"],
    [message([[1, 8]]), "it holds no graph"],
    [file(convolution), 'takes "k"'],
    [
      file(convolution, [message([[8, "k"], [13, message([[1, "location"]])], [14, 1]])]),
      "another file",
    ],
    [
      file(convolution, [message([[1, 4], [2, 1], [8, "k"], [9, new Uint8Array(8)]])]),
      "takes 16 bytes",
    ],
    [file(convolution, [message([[1, 2], [2, 20], [8, "k"], [9, new Uint8Array(8)]])]), "type 20"],
    [file(convolution, [CONVOLUTION], [1, 4]), "4 axes"],
    [file(convolution, [CONVOLUTION]).slice(0, -7), "it is cut off"],
    [file(convolution, [CONVOLUTION]).slice(0, -4), "it names no operator set"],
    [file(convolution, [message([[1, 2 ** 40], [2, 1], [8, "k"]])]), "tensors of at most"],
  ];
  for (const [bytes, expected] of cases) {
    assertThrows(() => decodeOnnx(bytes), WeightFileError, expected);
  }
});

Deno.test("a small file cannot ask for much memory", () => {
  const many = new Array<Uint8Array>(600_000).fill(new Uint8Array(0));
  assertThrows(() => decodeOnnx(file(many)), WeightFileError, "500000 messages");
  // Each node would copy the same list again.
  const copies = Array.from(
    { length: 2000 },
    (_, i) => node("Add", [i === 0 ? "big" : `c${i - 1}`, "one"], `c${i}`),
  );
  const bytes = file(
    [...copies, node("Relu", ["x"], "y")],
    [whole("one", [1]), whole("big", new Array(60_000).fill(1))],
  );
  assertThrows(() => decodeOnnx(bytes), WeightFileError, "export the model with constant folding");
});

Deno.test("the beginning tells ONNX from the other formats", async () => {
  for (const name of MODEL_NAMES) assert(isOnnx(await modelFile(name)), name);
  assertEquals(isOnnx(Uint8Array.of(0x80, 0x02)), false);
  assertEquals(isOnnx(Uint8Array.of(0x50, 0x4b)), false);
});
