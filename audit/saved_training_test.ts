import { assertEquals, assertStringIncludes } from "@std/assert";
import {
  decodePyTorch,
  PythonObject,
  type PythonValue,
  type SavedTraining,
  type Scalar,
  type SchedulerState,
  torchFile,
} from "../weights/mod.ts";
import { evidenceOf } from "./saved_training.ts";

/** A checkpoint with one optimiser, a scheduler, and values of the script's own. */
function saved(
  settings?: Record<string, Scalar>,
  scheduler?: Partial<SchedulerState>,
  values: Record<string, Scalar> = {},
): SavedTraining {
  const groups = settings && [{ settings, parameters: 65 }];
  return {
    optimisers: new Map(groups ? [["optimizer", { groups, slots: [] }]] : []),
    schedulers: new Map(
      scheduler
        ? [["scheduler", {
          ...{ settings: {}, milestones: [], baseRates: [0.1], lastRates: [], parts: [] },
          ...scheduler,
        }]]
        : [],
    ),
    values: new Map(Object.entries(values)),
  };
}

const PAPER = { lr: 0.1, momentum: 0.9, weight_decay: 1e-4, nesterov: false };
const steps = (milestones: number[], gamma: number, lastEpoch: number) => ({
  ...{ milestones, settings: { gamma, last_epoch: lastEpoch } },
});

const outcomes = (training: SavedTraining) =>
  Object.fromEntries(evidenceOf(training).evidence.map(({ rule, outcome }) => [rule, outcome]));

Deno.test("the paper's own settings pass, whatever the unit of the milestones", () => {
  for (const milestones of [[82, 123], [91, 136], [32_000, 48_000]]) {
    assertEquals(outcomes(saved(PAPER, steps(milestones, 0.1, 0))), {
      "weight-decay": "pass",
      "momentum": "pass",
      "learning-rate": "pass",
    });
  }
  const told = { "args.batch_size": 128, "args.epochs": 164 };
  assertEquals(outcomes(saved(undefined, undefined, told)), {
    "batch-size": "pass",
    "iterations": "pass",
  });
  assertEquals(outcomes(saved(undefined, undefined, { "args.epochs": 182 })), {
    "iterations": "pass",
  });
});

Deno.test("what the file states otherwise fails, with what it states", () => {
  const table: [SavedTraining, string, string][] = [
    [saved({ ...PAPER, weight_decay: 5e-4 }), "weight-decay", "0.0005"],
    [saved({ ...PAPER, momentum: 0 }), "momentum", "a momentum of 0"],
    [saved({ "lr": 1e-3, "betas.0": 0.9 }), "momentum", "Adam's kind"],
    [saved(PAPER, steps([100, 150], 0.1, 0)), "learning-rate", "milestones 100, 150"],
    [saved(PAPER, steps([82, 123], 0.2, 0)), "learning-rate", "multiplied by 0.2"],
    [
      saved(PAPER, { ...steps([82, 123], 0.1, 0), baseRates: [0.05] }),
      "learning-rate",
      "begins at 0.05",
    ],
    [saved(PAPER, { settings: { T_max: 200, last_epoch: 3 } }), "learning-rate", "cosine"],
    [saved(PAPER, { settings: { patience: 10, num_bad_epochs: 0 } }), "learning-rate", "plateau"],
    [saved({ ...PAPER, lr: 3e-4 }), "learning-rate", "0.0003"],
    [saved(PAPER, undefined, { "args.batch_size": 512 }), "batch-size", "512"],
    [saved(PAPER, undefined, { "args.epochs": 200 }), "iterations", "78,200"],
    [saved(PAPER, undefined, { "global_step": 78_200 }), "iterations", "78200"],
    [saved(undefined, undefined, { "args.weight_decay": 5e-4 }), "weight-decay", "0.0005"],
  ];
  for (const [training, rule, evidence] of table) {
    const found = evidenceOf(training).evidence.filter((one) => one.outcome === "fail");
    assertEquals(found.map((one) => one.rule), [rule]);
    assertStringIncludes(found[0].evidence, evidence);
  }
});

Deno.test("a part without decay is a reading of the paper's, and so is Nesterov's form", () => {
  const training = saved({ ...PAPER, nesterov: true });
  const bare = { settings: { ...PAPER, weight_decay: 0 }, parameters: 40 };
  const { groups } = training.optimisers.get("optimizer")!;
  const parts: SavedTraining = {
    ...training,
    optimisers: new Map([["optimizer", { groups: [...groups, bare], slots: [] }]]),
  };
  const { choices, evidence } = evidenceOf(parts);
  assertEquals(evidence.map(({ outcome }) => outcome), ["pass", "pass"]);
  assertEquals([...choices], [["momentum-form", "true/gradients"]]);
});

Deno.test("epoch, rate and milestones that disagree: resumed without the scheduler", () => {
  const causes = (lr: number, counted: number, epoch: number) =>
    evidenceOf(saved({ ...PAPER, lr }, steps([82, 123], 0.1, counted), { epoch })).causes;
  const [cause] = causes(0.1, 0, 164);
  assertEquals(cause.id, "schedule-not-followed");
  for (const part of ["epoch 164", "counts 0", "82, 123", "would be 0.001", "is 0.1"]) {
    assertStringIncludes(cause.evidence, part);
  }
  // By epochs counted from 0 or from 1, with rates rounded as floats are.
  assertEquals(causes(0.1 * 0.1, 83, 83), []);
  assertEquals(causes(0.1 * 0.1, 83, 84), []);
  assertEquals(causes(0.010000000000000002, 100, 99), []);
  // Counted in iterations.
  const stepped = saved({ ...PAPER, lr: 0.01 }, steps([32_000, 48_000], 0.1, 40_000), {
    epoch: 102,
  });
  assertEquals(evidenceOf(stepped).causes, []);
  assertStringIncludes(causes(0.1, 100, 100)[0].evidence, "by its scheduler the rate is 0.01");
});

Deno.test("the best accuracy is read as a share or in percent; a training's own is not", () => {
  const claimed = (values: Record<string, Scalar>) =>
    evidenceOf(saved(undefined, undefined, values)).claimed?.error.toFixed(4);
  assertEquals(claimed({ best_prec1: 92.63 }), "0.0737");
  assertEquals(claimed({ "acc": 0.9263 }), "0.0737");
  assertEquals(claimed({ "test_err": 7.37 }), "0.0737");
  assertEquals(claimed({ train_acc: 99.9, loss: 0.1 }), undefined);
});

/** States as PyTorch 2.13's `state_dict()` has them. */
const constant = (count: number, total: number) => ({
  ...{ factor: 0.1, total_iters: total, base_lrs: [0.1], last_epoch: count },
  _step_count: count + 1,
});
const multiStep = (count: number, ...milestones: number[]) => ({
  milestones: new PythonObject("collections.Counter", [new Map(milestones.map((m) => [m, 1]))]),
  ...{ gamma: 0.1, base_lrs: [0.1], last_epoch: count, _step_count: count + 1 },
});
const sequential = (count: number, warmUp: number, ...after: PythonValue[]) => ({
  ...{ _milestones: [warmUp], last_epoch: count, _schedulers: after },
});

/** What a checkpoint with these schedulers, this rate and this epoch comes to. */
function told(schedulers: PythonValue, lr: number, epoch: number): string[] {
  const { training } = decodePyTorch(torchFile({
    state_dict: new Map([["weight", { shape: [1], data: Float32Array.of(1) }]]),
    optimizer: { state: {}, param_groups: [{ ...PAPER, lr, initial_lr: 0.1, params: [0] }] },
    ...{ schedulers, epoch },
  }));
  const { evidence, causes } = evidenceOf(training!);
  return [
    ...causes,
    ...evidence.filter(({ outcome }) => outcome === "fail"),
  ].map(({ evidence }) => evidence);
}

Deno.test("a scheduler that runs others, a warm-up first: its own count and rate are compared", () => {
  const inTurn = (count: number, warmUp: number, first: number, second: number) =>
    sequential(
      count,
      warmUp,
      constant(Math.min(count, warmUp - 1), warmUp),
      multiStep(Math.max(0, count - warmUp), first, second),
    );
  const chained = (count: number) => ({
    _schedulers: [constant(count, 5), multiStep(count, 82, 123)],
  });
  const apart = (count: number) => [constant(5, 5), multiStep(count, 82, 123)];
  const gradual = (count: number, after: PythonValue) => ({
    ...{ total_epoch: 4, multiplier: 1, finished: count > 5, base_lrs: [0.1] },
    ...{ last_epoch: Math.min(count, 5), _step_count: Math.min(count, 5) + 1 },
    after_scheduler: new PythonObject("torch.optim.lr_scheduler.MultiStepLR", [], after),
  });
  for (
    const right of [
      told(inTurn(164, 5, 77, 118), 0.001, 164),
      told(inTurn(100, 5, 77, 118), 0.01, 100),
      told(inTurn(3, 5, 77, 118), 0.01, 3),
      // Counted behind the warm-up.
      told(inTurn(64_000, 400, 32_000, 48_000), 0.001, 163),
      told(chained(164), 0.001, 164),
      told(chained(2), 0.01, 2),
      told(apart(164), 0.001, 164),
      told(gradual(164, multiStep(159, 77, 118)), 0.001, 164),
      told(gradual(3, multiStep(0, 77, 118)), 0.075, 3),
    ]
  ) assertEquals(right, []);

  for (
    const [wrong, what] of [
      // Resumed without their state.
      [told(inTurn(2, 5, 77, 118), 0.01, 164), "rate would be 0.001, and the optimiser's is 0.01"],
      [told(chained(0), 0.1, 164), "epoch 164, and its scheduler counts 0"],
      [told(apart(5), 0.1, 164), "epoch 164, and its scheduler counts 5"],
      [told(gradual(6, multiStep(1, 77, 118)), 0.1, 164), "by milestones 82, 123 the rate would"],
      [told(inTurn(100, 5, 77, 118), 0.1, 100), "by its scheduler the rate is 0.01 at 100"],
      [told(chained(100), 0.1, 100), "by its scheduler the rate is 0.01 at 100"],
      // Not the paper's.
      [told(inTurn(4, 5, 100, 150), 0.01, 4), "milestones 105, 155"],
      [
        told(
          sequential(9, 5, constant(4, 5), { T_max: 195, base_lrs: [0.1], last_epoch: 4 }),
          1,
          9,
        ),
        "cosine (period 195)",
      ],
    ] as const
  ) {
    assertEquals(wrong.length, 1, wrong.join("; "));
    assertStringIncludes(wrong[0], what);
  }
});
