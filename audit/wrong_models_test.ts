// Nets that are known to go wrong: each is named by its cause, first. And nets that are right, or
// merely unusual, of which nothing is said.
import { assert, assertEquals } from "@std/assert";
import {
  architecture,
  initialise,
  type Tensor,
  WeightFileError,
  type Weights,
} from "../resnet/mod.ts";
import { decodeModel, encodeOnnx } from "../weights/mod.ts";
import {
  named,
  type OnnxNet,
  onnxNet,
  preActivatedState,
  PUBLISHED_NAMINGS,
  type PythonValue,
  scalarArray,
  someArray,
  stateOf,
  torchFile,
} from "../testing/files/mod.ts";
import { audit } from "./audit.ts";
import type { CauseId } from "./causes.ts";
import type { AuditReport } from "./report.ts";
import { fileSubject } from "./targets.ts";

const nothingBeside = (name: string) => Promise.reject(new WeightFileError(`there is no ${name}`));

async function auditOf(bytes: Uint8Array): Promise<AuditReport> {
  return await audit(
    fileSubject("net", await decodeModel({ name: "net", bytes, beside: nothingBeside })),
  );
}

const ofOnnx = (net: OnnxNet) => () => auditOf(onnxNet(net));
const ofState = (state: Weights) => () => auditOf(torchFile(new Map(state)));

/** ResNet-20's arrays, changed. */
const changed = (change: (state: Map<string, Tensor>) => void, name = "resnet20") => {
  const state = stateOf(name);
  change(state);
  return ofState(state);
};
const filled = (name: string, value: number) =>
  changed((state) => {
    const { shape, data } = state.get(name)!;
    state.set(name, { shape, data: new Float32Array(data.length).fill(value) });
  });
const without = (pattern: RegExp, name = "resnet20") =>
  changed((state) => {
    for (const key of state.keys()) if (pattern.test(key)) state.delete(key);
  }, name);

/** Each array with other extents: what `widen` makes of a number of channels. */
function resized(name: string, widen: (channels: number) => number): Weights {
  return new Map([...stateOf(name)].map(([key, { shape }]) => [
    key,
    shape.length === 0
      ? scalarArray(1)
      : someArray(...shape.map((extent, axis) =>
        axis < 2 && extent !== 3 && extent !== 10 ? widen(extent) : extent
      )),
  ]));
}

/** ResNet-50's blocks in ResNet-56's stages: 1x1, 3x3 and 1x1 convolutions. */
function bottlenecks(): Weights {
  const state = new Map<string, Tensor>();
  const norm = (name: string, channels: number) =>
    ["weight", "bias", "running_mean", "running_var"]
      .forEach((suffix) => state.set(`${name}.${suffix}`, someArray(channels)));
  state.set("conv1.weight", someArray(16, 3, 3, 3));
  norm("bn1", 16);
  let width = 16;
  [16, 32, 64].forEach((filters, stage) => {
    for (let block = 0; block < 6; block++) {
      const path = `layer${stage + 1}.${block}`;
      const sizes = [[filters, width, 1], [filters, filters, 3], [4 * filters, filters, 1]];
      sizes.forEach(([outputs, inputs, kernel], i) => {
        state.set(`${path}.conv${i + 1}.weight`, someArray(outputs, inputs, kernel, kernel));
        norm(`${path}.bn${i + 1}`, outputs);
      });
      if (block === 0) {
        state.set(`${path}.downsample.0.weight`, someArray(4 * filters, width, 1, 1));
        norm(`${path}.downsample.1`, 4 * filters);
      }
      width = 4 * filters;
    }
  });
  return state.set("fc.weight", someArray(10, width)).set("fc.bias", someArray(10));
}

/** Kind, what has it, and the cause that stands first. */
const WRONG: readonly (readonly [string, () => Promise<AuditReport>, CauseId])[] = [
  ["batch norm missing behind one convolution", without(/layer2\.1\.bn2/), "batch-norm-missing"],
  ["the same in ONNX", ofOnnx({ bare: (i) => i === 3 }), "batch-norm-missing"],
  ["stride on the block's second convolution", ofOnnx({ strided: 1 }), "stride-at-second"],
  ["no ReLU after any addition", ofOnnx({ linearSums: () => true }), "relu-missing-after-addition"],
  [
    "no ReLU after any addition, folded",
    ofOnnx({ linearSums: () => true, folded: true }),
    "relu-missing-after-addition",
  ],
  [
    "no ReLU after one addition",
    ofOnnx({ linearSums: (i) => i === 1, folded: true }),
    "relu-missing-after-addition",
  ],
  [
    "biases in convolutions",
    changed((state) => {
      for (const [key, { shape }] of [...state]) {
        if (shape.length === 4) state.set(key.replace("weight", "bias"), someArray(shape[0]));
      }
    }),
    "convolution-bias",
  ],
  ["widths 15, 30, 60", ofState(resized("resnet20", (n) => n * 15 / 16)), "widths"],
  ["average-pooled shortcut", ofOnnx({ shortcut: "average" }), "average-pooled-shortcut"],
  [
    "average-pooled shortcut, folded",
    ofOnnx({ shortcut: "average", folded: true }),
    "average-pooled-shortcut",
  ],
  ["max-pooled shortcut", ofOnnx({ shortcut: "max" }), "max-pooled-shortcut"],
  ["a block missing", without(/^layer3\.2\./), "blocks-per-stage"],
  ["batch norm behind the addition", ofOnnx({ normedSums: true }), "batch-norm-after-addition"],
  [
    "batch norm behind the addition, the others folded",
    ofOnnx({ normedSums: true, folded: true }),
    "batch-norm-after-addition",
  ],
  ["dropout, exported in training mode", ofOnnx({ dropout: true }), "dropout"],
  ["last layer without bias", without(/^linear\.bias/), "dense-without-bias"],
  ["last layer without bias, in ONNX", ofOnnx({ bias: false }), "dense-without-bias"],
  ["sigmoid at the end", ofOnnx({ end: "Sigmoid" }), "sigmoid-at-end"],
  ["softmax at the end", ofOnnx({ end: "Softmax" }), "softmax-at-end"],
  ["ReLU at the end", ofOnnx({ end: "Relu" }), "relu-at-end"],
  ["LeakyReLU", ofOnnx({ activation: "LeakyRelu" }), "other-activation"],
  ["LeakyReLU, folded", ofOnnx({ activation: "LeakyRelu", folded: true }), "other-activation"],
  ["ReLU on the branch", ofOnnx({ reluOnBranch: true }), "relu-before-addition"],
  [
    "ReLU on the branch, folded",
    ofOnnx({ reluOnBranch: true, folded: true }),
    "relu-before-addition",
  ],
  ["convolution, ReLU, norm", ofOnnx({ lateNorm: true }), "batch-norm-after-relu"],
  ["shortcut around one layer", ofOnnx({ around: "one" }), "shortcut-around-one"],
  ["copied channels for zero channels", ofOnnx({ shortcut: "copied" }), "copied-channels"],
  ["no shortcut where the shape changes", ofOnnx({ shortcut: "none" }), "shortcut-missing"],
  [
    "flattened head",
    changed((state) => state.set("linear.weight", someArray(10, 64 * 64))),
    "flattened-head",
  ],
  ["flattened head, in ONNX", ofOnnx({ head: "flatten" }), "flattened-head"],
  [
    "4x4 pooled head",
    changed((state) => state.set("linear.weight", someArray(10, 64 * 4))),
    "flattened-head",
  ],
  ["4x4 pooled head, in ONNX", ofOnnx({ head: "4x4" }), "flattened-head"],
  ["max pooling after the stem", ofOnnx({ stem: { pooled: true } }), "pooled-stem"],
  ["stem without ReLU", ofOnnx({ stem: { relu: false } }), "relu-missing-stem"],
  [
    "stem without ReLU, folded",
    ofOnnx({ stem: { relu: false }, folded: true }),
    "relu-missing-stem",
  ],
  ["group norm", without(/running|num_batches/), "batch-norm-incomplete"],
  ["group norm, in ONNX", ofOnnx({ groupNorm: true }), "group-norm"],
  [
    "a kernel not finite",
    changed((state) => state.get("layer1.0.conv1.weight")!.data[5] = NaN),
    "weights-not-finite",
  ],
  [
    "statistics that never moved",
    changed((state) => {
      for (const [key, { shape, data }] of [...state]) {
        if (/num_batches/.test(key)) state.set(key, scalarArray(0));
        if (/running_/.test(key)) {
          const value = key.endsWith("var") ? 1 : 0;
          state.set(key, { shape, data: new Float32Array(data.length).fill(value) });
        }
      }
    }),
    "statistics-never-moved",
  ],
  ["a dead layer", filled("layer2.0.conv2.weight", 0), "dead-layer"],
  ["zero variance", filled("layer2.0.bn2.running_var", 0), "zero-variance"],
  [
    "a variance below zero",
    changed((state) => state.get("layer2.0.bn2.running_var")!.data[3] = -1e-3),
    "zero-variance",
  ],
  [
    "training-mode norms before opset 14",
    ofOnnx({ trainingMode: "old", file: { opset: 11 } }),
    "training-mode-norm",
  ],
  [
    "training-mode norms since opset 14",
    ofOnnx({ trainingMode: "new", file: { opset: 17 } }),
    "training-mode-norm",
  ],
  ["28-pixel input", ofOnnx({ size: 28 }), "image-size"],
  ["pre-activation", ofState(preActivatedState("resnet20")), "pre-activation"],
  ["pre-activation, in ONNX", ofOnnx({ preActivation: true }), "pre-activation"],
  [
    "projections without norm",
    () => {
      const state = stateOf("resnet20", { shortcut: "B" });
      for (const key of state.keys()) if (/shortcut\.1/.test(key)) state.delete(key);
      return ofState(state)();
    },
    "projection-without-batch-norm",
  ],
  [
    "projections without norm, in ONNX",
    ofOnnx({ shortcut: "projection-bare" }),
    "projection-without-batch-norm",
  ],
  ["bottlenecks called resnet56", ofState(bottlenecks()), "bottleneck"],
  [
    "grouped convolutions",
    changed((state) => {
      for (const [key, { shape }] of [...state]) {
        if (shape.length === 4 && key !== "conv1.weight") {
          state.set(key, someArray(shape[0], shape[1] / 4, 3, 3));
        }
      }
    }),
    "grouped",
  ],
  ["grouped convolutions, in ONNX", ofOnnx({ groups: 4 }), "grouped"],
  [
    "5x5 stem",
    changed((state) => state.set("conv1.weight", someArray(16, 3, 5, 5))),
    "stem-kernel",
  ],
  ["5x5 stem, in ONNX", ofOnnx({ stem: { kernel: 5 } }), "stem-kernel"],
  ["7x7 stem", changed((state) => state.set("conv1.weight", someArray(16, 3, 7, 7))), "stem-7x7"],
  ["7x7 stem, in ONNX", ofOnnx({ stem: { kernel: 7, stride: 2 } }), "stem-7x7"],
  [
    "thinned channels",
    changed((state) => {
      state.set("layer1.1.conv1.weight", someArray(11, 16, 3, 3));
      state.set("layer1.1.conv2.weight", someArray(16, 11, 3, 3));
      for (const suffix of ["weight", "bias", "running_mean", "running_var"]) {
        state.set(`layer1.1.bn1.${suffix}`, someArray(11));
      }
    }),
    "thinned",
  ],
  ["stem padding 2", ofOnnx({ stem: { padding: 2 } }), "stem-padding"],
];

for (const [kind, report, id] of WRONG) {
  Deno.test(`${kind}: named first`, async () => {
    const { findings, conclusion, summary } = await report();
    assertEquals(findings[0]?.id, id, JSON.stringify(findings, null, 1));
    assert(conclusion === "departs" || conclusion === "wrong", conclusion);
    assert(!/No rule that can be observed/.test(summary[2]), summary[2]);
  });
}

/** What is looked for in vain, and where it is said that it can't be seen. */
const INVISIBLE: readonly (readonly [string, () => Promise<AuditReport>, rule: string])[] = [
  ["dropout, in weights", ofState(stateOf("resnet20")), "no-dropout"],
  ["dropout, exported for tests", ofOnnx({}), "no-dropout"],
  ["red and blue swapped", ofState(stateOf("resnet20")), "mean"],
  ["per-image standardisation", ofState(stateOf("resnet20")), "mean"],
];

for (const [kind, report, rule] of INVISIBLE) {
  Deno.test(`${kind}: said to be invisible`, async () => {
    const { judgements, findings } = await report();
    assertEquals(findings, []);
    assertEquals(judgements.find(({ id }) => id === rule)?.outcome, "not-observable");
  });
}

Deno.test("batch norm's epsilon: no departure, and said where the file shows it", async () => {
  const of = async (epsilon: number) => await ofOnnx({ epsilon })();
  const { findings, choices } = await of(1e-3);
  assertEquals(findings, []);
  const choice = choices.find(({ id }) => id === "running-statistics")?.choice;
  assert(choice?.includes("0.001"), JSON.stringify(choices));
});

const resnet20 = stateOf("resnet20");
const state = new Map<PythonValue, PythonValue>(resnet20);
const ofFile = (...parameters: Parameters<typeof torchFile>) => () =>
  auditOf(torchFile(...parameters));

const RIGHT: readonly (readonly [string, () => Promise<AuditReport>])[] = [
  ...PUBLISHED_NAMINGS.map((naming) =>
    [`names of ${naming.name}`, ofState(named(resnet20, naming))] as const
  ),
  ...(["half", "bfloat16", "double"] as const).map((type) =>
    [`arrays of ${type}`, ofFile(state, { type })] as const
  ),
  [
    "a channel that hardly varies, in half precision",
    () => {
      const arrays = stateOf("resnet20");
      arrays.get("layer2.0.bn2.running_var")!.data[3] = 2e-8;
      return auditOf(torchFile(new Map(arrays), { type: "half" }));
    },
  ],
  ["channels last", ofFile(state, { channelsLast: true })],
  ["a running average beside the weights", ofFile({ model: state, ema: state })],
  ["option A split or appended", ofOnnx({ shortcut: "split" })],
  ["swapped inputs of the addition", ofOnnx({ swapped: true })],
  ["swapped inputs of the addition, folded", ofOnnx({ swapped: true, folded: true })],
  ["ONNX, unfolded", ofOnnx({})],
  ["ONNX, folded", ofOnnx({ folded: true })],
  ["ONNX of an old exporter", ofOnnx({ shortcut: "sliced", head: "mean", file: { opset: 9 } })],
  ["ONNX with features as an output", ofOnnx({ features: true })],
  ["ONNX of one image", ofOnnx({ file: { input: [1, 3, 32, 32] } })],
  ["ONNX of images of any size", ofOnnx({ file: { input: ["N", 3, "H", "W"] } })],
  [
    "ONNX of this project",
    () => {
      const graph = architecture("resnet20");
      return auditOf(encodeOnnx(graph, initialise(graph, 1, "in")));
    },
  ],
  ["a plain net, in ONNX", ofOnnx({ residual: false, folded: true })],
];

for (const [kind, report] of RIGHT) {
  Deno.test(`${kind}: not accused`, async () => {
    const { findings, conclusion, candidates } = await report();
    assertEquals(findings, []);
    assertEquals(conclusion, "unseen");
    assert(candidates.length > 0);
  });
}
