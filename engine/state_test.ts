/** The state of an engine: what a checkpoint needs of it, and what a refused call leaves behind. */
import { assertTensorClose } from "../testing/mod.ts";
import { type Arithmetic, ruleOf } from "./optimiser.ts";
import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import { architecture, buildGraph, parametersOf, sizeOf, truncate } from "../resnet/mod.ts";
import {
  comparedEngines,
  optionsFor,
  planFor,
  randomData,
  randomState,
  testEveryEngine,
  uniform,
  withEngine,
} from "../testing/engines/mod.ts";
import {
  type BatchPlan,
  decayOf,
  type Engine,
  EngineError,
  type EngineFactory,
  type EngineOptions,
  type Optimiser,
  PLAIN_SGD,
  type Probe,
  type TrainingState,
} from "./mod.ts";

const GRAPH = architecture("resnet8", { inputShape: [4, 4, 3] });
const IMAGE = sizeOf(GRAPH.inputShape);
const PADDING = 2;
const OPTIONS = optionsFor(GRAPH, { cropPadding: PADDING });
const RATE = 0.1;
const FIRST = planFor([0, 1, 2, 3], PADDING);
const SECOND = planFor([7, 6, 5, 4], PADDING);
const PARTIAL = planFor([6, 2, 1], PADDING);

/** TensorFlow's pass over what is no number when they take a maximum. */
const OWN_KERNELS = comparedEngines.filter(({ name }) => !name.startsWith("tensorflow"));

/** An engine with data and random weights. */
function prepared<T>(
  factory: EngineFactory,
  use: (engine: Engine) => Promise<T>,
  options: EngineOptions = OPTIONS,
): Promise<T> {
  return withEngine(factory, options, async (engine) => {
    await engine.load(randomData(GRAPH));
    await engine.importState(randomState(GRAPH));
    return await use(engine);
  });
}

/** Steps on the given batches, then the state. */
async function trained(engine: Engine, plans: readonly BatchPlan[]): Promise<TrainingState> {
  for (const plan of plans) engine.step(plan, RATE);
  return await engine.exportState();
}

await testEveryEngine("an imported state is exported with the same bits", async (factory) => {
  const state = { ...randomState(GRAPH), iteration: 12 };
  const exported = await prepared(factory, async (engine) => {
    await engine.importState(state);
    return await engine.exportState();
  });
  assertEquals(exported, state);
});

await testEveryEngine("a state is copied on its way in and out", async (factory) => {
  const state = randomState(GRAPH);
  await prepared(factory, async (engine) => {
    await engine.importState(state);
    state.weights.get("conv1.weight")!.data.fill(9);
    const exported = await engine.exportState();
    exported.weights.get("conv1.weight")!.data.fill(8);
    assertEquals(await engine.exportState(), randomState(GRAPH));
  });
});

await testEveryEngine("starts from zeros: equal logits and the first class", async (factory) => {
  await withEngine(factory, OPTIONS, async (engine) => {
    await engine.load(randomData(GRAPH));
    const { logits, predictions } = await engine.evaluate("test");
    assertEquals(logits, new Float32Array(70));
    assertEquals(predictions, new Uint8Array(7));
  });
});

await testEveryEngine("going on from an export equals never having stopped", async (factory) => {
  const { middle, end } = await prepared(factory, async (engine) => ({
    middle: await trained(engine, [FIRST, SECOND]),
    end: await trained(engine, [PARTIAL, FIRST]),
  }));
  const resumed = await prepared(factory, async (engine) => {
    await engine.importState(middle);
    return await trained(engine, [PARTIAL, FIRST]);
  });
  assertEquals(resumed, end);
  assertEquals(end.iteration, 4);
});

await testEveryEngine("the same steps give the same bits", async (factory) => {
  const run = () => prepared(factory, (engine) => trained(engine, [FIRST, PARTIAL, SECOND]));
  assertEquals(await run(), await run());
});

await testEveryEngine("looking at an engine changes nothing", async (factory) => {
  const undisturbed = await prepared(factory, (engine) => trained(engine, [FIRST, SECOND]));
  const watched = await prepared(factory, async (engine) => {
    await trained(engine, [FIRST]);
    await engine.evaluate("test");
    await engine.augmented(PARTIAL);
    await engine.probe({
      input: uniform(2 * IMAGE, 2000),
      images: 2,
      mode: "training",
      labels: Uint8Array.of(4, 2),
    });
    await engine.metrics();
    return await trained(engine, [SECOND]);
  });
  assertEquals(watched, undisturbed);
});

await testEveryEngine(
  "steps are taken after the probe that was asked for before",
  async (factory) => {
    const probe: Probe = {
      ...{ input: uniform(4 * IMAGE, 7), images: 4, mode: "training" },
      labels: Uint8Array.of(3, 1, 4, 1),
    };
    const [alone, followed] = [false, true].map((isFollowed) =>
      prepared(factory, async (engine) => {
        const probed = engine.probe(probe);
        if (isFollowed) engine.step(SECOND, RATE);
        return await probed;
      })
    );
    assertEquals(await followed, await alone);
  },
);

await testEveryEngine("a batch may be smaller than the engine's", async (factory) => {
  // What a larger batch left behind must not reach the smaller one.
  const { middle, end } = await prepared(factory, async (engine) => ({
    middle: await trained(engine, [FIRST]),
    end: await trained(engine, [PARTIAL]),
  }));
  const fresh = await prepared(factory, async (engine) => {
    await engine.importState(middle);
    return await trained(engine, [PARTIAL]);
  });
  assertEquals(fresh, end);
  const [metrics] = await prepared(factory, async (engine) => {
    engine.step(PARTIAL, RATE);
    return await engine.metrics();
  });
  assertEquals(metrics.images, 3);
});

/** A call that must be refused, and what its message must name. */
interface Refusal {
  readonly name: string;
  readonly call: (engine: Engine) => unknown;
  readonly says: string;
}

const withArray = (state: TrainingState, name: string, length: number): TrainingState => ({
  ...state,
  weights: new Map([...state.weights, [
    name,
    { shape: [length], data: new Float32Array(length) },
  ]]),
});

const REFUSALS: readonly Refusal[] = [
  {
    name: "an index past the training set",
    call: (engine) => engine.step({ ...FIRST, indices: Uint32Array.of(0, 1, 2, 8) }, RATE),
    says: "indices[3] must be below 8",
  },
  {
    name: "a crop past the padding",
    call: (engine) => engine.step({ ...FIRST, cropX: Uint8Array.of(0, 5, 0, 0) }, RATE),
    says: "cropX[1] must be 0 to 4, found 5",
  },
  {
    name: "a flip that is neither 0 nor 1",
    call: (engine) => engine.step({ ...FIRST, flip: Uint8Array.of(0, 0, 2, 0) }, RATE),
    says: "flip[2] must be 0 to 1, found 2",
  },
  {
    name: "a plan with arrays of two lengths",
    call: (engine) => engine.step({ ...FIRST, cropY: new Uint8Array(3) }, RATE),
    says: "cropY must hold [4] = 4 values, found 3",
  },
  {
    name: "a batch above the engine's size",
    call: (engine) => engine.step(planFor([0, 1, 2, 3, 4], PADDING), RATE),
    says: "1 to 4 images (the engine's batchSize), found 5",
  },
  {
    name: "an empty batch",
    call: (engine) => engine.step(planFor([], PADDING), RATE),
    says: "found 0",
  },
  {
    name: "a learning rate that is no number",
    call: (engine) => engine.step(FIRST, NaN),
    says: "learning rate must be finite and at least 0, found NaN",
  },
  {
    name: "an evaluation past the test set",
    call: (engine) => engine.evaluate("test", Uint32Array.of(7)),
    says: "indices[0] must be below 7",
  },
  {
    name: "a state without an array",
    call: (engine) => {
      const { weights, ...rest } = randomState(GRAPH);
      const fewer = new Map([...weights].filter(([name]) => name !== "layer2.0.bn1.weight"));
      return engine.importState({ ...rest, weights: fewer });
    },
    says: "missing are layer2.0.bn1.weight",
  },
  {
    name: "a state with a foreign array",
    call: (engine) => engine.importState(withArray(randomState(GRAPH), "fc.weight", 3)),
    says: "unexpected are fc.weight",
  },
  {
    name: "a state with an array of another shape",
    call: (engine) => engine.importState(withArray(randomState(GRAPH), "bn1.bias", 3)),
    says: "bn1.bias (expected [16], found [3]",
  },
  {
    name: "a state of another optimiser",
    call: (engine) => {
      const { slots, ...rest } = randomState(GRAPH);
      return engine.importState({ ...rest, slots: new Map([["mean", slots.get("velocity")!]]) });
    },
    says: 'the optimiser "sgd" keeps velocity, the state has mean',
  },
  {
    name: "a state whose velocity lacks an array",
    call: (engine) => {
      const { slots, ...rest } = randomState(GRAPH);
      const velocity = new Map(slots.get("velocity"));
      velocity.delete("bn1.bias");
      return engine.importState({ ...rest, slots: new Map([["velocity", velocity]]) });
    },
    says: "velocity must be exactly the arrays",
  },
  {
    name: "a state with a broken iteration",
    call: (engine) => engine.importState({ ...randomState(GRAPH), iteration: 1.5 }),
    says: "iteration must be a whole number of at least 0, found 1.5",
  },
  {
    name: "a probe with too few values",
    call: (engine) => engine.probe({ input: new Float32Array(5), images: 1, mode: "inference" }),
    says: "input must hold [1, 4, 4, 3] = 48 values, found 5",
  },
  {
    name: "a probe with a label that no class has",
    call: (engine) =>
      engine.probe({
        input: new Float32Array(IMAGE),
        images: 1,
        mode: "training",
        labels: Uint8Array.of(10),
      }),
    says: "labels[0] must be below 10, found 10",
  },
  {
    name: "a probe with two objectives",
    call: (engine) =>
      engine.probe({
        input: new Float32Array(IMAGE),
        images: 1,
        mode: "training",
        labels: Uint8Array.of(1),
        upstream: new Float32Array(10),
      }),
    says: "takes upstream or labels, found both",
  },
];

await testEveryEngine("refuses bad input and keeps its state", async (factory, t) => {
  await prepared(factory, async (engine) => {
    const before = await trained(engine, [FIRST]);
    await engine.metrics();
    for (const { name, call, says } of REFUSALS) {
      await t.step(name, async () => {
        await assertRejects(async () => await call(engine), EngineError, says);
        assertEquals(await engine.exportState(), before);
        assertEquals(await engine.metrics(), []);
      });
    }
  });
});

await testEveryEngine("refuses data that do not fit the graph", async (factory) => {
  await withEngine(factory, OPTIONS, async (engine) => {
    const data = randomData(GRAPH);
    const shifted = { ...data.train, labels: new Uint8Array(data.train.count).fill(10) };
    await assertRejects(
      () => engine.load({ ...data, train: shifted }),
      EngineError,
      "labels[0] must be below 10, found 10",
    );
    const larger = randomData(architecture("resnet8", { inputShape: [5, 4, 3] }));
    await assertRejects(() => engine.load(larger), EngineError, "takes images [4, 4, 3]");
    await engine.load(data);
  });
});

await testEveryEngine("refuses to train or evaluate before it has data", async (factory) => {
  await withEngine(factory, OPTIONS, async (engine) => {
    await engine.importState(randomState(GRAPH));
    assertThrows(() => engine.step(FIRST, RATE), EngineError, "load");
    await assertRejects(() => engine.evaluate("test"), EngineError, "load");
  });
});

await testEveryEngine("refuses a loss where the output is no row of classes", async (factory) => {
  const part = truncate(GRAPH, "relu1");
  await withEngine(factory, optionsFor(part), async (engine) => {
    await assertRejects(
      () =>
        engine.probe({
          input: new Float32Array(IMAGE),
          images: 1,
          mode: "training",
          labels: Uint8Array.of(1),
        }),
      EngineError,
      "a loss needs an output [classes]",
    );
  });
});

await testEveryEngine("refuses settings that make no sense", async (factory) => {
  const bad: readonly [Partial<EngineOptions>, string][] = [
    [{ batchSize: 0 }, "batchSize"],
    [{ cropPadding: -1 }, "cropPadding"],
    [{ optimiser: { ...PLAIN_SGD, momentum: NaN } }, "optimiser.momentum"],
    [{ optimiser: { ...PLAIN_SGD, weightDecay: -1 } }, "optimiser.weightDecay"],
    [{ batchNorm: { epsilon: -1, momentum: 0.1 } }, "epsilon"],
    [{ batchNorm: { epsilon: 0, momentum: 0.1 } }, "epsilon must be above 0"],
  ];
  for (const [departure, names] of bad) {
    await assertRejects(() => factory.create({ ...OPTIONS, ...departure }), EngineError, names);
  }
});

await testEveryEngine("a weight that is no number leaves no loss one", async (factory) => {
  const state = randomState(GRAPH);
  state.weights.get("layer2.0.conv1.weight")!.data[0] = NaN;
  await withEngine(factory, OPTIONS, async (engine) => {
    await engine.load(randomData(GRAPH));
    await engine.importState(state);
    assertEquals((await engine.evaluate("test")).loss, NaN);
    engine.step(FIRST, RATE);
    assertEquals((await engine.metrics()).map(({ loss }) => loss), [NaN]);
  });
});

await testEveryEngine("what is no number is the largest of its window", async (factory) => {
  const graph = buildGraph("pool", [4, 4, 1], [
    { kind: "max-pool", name: "pool", input: "input", kernel: 2, stride: 2, padding: 0 },
  ]);
  const input = [[1, NaN, 2, 3], [0, 0, 5, 0], [NaN, 1, 1, 1], [0, -1, 0, 0]].flat();
  const { output } = await withEngine(
    factory,
    optionsFor(graph),
    (engine) => engine.probe({ input: Float32Array.from(input), images: 1, mode: "inference" }),
  );
  assertEquals(output, Float32Array.of(NaN, 5, NaN, 1)); // as PyTorch 2.13's max_pool2d
}, OWN_KERNELS);

await testEveryEngine("may be disposed of twice", async (factory) => {
  const engine = await factory.create(OPTIONS);
  await engine.importState(randomState(GRAPH));
  engine.dispose();
  engine.dispose();
  await assertRejects(() => engine.exportState(), EngineError, "disposed");
});

const SGD = { ...PLAIN_SGD, momentum: 0.9, weightDecay: 0.01 };
const ADAM = { beta1: 0.9, beta2: 0.99, epsilon: 1e-8, weightDecay: 0.1 } as const;
/** Optimisers whose slots, scalars and decays differ. */
const OPTIMISERS: Readonly<Record<string, Optimiser>> = {
  "Caffe's momentum": { ...SGD, velocityOf: "steps" as const },
  "AMSGrad": { kind: "adam", ...ADAM, amsgrad: true, decayed: "kernels" },
  "AdamW": { kind: "adamw", ...ADAM },
  "NAdam": { kind: "nadam", ...ADAM, momentumDecay: 0.004, decoupled: true },
};

await testEveryEngine(
  "a step is the optimiser's rule on the engine's own gradients, in every slot",
  async (factory, t) => {
    const doubles: Arithmetic<number> = {
      add: (a, b) => a + b,
      sub: (a, b) => a - b,
      mul: (a, b) => a * b,
      div: (a, b) => a / b,
      max: Math.max,
      sqrt: Math.sqrt,
      constant: (value) => value,
      keep: (value) => value,
    };
    for (const [name, optimiser] of Object.entries(OPTIMISERS)) {
      await t.step(name, async () => {
        const rule = ruleOf(optimiser);
        const specs = parametersOf(GRAPH).filter(({ trainable }) => trainable);
        const state: TrainingState = {
          ...randomState(GRAPH),
          iteration: 5,
          slots: new Map(rule.slots.map((slot, k) => [
            slot,
            // Positive, so that they may be means of squares.
            new Map(specs.map(({ name, shape }, i) => [
              name,
              { shape, data: uniform(sizeOf(shape), 700 + 100 * k + i).map((u) => 1.1 + u) },
            ])),
          ])),
        };
        const { gradients, after } = await withEngine(
          factory,
          { ...OPTIONS, optimiser },
          async (engine) => {
            await engine.load(randomData(GRAPH));
            await engine.importState(state);
            const { gradients } = await engine.probe({
              ...{ input: await engine.augmented(FIRST), images: 4, mode: "training" },
              labels: Uint8Array.from(FIRST.indices, (i) => randomData(GRAPH).train.labels[i]),
            });
            const after = await trained(engine, [FIRST]);
            const end = await trained(engine, [SECOND]);
            await engine.importState(after);
            assertEquals(await trained(engine, [SECOND]), end);
            return { gradients: gradients!, after };
          },
        );
        assertEquals([...after.slots.keys()], rule.slots);
        const scalars = rule.scalars(6, RATE);
        for (const spec of specs) {
          const decay = decayOf(optimiser, spec) || undefined;
          const of = (state: TrainingState) => [
            state.weights.get(spec.name)!.data,
            ...rule.slots.map((slot) => state.slots.get(slot)!.get(spec.name)!.data),
          ];
          const [weights, ...slots] = of(state);
          const gradient = gradients.get(spec.name)!.data;
          const expected = Array.from(weights, (weight, i) => {
            const element = {
              ...{ weight, gradient: gradient[i], scalars, decay },
              slots: slots.map((slot) => slot[i]),
            };
            const updated = rule.update(doubles, element);
            return [updated.weight, ...updated.slots];
          });
          of(after).forEach((found, k) =>
            assertTensorClose(
              found,
              Float32Array.from(expected, (values) => values[k]),
              { relativeNorm: 1e-5 },
              `${spec.name}, ${["weights", ...rule.slots][k]}`,
            )
          );
        }
      });
    }
  },
);
