/** The small graphs on which engines are compared kernel by kernel. */
import { assertGreater } from "@std/assert";
import {
  architecture,
  buildGraph,
  type Graph,
  type NodeSpec,
  type Tensor,
} from "../../resnet/mod.ts";
import {
  EngineError,
  type EngineFactory,
  type Probe,
  type TrainingState,
} from "../../engine/mod.ts";
import { assertTensorClose, type Tolerance } from "../mod.ts";
import {
  keepFromZero,
  optionsFor,
  oracle,
  probeOnce,
  randomState,
  sizeFor,
  uniform,
} from "./engines.ts";

/** One graph, and how it is probed. */
export interface KernelCase {
  readonly graph: Graph;
  readonly images: number;
  readonly mode: Probe["mode"];
  /** Cross entropy instead of an upstream gradient. */
  readonly labels?: boolean;
  /** What an engine may refuse, by the word that its refusal must contain. */
  readonly optional?: string;
}

/** A convolution without bias. */
export function convolution(
  name: string,
  input: string,
  filters: number,
  kernel: number,
  stride: number,
): NodeSpec {
  const padding = (kernel - 1) / 2;
  return { kind: "convolution", name, input, filters, kernel, stride, padding, bias: false };
}

/** Height, width and channels of the input, filters, kernel and stride of a convolution. */
type ConvolutionShape = readonly [number, number, number, number, number, number];

/** Every convolution of the paper's CIFAR nets, with option B's projections. */
const PAPER_CONVOLUTIONS: readonly ConvolutionShape[] = [
  [32, 32, 3, 16, 3, 1],
  [32, 32, 16, 16, 3, 1],
  [32, 32, 16, 32, 3, 2],
  [16, 16, 32, 32, 3, 1],
  [16, 16, 32, 64, 3, 2],
  [8, 8, 64, 64, 3, 1],
  [32, 32, 16, 32, 1, 2],
  [16, 16, 32, 64, 1, 2],
];

/** Sizes that no tile, vector or stride divides. */
const ODD_CONVOLUTIONS: readonly ConvolutionShape[] = [
  [7, 5, 5, 5, 3, 1],
  [7, 5, 5, 9, 3, 2],
  [7, 5, 5, 7, 1, 1],
  [7, 5, 5, 7, 1, 2],
  [1, 1, 3, 2, 3, 1],
  [1, 1, 3, 2, 3, 2],
  [1, 1, 3, 2, 3, 3],
];

function convolutionCase(shape: ConvolutionShape, images: number): KernelCase {
  const [height, width, channels, filters, kernel, stride] = shape;
  const name =
    `${kernel}x${kernel} convolution ${channels} to ${filters}, stride ${stride}, on ${height}x${width}, ${images} images`;
  const graph = buildGraph(name, [height, width, channels], [
    convolution("conv", "input", filters, kernel, stride),
  ]);
  return { graph, images, mode: "training" };
}

/** A few nodes in a row: convolution, batch norm and the given ones after them. */
function blockCase(
  name: string,
  rest: readonly NodeSpec[],
  { stride = 1, mode = "training" as Probe["mode"] } = {},
): KernelCase {
  const graph = buildGraph(`${name}, ${mode} mode`, [8, 8, 6], [
    convolution("conv", "input", stride === 1 ? 6 : 12, 3, stride),
    { kind: "batch-norm", name: "bn", input: "conv" },
    ...rest,
  ]);
  return { graph, images: 3, mode };
}

const RELU: NodeSpec = { kind: "relu", name: "relu", input: "bn" };
const ADD_RELU = (shortcut: string): readonly NodeSpec[] => [
  { kind: "add", name: "add", inputs: ["bn", shortcut] },
  { kind: "relu", name: "relu", input: "add" },
];
const SHORTCUT_A = (zeroChannels: "append" | "split"): NodeSpec => ({
  kind: "shortcut-a",
  name: "shortcut",
  input: "input",
  filters: 12,
  stride: 2,
  zeroChannels,
});

/** Every kind of node and every fusion that an engine may make, in both modes. */
function blockCases(mode: Probe["mode"]): readonly KernelCase[] {
  return [
    blockCase("convolution, batch norm", [], { mode }),
    blockCase("convolution, batch norm, ReLU", [RELU], { mode }),
    blockCase("identity shortcut", ADD_RELU("input"), { mode }),
    blockCase("option A, zeros appended", [SHORTCUT_A("append"), ...ADD_RELU("shortcut")], {
      stride: 2,
      mode,
    }),
    blockCase("option A, zeros split", [SHORTCUT_A("split"), ...ADD_RELU("shortcut")], {
      stride: 2,
      mode,
    }),
    blockCase("option B", [
      convolution("shortcut.0", "input", 12, 1, 2),
      { kind: "batch-norm", name: "shortcut.1", input: "shortcut.0" },
      ...ADD_RELU("shortcut.1"),
    ], { stride: 2, mode }),
    {
      graph: buildGraph(`batch norm on 7x5 with 5 channels, ${mode} mode`, [7, 5, 5], [
        { kind: "batch-norm", name: "bn", input: "input" },
      ]),
      images: 3,
      mode,
    },
  ];
}

/** Tensors that several nodes read, so that their gradients are sums. */
const SHARED_CASES: readonly KernelCase[] = ([
  ["a batch norm added to a ReLU", [
    convolution("conv", "input", 6, 3, 1),
    { kind: "batch-norm", name: "bn", input: "conv" },
    convolution("other", "input", 6, 3, 1),
    { kind: "batch-norm", name: "bn2", input: "other" },
    { kind: "relu", name: "relu", input: "bn2" },
    { kind: "add", name: "add", inputs: ["bn", "relu"] },
  ]],
  ["a batch norm added to its own input", [
    convolution("conv", "input", 6, 3, 1),
    { kind: "batch-norm", name: "bn", input: "conv" },
    { kind: "add", name: "add", inputs: ["bn", "conv"] },
  ]],
  ["a ReLU added to itself", [
    convolution("conv", "input", 6, 3, 1),
    { kind: "relu", name: "relu", input: "conv" },
    { kind: "add", name: "add", inputs: ["relu", "relu"] },
  ]],
  ["a batch norm and a convolution of the input", [
    { kind: "batch-norm", name: "bn", input: "input" },
    convolution("conv", "input", 6, 3, 1),
    { kind: "add", name: "add", inputs: ["bn", "conv"] },
  ]],
] as const satisfies readonly (readonly [string, readonly NodeSpec[]])[]).map(([name, nodes]) => ({
  graph: buildGraph(name, [5, 6, 6], nodes),
  images: 3,
  mode: "training",
}));

const HEAD: readonly NodeSpec[] = [
  { kind: "global-average-pool", name: "pool", input: "input" },
  { kind: "dense", name: "linear", input: "pool", units: 10 },
];

const HEAD_CASES: readonly KernelCase[] = [
  { graph: buildGraph("pooling, dense", [8, 8, 64], HEAD), images: 3, mode: "training" },
  {
    graph: buildGraph("pooling, dense, softmax cross entropy", [8, 8, 64], HEAD),
    images: 3,
    mode: "training",
    labels: true,
  },
  {
    graph: buildGraph("pooling, dense, softmax cross entropy on 7x5", [7, 5, 5], HEAD),
    images: 3,
    mode: "training",
    labels: true,
  },
];

/** Beyond the CIFAR nets: an engine may refuse these, naming what it lacks. */
const OPTIONAL_CASES: readonly KernelCase[] = [
  {
    graph: buildGraph("7x7 stem, stride 2, on 15x14", [15, 14, 3], [
      convolution("conv", "input", 8, 7, 2),
    ]),
    images: 2,
    mode: "training",
    optional: "7x7",
  },
  {
    graph: buildGraph("3x3 max pooling, stride 2, on 9x8", [9, 8, 4], [
      { kind: "max-pool", name: "pool", input: "input", kernel: 3, stride: 2, padding: 1 },
    ]),
    images: 2,
    mode: "training",
    optional: "max-pool",
  },
  {
    graph: buildGraph("convolution with bias", [6, 6, 4], [
      { ...convolution("conv", "input", 8, 3, 1), bias: true } as NodeSpec,
    ]),
    images: 2,
    mode: "training",
    optional: "bias",
  },
];

/** Every kind of node and fusion, small enough for the oracle's own check. */
export const SMALL_CASES: readonly KernelCase[] = [
  ...ODD_CONVOLUTIONS.map((shape) => convolutionCase(shape, 3)),
  ...blockCases("training"),
  ...blockCases("inference"),
  ...SHARED_CASES,
  ...HEAD_CASES,
  ...OPTIONAL_CASES,
];

/** What spec/ runs: each pair of widths, kernel and stride of the paper on small maps, the rest too. */
export const CONFORMANCE_CASES: readonly KernelCase[] = [
  ...PAPER_CONVOLUTIONS.map(([, , channels, ...rest]) => {
    const size = channels < 64 ? 8 : 4;
    return convolutionCase([size, size, channels, ...rest], 1);
  }),
  ...SMALL_CASES,
];

/** Each shape of the depths on one image, the rest small. */
export const QUICK_CASES: readonly KernelCase[] = [
  ...PAPER_CONVOLUTIONS.map((shape) => convolutionCase(shape, 1)),
  ...SMALL_CASES,
];

/**
 * Maps of a few pixels with weights that no cache keeps, as in the ImageNet layout at 32x32: most
 * of a filter's taps lie outside of the image.
 */
const SMALL_MAPS: readonly ConvolutionShape[] = [
  [1, 1, 92, 84, 3, 1],
  [2, 2, 88, 84, 3, 1],
  [2, 2, 88, 96, 3, 2],
  [3, 2, 85, 90, 3, 2],
  [4, 4, 84, 88, 3, 2],
  [2, 2, 256, 260, 1, 2],
  [4, 4, 128, 128, 3, 1],
];

/**
 * Maps that tiles of 4x4 reach beyond, as at 224x224: below, to the right, both; by 3 pixels where
 * a convolution's own zeros don't hide what is read there.
 */
const RAGGED_MAPS: readonly ConvolutionShape[] = [
  [14, 14, 16, 20, 3, 1],
  [7, 7, 32, 16, 3, 1],
  [8, 15, 20, 16, 3, 1],
  [10, 12, 16, 36, 3, 1],
  [13, 9, 16, 20, 3, 1],
];

/** More images than threads share evenly, and the sizes of the ImageNet layout at 32x32. */
export const EXHAUSTIVE_CASES: readonly KernelCase[] = [
  ...SMALL_MAPS.map((shape) => convolutionCase(shape, 11)),
  ...[...PAPER_CONVOLUTIONS, ...RAGGED_MAPS].map((shape) => convolutionCase(shape, 5)),
  ...([
    [32, 32, 3, 64, 3, 1],
    [16, 16, 64, 128, 3, 2],
    [8, 8, 128, 128, 3, 1],
    [4, 4, 256, 256, 3, 1],
    [33, 31, 17, 19, 3, 1],
    [33, 31, 17, 19, 3, 2],
    [5, 6, 33, 31, 1, 2],
  ] as const).map((shape) => convolutionCase(shape, 2)),
  ...ODD_CONVOLUTIONS.flatMap((shape) => [1, 2, 7].map((n) => convolutionCase(shape, n))),
];

/** A case's state and probe: away from ReLU's corner. */
export async function prepare(
  { graph, images, mode, labels }: KernelCase,
): Promise<{ state: TrainingState; probe: Probe }> {
  const input = uniform(sizeFor(graph, "input", images), 2000).map((u) => 1.5 * u);
  const { state } = await keepFromZero(graph, randomState(graph), input, images, mode);
  const probe: Probe = {
    input,
    images,
    mode,
    ...(labels
      ? { labels: Uint8Array.from({ length: images }, (_, n) => (7 * n + 2) % 10) }
      : { upstream: uniform(sizeFor(graph, "output", images), 2001) }),
  };
  return { state, probe };
}

/**
 * Compares an engine with the oracle: output, loss, gradient of the input and
 * of every parameter.
 */
async function compareProbes(
  factory: EngineFactory,
  graph: Graph,
  state: TrainingState,
  probe: Probe,
  tolerance: Tolerance,
): Promise<void> {
  const expected = await probeOnce(oracle, graph, state, probe);
  const found = await probeOnce(factory, graph, state, probe);
  const close = (tensor: string, a?: Tensor | Float32Array, b?: Tensor | Float32Array) =>
    assertTensorClose(a, b, tolerance, `${factory.name}, ${graph.name}, ${tensor}`);

  close("output", found.output, expected.output);
  close("gradient of the input", found.inputGradient, expected.inputGradient);
  if (expected.loss !== undefined) {
    close("loss", Float32Array.of(found.loss ?? NaN), Float32Array.of(expected.loss));
  }
  for (const [name, gradient] of expected.gradients!) {
    close(`gradient of ${name}`, found.gradients?.get(name), gradient);
  }
}

/** Compares an engine with the oracle on a case. */
export async function compareWithOracle(
  factory: EngineFactory,
  testCase: KernelCase,
  tolerance: Tolerance,
): Promise<void> {
  const { state, probe } = await prepare(testCase);
  await compareProbes(factory, testCase.graph, state, probe, tolerance);
}

/** Compares an engine with the oracle on a whole ResNet-8 at batch 8, images of `size` pixels squared. */
export async function compareResNet8(factory: EngineFactory, size: number): Promise<void> {
  const graph = architecture("resnet8", { inputShape: [size, size, 3] });
  const images = 8;
  const input = uniform(sizeFor(graph, "input", images), 2000).map((u) => 1.5 * u);
  const { state, margin } = await keepFromZero(graph, randomState(graph), input, images);
  // Far more than an engine may be off, so that no gradient passes in one engine alone.
  assertGreater(margin, 5e-4);
  const labels = Uint8Array.from({ length: images }, (_, n) => (3 * n) % 10);
  const probe: Probe = { input, images, mode: "training", labels };
  await compareProbes(factory, graph, state, probe, { relativeNorm: 1e-4 }); // rounding of 8 layers
}

/** Why an engine refuses a case that it may refuse; undefined if it takes it. */
export async function refusalOf(
  factory: EngineFactory,
  { graph, images, optional }: KernelCase,
): Promise<string | undefined> {
  if (!optional) return undefined;
  try {
    (await factory.create(optionsFor(graph, { batchSize: images }))).dispose();
  } catch (error) {
    const allowed = error instanceof EngineError && error.message.includes(optional);
    if (!allowed) throw error;
    return error.message;
  }
}

/** Runs cases as named steps; a refused one is reported by name as not run. */
export async function runCases(
  t: Deno.TestContext,
  factory: EngineFactory,
  cases: readonly KernelCase[],
  tolerance: Tolerance,
): Promise<void> {
  for (const testCase of cases) {
    const refusal = await refusalOf(factory, testCase);
    await t.step({
      name: `${testCase.graph.name}${refusal ? ` (not run: ${refusal})` : ""}`,
      ignore: refusal !== undefined,
      fn: () => compareWithOracle(factory, testCase, tolerance),
    });
  }
}
