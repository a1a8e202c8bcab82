// Files as people have them, on which audits were wrong: each kind is made here, and the very
// files are looked at where they lie beside this project.
import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { WeightFileError } from "../resnet/mod.ts";
import { decodeModel, openSource } from "../weights/mod.ts";
import {
  isThere,
  named,
  onnxNet,
  onnxNetBeside,
  OnnxWriter,
  preActivatedState,
  PythonGlobal,
  PythonObject,
  PythonTuple,
  type PythonValue,
  someArray,
  stateOf,
  torchFile,
} from "../testing/files/mod.ts";
import { audit } from "./audit.ts";
import type { AuditReport } from "./report.ts";
import { fileSubject } from "./targets.ts";

/** One row: the files that were given, one of their kind, and what is right to say of either. */
interface Case {
  readonly files: readonly string[];
  readonly made: () => Uint8Array | { readonly file: Uint8Array; readonly data: Uint8Array };
  /** Of what is read. */
  readonly right?: (report: AuditReport, text: string) => void;
  /** Of what is refused: what the message says. */
  readonly refused?: string;
}

const state = (name = "resnet8") => new Map<PythonValue, PythonValue>(stateOf(name));
const ids = ({ findings }: AuditReport) => findings.map(({ id }) => id);
const outcome = ({ judgements }: AuditReport, rule: string) =>
  judgements.find(({ id }) => id === rule)?.outcome;

const nothingFails = (report: AuditReport, text: string) => {
  assertEquals(ids(report), []);
  assertStringIncludes(text, "resnet8");
};
const isRead = (_: AuditReport, text: string) => assertStringIncludes(text, "resnet8");
/** The first finding, once, and what may stand beside it. */
const first = (id: string, rule: string, ...others: string[]) => (report: AuditReport) => {
  assertEquals(ids(report), [id, ...others]);
  assertEquals([report.findings[0].rule, outcome(report, rule)], [rule, "fail"]);
};

const SGD = {
  ...{ lr: 0.1, momentum: 0.9, dampening: 0, weight_decay: 5e-4, nesterov: true },
  ...{ maximize: false, foreach: null, initial_lr: 0.1, params: [0, 1, 2] },
};

/** `numpy.float64(value)`; the digits do not matter. */
const numpyScalar = () =>
  new PythonObject("numpy._core.multiarray.scalar", [
    new PythonObject(
      "numpy.dtype",
      ["f8", false, true],
      new PythonTuple([3, "<", null, null, null, -1, -1, 0]),
    ),
    new PythonObject("_codecs.encode", ["\u00cd\u00cc\u00cc\u00cc\u00cc\u00ccV@", "latin1"]),
  ]);

/** A net whose integers and scales stand where floats would. */
function quantised(): Uint8Array {
  const writer = new OnnxWriter();
  const scale = writer.tensor([1]);
  const x = writer.node("QuantizeLinear", ["input", scale]);
  return writer.finish({ input: ["N", 3, 32, 32], outputs: [x] });
}

const withoutBias = () => {
  const arrays = state();
  arrays.delete("linear.bias");
  return torchFile(arrays);
};

const filled = (pattern: RegExp, value: (key: string) => number) =>
  torchFile(
    new Map(
      [...stateOf("resnet8")].map(([key, { shape, data }]) => [
        key,
        { shape, data: pattern.test(key) ? new Float32Array(data.length).fill(value(key)) : data },
      ]),
    ),
  );

const CASES: readonly Case[] = [
  {
    files: ["multisteplr_scheduler.pth"],
    made: () =>
      torchFile({
        ...{ state_dict: state(), optimizer: { state: {}, param_groups: [SGD] }, epoch: 164 },
        scheduler: {
          milestones: new PythonObject("collections.Counter", [new Map([[82, 1], [123, 1]])]),
          ...{ gamma: 0.1, base_lrs: [0.1], last_epoch: 0, _step_count: 1, _last_lr: [0.1] },
        },
      }),
    right: (report, text) => {
      // The file's own epoch, milestones and rate contradict each other.
      assertEquals(ids(report), ["schedule-not-followed", "weight-decay"]);
      assertEquals(outcome(report, "momentum"), "pass");
      for (const part of ["milestones 82, 123", "gamma 0.1", "weight_decay 0.0005", "epoch 164"]) {
        assertStringIncludes(text, part);
      }
    },
  },
  {
    files: ["argparse_namespace.pth"],
    made: () =>
      torchFile({
        ...{ state_dict: state(), epoch: 1 },
        args: new PythonObject("argparse.Namespace", [], { lr: 0.1 }),
      }),
    right: nothingFails,
  },
  {
    files: ["numpy_acc.pth"],
    made: () => torchFile({ net: state(), acc: numpyScalar(), epoch: 199 }),
    right: (report, text) => {
      nothingFails(report, text);
      assertStringIncludes(report.summary[1], "an error of 8.80%");
    },
  },
  {
    files: ["defaultdict_history.pth"],
    made: () =>
      torchFile({
        state_dict: state(),
        history: new PythonObject(
          "collections.defaultdict",
          [new PythonGlobal("builtins.list")],
          undefined,
          { loss: [1.5] },
        ),
      }),
    right: nothingFails,
  },
  {
    files: ["lightning_plain.ckpt"],
    made: () =>
      torchFile({
        ...{ "epoch": 1, "global_step": 2, "pytorch-lightning_version": "2.6.6", "callbacks": {} },
        state_dict: new Map([...stateOf("resnet8")].map(([key, array]) => [`model.${key}`, array])),
        optimizer_states: [{
          state: {},
          param_groups: [{ ...SGD, momentum: 0, weight_decay: 0, nesterov: false }],
        }],
        ...{ hparams_name: "kwargs" },
        lr_schedulers: [{
          milestones: new PythonObject("collections.Counter", [new Map([[1, 1]])]),
          ...{ gamma: 0.1, base_lrs: [0.1], last_epoch: 0, _step_count: 1, _last_lr: [0.1] },
        }],
        hyper_parameters: new PythonObject("omegaconf.dictconfig.DictConfig", [], { _content: {} }),
      }),
    right: (report, text) => {
      isRead(report, text);
      // By the file's own optimiser and scheduler.
      assertEquals(ids(report).toSorted(), ["learning-rate", "momentum", "weight-decay"]);
    },
  },
  {
    files: ["optimizer_says_wd5e-4_nesterov.pth"],
    made: () =>
      torchFile({
        ...{ state_dict: state(), optimizer: { state: {}, param_groups: [SGD] }, epoch: 200 },
        args: { lr: 0.1, weight_decay: 5e-4, batch_size: 512, nesterov: true },
      }),
    right: (report) => {
      const decay = report.findings.find(({ rule }) => rule === "weight-decay");
      assertStringIncludes(decay!.evidence, "0.0005");
      assertEquals(ids(report).toSorted(), ["batch-size", "weight-decay"]);
      assertEquals(
        report.choices.find(({ id }) => id === "momentum-form")?.choice,
        "Nesterov's",
      );
    },
  },
  ...[
    ["names_blocks_flat.pt", "blocks", (stage: number) => `blocks.${stage}`],
    ["names_body_stage.pt", "body", (stage: number) => `body.stage${stage + 1}.0`],
    ["names_low_mid_high.pt", "words", (stage: number) => `${["low", "mid", "high"][stage]}.0`],
  ].map(([file, name, blockOf]): Case => ({
    files: [file as string],
    made: () =>
      torchFile(named(stateOf("resnet8"), {
        name: name as string,
        path: ({ kind, part, stage, index }) => {
          const own = kind === "norm" ? "bn" : "conv";
          return part === "head"
            ? "linear"
            : part === "stem"
            ? `${own}1`
            : `${(blockOf as (stage: number) => string)(stage)}.${own}${index + 1}`;
        },
      })),
    right: nothingFails,
  })),
  {
    files: ["two_copies_model_and_ema.pt"],
    made: () =>
      torchFile(
        new Map(
          ["model.", "ema_model.module."].flatMap((prefix) =>
            [...stateOf("resnet8")].map(([key, array]) => [prefix + key, array] as const)
          ),
        ),
      ),
    right: (report, text) => {
      nothingFails(report, text);
      assertStringIncludes(text, "2 copies");
      assertStringIncludes(text, '"ema_model"');
    },
  },
  {
    files: ["ema_module_evaluate_refuses.pt"],
    made: () =>
      torchFile(
        new Map([...stateOf("resnet8")].map(([key, array]) => [`ema.module.${key}`, array])),
      ),
    right: nothingFails,
  },
  {
    files: ["dense_without_bias.pt"],
    made: withoutBias,
    right: (report, text) => {
      first("dense-without-bias", "head")(report);
      assertStringIncludes(text, "75,280");
    },
  },
  {
    files: ["nan_weights.pt"],
    made: () => filled(/layer1\.0\.conv1\.weight/, () => NaN),
    right: (report) => {
      assertEquals([ids(report)[0], report.conclusion], ["weights-not-finite", "wrong"]);
    },
  },
  {
    files: ["batch_norm_never_trained.pt"],
    made: () =>
      filled(
        /running|num_batches/,
        (key) => key.endsWith("running_var") ? 1 : 0,
      ),
    right: (report) => {
      assertEquals([ids(report)[0], report.conclusion], ["statistics-never-moved", "wrong"]);
    },
  },
  {
    files: ["preactivation_v2.pt"],
    made: () => torchFile(preActivatedState("resnet8")),
    right: (report, text) => {
      // The given file was never trained, and has projections; neither is of its form.
      const others = ["projection", "statistics-never-moved"];
      assertEquals(ids(report).filter((id) => !others.includes(id)), ["pre-activation"]);
      assertStringIncludes(text, "pre-activation");
    },
  },
  {
    files: ["stem5x5_stride1.pt"],
    made: () =>
      torchFile(new Map([...stateOf("resnet8"), ["conv1.weight", someArray(16, 3, 5, 5)]])),
    right: (report) => {
      first("stem-kernel", "stem")(report);
      assert(!/stride/.test(report.findings[0].evidence), report.findings[0].evidence);
    },
  },
  {
    files: ["w03_no_relu_after_add.onnx"],
    made: () => onnxNet({ folded: true, linearSums: () => true }),
    right: first("relu-missing-after-addition", "activation"),
  },
  {
    files: ["w15_relu_before_add.onnx"],
    made: () => onnxNet({ folded: true, reluOnBranch: true }),
    right: first("relu-before-addition", "activation"),
  },
  {
    files: ["w09_bn_after_add.onnx"],
    made: () => onnxNet({ folded: true, normedSums: true }),
    right: first("batch-norm-after-addition", "batch-norm"),
  },
  {
    files: ["x11_tf2onnx.onnx"],
    made: () => onnxNet({ shortcut: "projection-bare", file: { producer: "tf2onnx" } }),
    right: first("projection-without-batch-norm", "batch-norm", "projection"),
  },
  {
    files: ["w14_leaky.onnx"],
    made: () => onnxNet({ folded: true, activation: "LeakyRelu" }),
    right: (report) => {
      first("other-activation", "activation")(report);
      assertStringIncludes(report.findings[0].evidence, "LeakyRelu");
    },
  },
  {
    files: ["w06_avgpool_shortcut.onnx"],
    made: () => onnxNet({ folded: true, shortcut: "average" }),
    right: first("average-pooled-shortcut", "identity"),
  },
  {
    files: ["x06_qstatic_qdq.onnx"],
    made: quantised,
    refused: "quantised",
  },
  {
    files: ["m_two_outputs.onnx"],
    made: () => onnxNet({ folded: true, features: true }),
    right: (report, text) => {
      nothingFails(report, text);
      assertStringIncludes(text, "several-outputs");
      assertEquals(outcome(report, "head"), "pass");
    },
  },
  {
    files: ["ok_new_exporter.onnx"],
    made: () => onnxNetBeside({ folded: true }, "model.onnx.data"),
    right: nothingFails,
  },
  {
    files: ["f09_torchscript.pt"],
    made: () =>
      torchFile(
        new PythonObject("__torch__.net.ResNet", [], {
          ...{ training: false, _is_full_backward_hook: null },
          conv1: new PythonObject("__torch__.Conv2d", [], { weight: someArray(16, 3, 3, 3) }),
          ...Object.fromEntries(
            [...Map.groupBy(
              [...stateOf("resnet8")].filter(([key]) => key !== "conv1.weight"),
              ([key]) => key.slice(0, key.lastIndexOf(".")),
            )].map(([path, arrays]) => [
              path,
              new PythonObject(
                "__torch__.Layer",
                [],
                Object.fromEntries(arrays.map(([key, array]) => [key.split(".").at(-1)!, array])),
              ),
            ]),
          ),
        }),
      ),
    right: nothingFails,
  },
  {
    files: ["f19b_gitlfs.pth"],
    made: () =>
      new TextEncoder().encode(
        `version https://git-lfs.github.com/spec/v1\noid sha256:${"0".repeat(64)}\nsize 1862783\n`,
      ),
    refused: "git lfs pull",
  },
];

async function reportOf(read: () => ReturnType<typeof decodeModel>): Promise<AuditReport> {
  return await audit(fileSubject("net", await read()));
}

async function check({ right, refused }: Case, read: () => ReturnType<typeof decodeModel>) {
  if (refused !== undefined) {
    const error = await assertRejects(() => reportOf(read), WeightFileError);
    assertStringIncludes(error.message, refused);
    return;
  }
  const report = await reportOf(read);
  const said = [...report.summary, ...report.notes, ...report.candidates.map(({ name }) => name)];
  right!(report, said.join("\n"));
}

for (const one of CASES) {
  Deno.test(`a file like ${one.files[0]}: the right answer`, async () => {
    const made = one.made();
    const [bytes, data] = made instanceof Uint8Array ? [made] : [made.file, made.data];
    const beside = (name: string) =>
      data && name === "model.onnx.data"
        ? Promise.resolve(data)
        : Promise.reject(new WeightFileError(`there is no ${name}`));
    await check(one, () => decodeModel({ name: "net", bytes, beside }));
  });
}

/** Of other libraries: read, with projections without batch norm as their scripts have them. */
const OTHERS = ["k02_keras.h5", "tfjs_layers_model"];

const GIVEN = new URL("../../shared/cases/audit/", import.meta.url);

for (const one of CASES) {
  for (const file of one.files) {
    const url = new URL(file, GIVEN);
    Deno.test({
      name: `${file}: the right answer (needs ../shared/cases/audit/${file})`,
      ignore: !isThere(url),
      fn: () =>
        check(
          one,
          async () => await decodeModel(await openSource(decodeURIComponent(url.pathname))),
        ),
    });
  }
}

for (const file of OTHERS) {
  const url = new URL(file, GIVEN);
  Deno.test({
    name: `${file}: read (needs ../shared/cases/audit/${file})`,
    ignore: !isThere(url),
    fn: async () => {
      const path = decodeURIComponent(url.pathname);
      const report = await reportOf(async () => await decodeModel(await openSource(path)));
      assertEquals(report.candidates[0].depth, 8);
      assertEquals(ids(report).slice(0, 2), ["projection-without-batch-norm", "projection"]);
    },
  });
}
