/** A made-up recording that keeps every rule: lines as PyTorch's recorder writes them. */
import type { RecordedEvaluation, RecordingLine } from "../../log/mod.ts";
import { RandomStream } from "../../random/mod.ts";
import { architecture, initialise, parametersOf } from "../../resnet/mod.ts";
import type { ObservedEvaluation, ObservedImages, RecordingSubject } from "./subject.ts";

const STEPS = 362;
const EPOCH = 352;
const time = "2026-01-01T00:00:00Z";
const graph = architecture("resnet8");

const evaluation = (change: Partial<RecordedEvaluation>): RecordedEvaluation => ({
  type: "evaluation",
  ...{ time, iteration: STEPS, network: 1, number: 1, images: 10_000 },
  mode: "evaluation",
  ...{ norms: { training: 0, evaluation: 7 }, exhausted: true },
  ...change,
});
const validation = evaluation({ loader: 2, images: 5_000, distinct: 5_000, errors: 600 });
// 78 batches of 128 images and one of 16: 10.24% of the images, 10.82% in the mean of batches.
const test = evaluation({
  ...{ loader: 3, images: 10_000, distinct: 10_000, errors: 1_024 },
  batchImages: [...Array(78).fill(128), 16],
  batchErrors: [...Array(78).fill(13), 10],
});

const placed = { time, iteration: 0 };

function lines(): RecordingLine[] {
  const parameters = parametersOf(graph).filter(({ trainable }) => trainable);
  const loader = (id: number, size: number, batchSize: number) =>
    ({
      type: "loader",
      ...{ ...placed, id, size, batchSize, batches: Math.ceil(size / batchSize) },
      datasets: [{ id, class: "data.Cifar", size, attributes: {} }],
      ...{ dropLast: false, shuffle: id === 1, sampler: "sampler", workers: 0, composed: true },
    }) as const;
  const steps = Array.from({ length: STEPS }, (_, i): RecordingLine[] => [
    {
      type: "step",
      ...{ time, iteration: i + 1, steps: 1, optimizer: 1, passes: 1, images: 128 },
      mode: "training",
      ...{ learningRate: 0.1, loss: 2, error: 0.7, loader: 1 },
      ...{ norms: { training: 7, evaluation: 0 }, epoch: i < EPOCH ? 1 : 2 },
      ...{ backwards: 1, cleared: true },
      ...(i < 10
        ? {
          checked: {
            ...{ gradientNorm: 1, backwardNorm: 1, withoutGradient: 0, nonFinite: 0 },
            // u = -0.1 (g + 0.0001 w), g and w at right angles, no momentum yet.
            replay: [{
              ...{ parameter: "conv1.weight", group: 0, elements: 432, updateNorm: 0.1 },
              predicted: 1e-6,
              gram: [0.01, -0.1, 0, -0.0001, 1, 0, 0, 0, 0, 10],
            }],
          },
        }
        : {}),
    },
    ...(i < 50
      ? [
        {
          type: "scheduler-step",
          ...{ time, iteration: i + 1, scheduler: 1, call: i + 1 },
          place: "batch",
          ...{ stepsSince: 1, before: [0.1], after: [0.1] },
        } as const,
      ]
      : []),
  ]).flat();
  const changes = (iteration: number): RecordingLine => ({
    type: "parameters",
    ...{ time, iteration, unheld: [], frozen: [], unchanged: [] },
    ...{ withoutGradient: [], buffersUnchanged: [], foreign: 0 },
    schedulerCalls: { 1: iteration },
  });
  return [
    {
      type: "start",
      version: 1,
      ...{ time, recorder: { name: "pytorch", version: "1" } },
      ...{ framework: { name: "pytorch", version: "2" }, versions: {}, platform: "Linux" },
      ...{ command: ["train.py"], devices: [], seed: "0" },
    },
    {
      type: "scheduler",
      ...{ ...placed, id: 1, optimizer: 1 },
      class: "torch.optim.lr_scheduler.MultiStepLR",
      settings: { milestones: [32_000, 48_000], gamma: 0.1 },
    },
    ...[loader(1, 45_000, 128), loader(2, 5_000, 128), loader(3, 10_000, 128)],
    {
      type: "network",
      ...{ ...placed, id: 1, class: "resnet.ResNet", wrappers: [], frozen: 0 },
      parameters: parameters.map(({ name, shape }) => ({ name, shape, trainable: true })),
      trainable: 78_042,
      norms: [{
        ...{ class: "torch.nn.BatchNorm2d", eps: 1e-5, momentum: 0.1, tracked: true },
        names: ["bn1"],
      }],
      input: { shape: [128, 3, 32, 32], dtype: "float32" },
      output: { shape: [128, 10], dtype: "float32" },
    },
    {
      type: "optimizer",
      ...{ ...placed, id: 1, class: "torch.optim.sgd.SGD", defaults: {} },
      ...{ foreign: 0 },
      groups: [{
        ...{ learningRate: 0.1, count: parameters.length },
        names: parameters.map(({ name }) => name),
        settings: { momentum: 0.9, weight_decay: 0.0001, nesterov: false },
      }],
    },
    {
      type: "loss",
      ...{ ...placed, function: "cross_entropy", reduction: "mean", calls: 1 },
      ...{ targets: "indices", softmaxBelow: false, scaled: 1 },
      chain: ["NllLossBackward0", "LogSoftmaxBackward0", "AddmmBackward0"],
    },
    {
      type: "batch",
      ...{ ...placed, phase: "training", network: 1, images: 128, mode: "training" },
    },
    ...steps,
    ...[changes(20), changes(STEPS), validation, test],
    {
      type: "print",
      ...{ time, iteration: STEPS, text: "test error 10.24%" },
      afterEvaluation: 2,
    },
    {
      type: "end",
      ...{ time, iteration: STEPS, reason: "finished", evaluations: 2 },
      ...{ optimizerSteps: { 1: STEPS }, schedulerCalls: { 1: STEPS } },
    },
  ];
}

/** A part of an epoch, or an evaluation: `draw` gives the images. */
function images(
  count: number,
  labels: Uint8Array,
  draw: (i: number) => number,
  random?: RandomStream,
): ObservedImages {
  const numbers = Int32Array.from({ length: count }, (_, i) => draw(i));
  return {
    ...{ epoch: 1, iteration: 0, whole: false, looked: count },
    batches: Array.from({ length: count / 128 }, () => 128),
    images: numbers,
    indices: numbers.map((image) => image % 50_000),
    labels: numbers.map((image) => labels[image]),
    hashes: BigUint64Array.from(
      numbers,
      (image) => BigInt(image) * 100_000n + BigInt(random?.below(99_999) ?? 0) + 1n,
    ),
    views: Array.from(numbers, (image, at) => ({
      ...{ at, image, y: (random?.below(9) ?? 4) - 4, x: (random?.below(9) ?? 4) - 4 },
      flip: random?.below(2) === 1,
    })),
    form: { layout: "right", axes: "right", channels: "RGB" },
    preparation: {
      kind: "per-pixel",
      ...{ images: count, residual: 0, meanDistance: 0.1 },
      scale: [1 / 255, 1 / 255, 1 / 255],
    },
  };
}

/**
 * The recording: of ResNet-8 by the paper's recipe, 362 steps, and its tests.
 *
 * @returns A subject of which every part is known.
 */
export function goodRecording(): Required<RecordingSubject> {
  const random = new RandomStream(3, "probe", 0);
  const labels = Uint8Array.from({ length: 60_000 }, () => random.below(10));
  // The second epoch shows the same images in another order.
  const first = images(1_024, labels, (i) => (i * 7_919) % 45_000, random);
  const second = images(
    1_024,
    labels,
    (i) => (((i * 37 + 5) % 1_024) * 7_919) % 45_000,
    random,
  );
  const tested = (part: "validation" | "test", line: RecordedEvaluation): ObservedEvaluation => ({
    ...images(512, labels, (i) => (part === "test" ? 50_000 : 45_000) + i),
    ...{ part, line, loader: line.loader, iteration: line.iteration },
    ...(part === "validation" ? { overlap: { images: 5_000, trained: 0 } } : {}),
  });
  const all = lines();
  const [start] = all;
  if (start.type !== "start") throw new Error("a recording begins with its start");
  return {
    log: { start, lines: all, notes: [] },
    photographs: false,
    dataset: {
      ...{ name: "cifar10", training: 50_000, test: 10_000, labels },
      ...{ mean: [125.3, 123, 113.9], deviation: [63, 62.1, 66.7] },
    },
    training: [{ ...first, loader: 1 }, { ...second, loader: 1, epoch: 2, iteration: EPOCH }],
    // Tried out before the first step.
    evaluations: [validation, { ...validation, iteration: 0 }].map((line) =>
      tested("validation", line)
    )
      .concat([test, { ...test, iteration: 0 }].map((line) => tested("test", line))),
    graph,
    onImages: [],
    initialWeights: initialise(graph, 0, "in"),
  };
}
