import { assert, assertEquals } from "@std/assert";
import { publishedArrays } from "../testing/files/mod.ts";
import {
  architecture,
  countParameters,
  fitWeights,
  initialise,
  parametersOf,
  type Tensor,
  type Weights,
} from "../resnet/mod.ts";
import { permuteAxes, readModelFile } from "../weights/mod.ts";
import { identify } from "./identify.ts";

const ids = (weights: Weights) => identify(weights).findings.map(({ id }) => id);
const names = (weights: Weights) => identify(weights).candidates.map(({ name }) => name);
const ones = (...shape: number[]): Tensor => ({
  shape,
  data: new Float32Array(shape.reduce((a, b) => a * b, 1)).fill(1),
});
const resnet20 = architecture("resnet20");
const state = initialise(resnet20, 1, "in");

/** The arrays with changed names; undefined leaves one out. */
function renamed(weights: Weights, rename: (name: string) => string | undefined): Weights {
  return new Map([...weights].flatMap(([name, tensor]) => {
    const other = rename(name);
    return other === undefined ? [] : [[other, tensor]];
  }));
}

/** Conv2D and BatchNormalization of Keras in the order in which a script makes them. */
function asKeras(weights: Weights): Weights {
  const arrays = new Map<string, Tensor>();
  const counts = { conv2d: 0, batch_normalization: 0 };
  const numbered = (layer: keyof typeof counts) => {
    const number = counts[layer]++;
    return number === 0 ? layer : `${layer}_${number}`;
  };
  let batchNorm = "";
  for (const [name, tensor] of weights) {
    const [, layer, suffix] = /^(.*)\.([^.]*)$/.exec(name)!;
    if (tensor.shape.length === 4) {
      arrays.set(`${numbered("conv2d")}/kernel:0`, permuteAxes(tensor, [2, 3, 1, 0]));
    } else if (layer === "linear") {
      if (suffix === "weight") arrays.set("dense/kernel:0", permuteAxes(tensor, [1, 0]));
      else arrays.set("dense/bias:0", tensor);
    } else {
      if (suffix === "weight") batchNorm = numbered("batch_normalization");
      const keras = {
        weight: "gamma",
        bias: "beta",
        running_mean: "moving_mean",
        running_var: "moving_variance",
      };
      arrays.set(`${batchNorm}/${keras[suffix as keyof typeof keras]}:0`, tensor);
    }
  }
  return arrays;
}

Deno.test("names and shapes of ResNet-20 admit six networks", () => {
  const { candidates, findings, census } = identify(state);
  assertEquals(candidates.map(({ name }) => name), [
    "resnet20, option A with zero channels appended",
    "resnet20, option A with zero channels on both sides",
    "plain20, no shortcuts",
    "resnet20, option A with zero channels appended, ReLU after the last layer",
    "resnet20, option A with zero channels on both sides, ReLU after the last layer",
    "plain20, no shortcuts, ReLU after the last layer",
  ]);
  assertEquals(findings, []);
  assertEquals(candidates[0].graph, resnet20);
  assertEquals(candidates[1].graph, architecture("resnet20", { zeroChannels: "split" }));
  assertEquals(candidates[2].graph, architecture("plain20"));
  assertEquals(candidates[3].graph.nodes.at(-1)?.kind, "relu");
  for (const { weights } of candidates) assertEquals(weights, state);
  assertEquals(census, {
    parameters: 269_722,
    kernels: [
      { kernel: 3, inputs: 3, filters: 16, count: 1 },
      { kernel: 3, inputs: 16, filters: 16, count: 6 },
      { kernel: 3, inputs: 16, filters: 32, count: 1 },
      { kernel: 3, inputs: 32, filters: 32, count: 5 },
      { kernel: 3, inputs: 32, filters: 64, count: 1 },
      { kernel: 3, inputs: 64, filters: 64, count: 5 },
    ],
    convolutions: 19,
    projections: 0,
    batchNorms: 19,
    biases: 0,
    depth: 20,
    stem: { kernel: 3, filters: 16 },
    stages: [
      { filters: 16, blocks: 3, layers: 6 },
      { filters: 32, blocks: 3, layers: 6 },
      { filters: 64, blocks: 3, layers: 6 },
    ],
    classes: 10,
  });
});

Deno.test("names, layouts and the order of the file do not matter", () => {
  const inAlphabet = new Map([...state].sort(([a], [b]) => a < b ? -1 : 1));
  const backwards = new Map([...state].reverse());
  const wrapped = renamed(state, (name) => `module.${name}`);
  const keras = asKeras(state);
  const twice = renamed(keras, (name) => name.replace(/^([^/]*)/, "$1/$1"));
  const scoped = renamed(keras, (name) => `resnet_model/${name}`);
  for (const weights of [inAlphabet, backwards, wrapped, keras, twice, scoped]) {
    const { candidates, findings } = identify(weights);
    // Of Keras's layers each padded by TensorFlow's default, and as PyTorch pads.
    assertEquals(candidates.length, [keras, twice, scoped].includes(weights) ? 12 : 6);
    assertEquals(candidates[0].graph, resnet20);
    assertEquals(candidates[0].weights, state);
    assertEquals(findings, []);
  }
});

Deno.test("TensorFlow's padding is on one side of even extents alone", () => {
  const { candidates, variants } = identify(asKeras(state));
  const kernelsOf = (name: RegExp) => {
    const { run } = [...candidates, ...variants()].find((one) => name.test(one.name))!;
    return run!.graph.nodes.flatMap((node) =>
      node.kind === "convolution" && node.stride > 1 ? [node.kernel] : []
    );
  };
  assertEquals(kernelsOf(/appended, padded as TensorFlow pads/), [4, 4]);
  assertEquals(kernelsOf(/appended, padded as PyTorch pads/), [3, 3]);
  // 34 pixels, and then 17.
  assertEquals(kernelsOf(/appended, first layer padded by 2, padded as TensorFlow/), [4, 3]);
});

Deno.test("more than nine blocks of a stage stay in order", () => {
  const graph = architecture("resnet110");
  const weights = initialise(graph, 1, "in");
  for (const file of [new Map([...weights].sort(([a], [b]) => a < b ? -1 : 1)), asKeras(weights)]) {
    assertEquals(identify(file).candidates[0].weights, weights);
  }
});

Deno.test("projections leave no doubt about the shortcuts", () => {
  const graph = architecture("resnet20", { shortcut: "B" });
  const weights = initialise(graph, 1, "in");
  const { candidates, findings, census } = identify(weights);
  assertEquals(candidates.map(({ name }) => name), [
    "resnet20, projections",
    "resnet20, projections, ReLU after the last layer",
  ]);
  assertEquals(candidates[0].graph, graph);
  assertEquals(candidates[0].weights, weights);
  assertEquals(findings.map(({ id }) => id), ["projection"]);
  assertEquals([census.projections, census.depth, census.parameters], [2, 20, 269_722 + 2752]);
  // Where nothing but the shapes tells a projection.
  const keras = identify(asKeras(weights));
  assertEquals(keras.candidates[0].weights, weights);
  const bare = renamed(weights, (name) => name.includes("shortcut.1") ? undefined : name);
  assertEquals(ids(bare), ["projection", "projection-without-batch-norm"]);
  assertEquals(ids(asKeras(bare)), ["projection", "projection-without-batch-norm"]);
});

Deno.test("what is missing or more than the paper's is found", () => {
  const without = (pattern: RegExp) =>
    renamed(state, (name) => pattern.test(name) ? undefined : name);
  assertEquals(ids(without(/bn/)), ["batch-norm-missing"]);
  assertEquals(ids(without(/layer1\.0\.bn2/)), ["batch-norm-missing"]);
  assertEquals(ids(without(/running/)), ["batch-norm-incomplete"]);
  assertEquals(ids(without(/linear/)), ["head-missing", "unknown-structure"]);
  assertEquals(ids(without(/layer3\.2\.(conv|bn)2/)), ["unknown-structure"]);
  const biased = new Map([...state, ["conv1.bias", ones(16)]]);
  assertEquals(ids(biased), ["convolution-bias"]);
  assertEquals(identify(biased).candidates[0].weights.get("conv1.bias"), ones(16));
  const hundred = initialise(architecture("resnet20", { classes: 100 }), 1, "in");
  assertEquals(ids(hundred), ["classes"]);
  const incomplete = identify(without(/running/)).candidates[0];
  assert(incomplete.assumptions.some((text) => text.includes("cannot be run")));
});

Deno.test("weight normalisation is applied, whichever way PyTorch writes it", () => {
  for (
    const [length, direction] of [["weight_g", "weight_v"], [
      "parametrizations.weight.original0",
      "parametrizations.weight.original1",
    ]]
  ) {
    const arrays = new Map([...state].flatMap(([name, tensor]): [string, Tensor][] => {
      if (tensor.shape.length !== 4) return [[name, tensor]];
      const [filters] = tensor.shape;
      const size = tensor.data.length / filters;
      const lengths = Float32Array.from(
        { length: filters },
        (_, i) => Math.hypot(...tensor.data.subarray(i * size, (i + 1) * size)),
      );
      const path = name.slice(0, -"weight".length);
      return [
        [path + length, { shape: [filters, 1, 1, 1], data: lengths }],
        [path + direction, { ...tensor, data: tensor.data.map((value) => 3 * value) }],
      ];
    }));
    const { candidates, findings, notes } = identify(arrays);
    assertEquals([candidates[0].graph.name, findings], ["resnet20", []]);
    assert(notes.some((note) => note.includes("weight normalisation")));
    const found = candidates[0].weights.get("layer2.0.conv1.weight")!.data;
    const right = state.get("layer2.0.conv1.weight")!.data;
    assert(found.every((value, i) => Math.abs(value - right[i]) < 1e-5));
  }
});

Deno.test("dense layers within the blocks are another kind of net, not an unknown order", () => {
  const squeezed = new Map([...state].flatMap(([name, tensor]): [string, Tensor][] => {
    const [, block] = /^(layer\d\.\d)\.bn2\.bias$/.exec(name) ?? [];
    if (!block) return [[name, tensor]];
    const [channels] = tensor.shape;
    return [[name, tensor], [`${block}.fc1.weight`, ones(4, channels)], [
      `${block}.fc2.weight`,
      ones(channels, 4),
    ]];
  }));
  assertEquals(identify(squeezed).findings.map(({ id }) => id), ["unknown-structure"]);
});

Deno.test("arrays that are no net give a census and no candidate", () => {
  const { candidates, findings, census } = identify(
    new Map([["a.weight", ones(8, 3, 3, 3)], ["b.weight", ones(10, 8)]]),
  );
  assertEquals(candidates, []);
  assertEquals(findings.map(({ id }) => id), ["stem-filters", "unknown-structure"]);
  assertEquals([census.convolutions, census.classes], [1, 10]);
  assertEquals(identify(new Map()).candidates, []);
  assertEquals(identify(new Map([["epoch", ones()]])).ignored, ["epoch"]);
  assertEquals(identify(new Map([["a.constructor", ones(1)]])).ignored, ["a.constructor"]);
});

// Depth, trainable parameters (published, or counted by torchvision), findings.
const PUBLISHED = [
  ["akamaster", "resnet20", 20, 269_722, []],
  ["kuangliu", "resnet18-cifar", 18, 11_173_962, [
    "stem-filters",
    "stages",
    "widths",
    "depth",
    "projection",
  ]],
  ["weiaicunzai", "resnet18-cifar", 18, 11_173_962, [
    "stem-filters",
    "stages",
    "widths",
    "depth",
    "projection",
  ]],
  ["torchvisionResnet34", "resnet34", 34, 21_289_802, [
    "stem-7x7",
    "stem-filters",
    "stages",
    "widths",
    "blocks-per-stage",
    "depth",
    "projection",
  ]],
  ["torchvisionResnet50", "residual net of depth 50", 50, 25_557_032, [
    "stem-7x7",
    "stem-filters",
    "classes",
    "stages",
    "widths",
    "blocks-per-stage",
    "bottleneck",
    "projection",
  ]],
  ["timmResnet18", "resnet18", 18, 11_181_642, [
    "stem-7x7",
    "stem-filters",
    "stages",
    "widths",
    "depth",
    "projection",
  ]],
  ["kerasOptionA", "residual net of depth 8", 8, 5006, ["stem-filters", "widths"]],
  ["kerasOptionB", "residual net of depth 8", 8, 5190, [
    "stem-filters",
    "widths",
    "projection",
    "projection-without-batch-norm",
    "convolution-bias",
  ]],
] as const;

for (const [source, name, depth, parameters, findings] of PUBLISHED) {
  Deno.test(`${source}: names and shapes are understood`, async () => {
    const found = identify(await publishedArrays(source));
    const [candidate] = found.candidates;
    assertEquals(candidate.graph.name, name);
    assertEquals(found.census.depth, depth);
    assertEquals(found.census.parameters, parameters);
    assertEquals(countParameters(candidate.graph), parameters);
    assertEquals(
      [...candidate.weights.keys()],
      parametersOf(candidate.graph).map(({ name }) => name),
    );
    assertEquals(found.findings.map(({ id }) => id), [...findings]);
    assert(found.ignored.every((name) => name.endsWith("num_batches_tracked")));
  });
}

Deno.test("another kind of network is not forced into blocks", async () => {
  const found = identify(await publishedArrays("torchvisionMobilenet"));
  assertEquals(found.candidates, []);
  // 3,504,872 stands in torchvision's documentation of MobileNet V2.
  assertEquals(found.census.parameters, 3_504_872);
  assertEquals(found.findings.at(-1)?.id, "unknown-structure");
});

const CHECKPOINT = new URL("../../shared/pretrained/resnet32-d509ac18.th", import.meta.url);

function isPresent(file: URL): boolean {
  try {
    return Deno.statSync(file).isFile;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotCapable) {
      return false;
    }
    throw error;
  }
}

Deno.test({
  name: "a published ResNet-32 (needs ../shared/pretrained/resnet32-d509ac18.th)",
  ignore: !isPresent(CHECKPOINT),
  fn: async () => {
    const { tensors } = await readModelFile(decodeURIComponent(CHECKPOINT.pathname));
    assertEquals(names(tensors)[1], "resnet32, option A with zero channels on both sides");
    const [candidate] = identify(tensors).candidates;
    assertEquals(candidate.weights, fitWeights(architecture("resnet32"), tensors, "the file"));
  },
});
