/** Each optimiser in every engine's arithmetic against PyTorch (Caffe for its own), on a fixed sequence of gradients. */
import { assertEquals } from "@std/assert";
import { assertTensorClose } from "../testing/mod.ts";
import { obstacleTo } from "../testing/engines/mod.ts";
import { COUNT, FALL, OPTIMISER_VALUES, type OptimiserValues, STEPS } from "./_optimiser_values.ts";
import { decayOf, optimiserFaults, PLAIN_SGD, ruleOf } from "./optimiser.ts";
import { loadBackend } from "./tensorflow/_backend.ts";
import { Operations } from "./tensorflow/_operations.ts";
import { COMPOSED, FUSED, type TrainingKernels } from "./tensorflow/_training_kernels.ts";
import { Variable } from "./tensorflow/_variable.ts";
import { tensorflowEngine } from "./tensorflow/factory.ts";
import { NUMBERS } from "./tfjs/_engine.ts";
import { CONTROL, CONTROL_BYTES } from "./wasm/_control.ts";
import { Module } from "./wasm/assembler.ts";
import { updateKernel } from "./wasm/kernels/update.ts";
import { webgpuEngine } from "./webgpu/factory.ts";
import { runKernel } from "./webgpu/_testing.ts";
import { updateKernel as updateKernelWgsl, updateTable } from "./webgpu/kernels/update.ts";

/** As bench/peers/optimiser_values.py has them. */
const gradientOf = (step: number): Float32Array =>
  Float32Array.from({ length: COUNT }, (_, k) => Math.sin(step * (k + 1)) * (1 + k) / 4);
const START = Float32Array.from({ length: COUNT }, (_, k) => (-1) ** k * (1 + k) / 8);

/** Weights and slots. */
interface Ends {
  readonly weights: Float32Array;
  readonly slots: readonly Float32Array[];
}

/** One step of an engine: what it makes of weights, slots and a gradient. */
type Step = (before: Ends, gradient: Float32Array, scalars: readonly number[]) => Ends;

/** Single precision over 50 steps. */
const TOLERANCE = { relativeNorm: 1e-5 };

function compare(values: OptimiserValues, { weights, slots }: Ends): void {
  const { name } = values;
  assertEquals(ruleOf(values.optimiser).slots, Object.keys(values.slots), name);
  assertTensorClose(weights, Float32Array.from(values.weights), TOLERANCE, `${name}, weights`);
  Object.entries(values.slots).forEach(([slot, expected], i) =>
    assertTensorClose(slots[i], Float32Array.from(expected), TOLERANCE, `${name}, ${slot}`)
  );
}

function run({ optimiser, rate }: OptimiserValues, step: Step): Ends {
  const rule = ruleOf(optimiser);
  const slots = rule.slots.map(() => new Float32Array(COUNT));
  let ends: Ends = { weights: START, slots };
  for (let iteration = 1; iteration <= STEPS; iteration++) {
    const scalars = rule.scalars(iteration, iteration <= FALL ? rate : rate / 10);
    ends = step(ends, gradientOf(iteration), scalars);
  }
  return ends;
}

for (const values of OPTIMISER_VALUES) {
  const { optimiser } = values;
  const rule = ruleOf(optimiser);
  const decay = decayOf(optimiser, { role: "kernel" });

  Deno.test(`tfjs-cpu: ${values.name} as its source has it`, () => {
    const step: Step = ({ weights, slots }, gradient, scalars) => {
      const updated = Array.from(weights, (weight, i) =>
        rule.update(NUMBERS, {
          ...{ weight, gradient: gradient[i], scalars },
          slots: slots.map((slot) => slot[i]),
          ...(decay > 0 && { decay }),
        }));
      return {
        weights: Float32Array.from(updated, ({ weight }) => weight),
        slots: slots.map((_, k) => Float32Array.from(updated, ({ slots }) => slots[k])),
      };
    };
    compare(values, run(values, step));
  });

  Deno.test(`wasm: ${values.name} as its source has it, from two threads' gradients`, () => {
    const bytes = 4 * COUNT;
    const module = new Module(1, 1);
    const gradientOffset = bytes * (1 + rule.slots.length);
    updateKernel(module, rule, {
      isMet: true,
      ...{ optimiser, decay, gradientOffset, gradientStride: bytes, threads: 2 },
      scalars: rule.scalars(1, 0).length,
      slotOffsets: rule.slots.map((_, i) => bytes * (i + 1)),
    });
    const memory = new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true });
    const { exports } = new WebAssembly.Instance(new WebAssembly.Module(module.build()), {
      env: { memory },
    });
    const [update] = Object.values(exports) as ((from: number, to: number) => void)[];
    const floats = (address: number, length: number) =>
      new Float32Array(memory.buffer, address, length);
    const array = (i: number) => floats(CONTROL_BYTES + bytes * i, COUNT);
    compare(
      values,
      run(values, ({ weights, slots }, gradient, scalars) => {
        array(0).set(weights);
        slots.forEach((slot, i) => array(1 + i).set(slot));
        const parts = [0, 1].map((thread) => array(1 + slots.length + thread));
        parts.forEach((part, thread) => part.set(gradient.map((g) => thread ? g / 4 : g * 0.75)));
        floats(CONTROL.scalars, scalars.length).set(scalars);
        update(CONTROL_BYTES, CONTROL_BYTES + bytes);
        assertEquals(parts.map((part) => [...part]), [0, 1].map(() => Array(COUNT).fill(0)));
        return { weights: array(0).slice(), slots: slots.map((_, i) => array(1 + i).slice()) };
      }),
    );
  });
}

const noTensorFlow = await obstacleTo(tensorflowEngine);
Deno.test({
  name: `tensorflow: every optimiser as its source has it${
    noTensorFlow ? ` (not run: ${noTensorFlow})` : ""
  }`,
  ignore: noTensorFlow !== undefined,
  async fn(t) {
    const { binding } = await loadBackend("cpu");
    for (const values of OPTIMISER_VALUES) {
      for (const [form, kernels] of Object.entries({ FUSED, COMPOSED })) {
        await t.step(`${values.name}, ${form}`, () => compare(values, runNative(values, kernels)));
      }
    }

    function runNative(values: OptimiserValues, kernels: TrainingKernels): Ends {
      const { optimiser } = values;
      const tf = new Operations(binding);
      const weights = new Variable(tf, COUNT);
      const slots = ruleOf(optimiser).slots.map(() => new Variable(tf, COUNT));
      weights.assign(START.slice());
      const decay = optimiser.weightDecay > 0
        ? tf.keep(tf.floats([], Float32Array.of(optimiser.weightDecay)))
        : undefined;
      run(values, (ends, values, scalars) => {
        tf.scoped(() => {
          const gradient = tf.floats([COUNT], values);
          kernels.update(tf, optimiser, { weights, gradient, slots, scalars, decay });
        });
        return ends;
      });
      const ends = { weights: weights.read(), slots: slots.map((slot) => slot.read()) };
      for (const variable of [weights, ...slots]) variable.dispose();
      tf.dispose();
      return ends;
    }
  },
});

const noGpu = await obstacleTo(webgpuEngine);
Deno.test({
  name: `webgpu: every optimiser as its source has it${noGpu ? ` (not run: ${noGpu})` : ""}`,
  ignore: noGpu !== undefined,
  async fn(t) {
    const table = updateTable([
      { weights: 0, size: COUNT, gradients: 0, partials: 1, stride: COUNT, decays: true },
    ]);
    for (const values of OPTIMISER_VALUES) {
      await t.step(values.name, async () => {
        const { optimiser, rate } = values;
        const rule = ruleOf(optimiser);
        const kernel = updateKernelWgsl(optimiser, table);
        let weights: Float32Array = START;
        let slots: Float32Array[] = rule.slots.map(() => new Float32Array(COUNT));
        for (let iteration = 1; iteration <= STEPS; iteration++) {
          const scalars = rule.scalars(iteration, iteration <= FALL ? rate : rate / 10);
          const arrays = [table, gradientOf(iteration), weights, new Float32Array(4), ...slots];
          [, , weights, , ...slots] = await runKernel(kernel, { images: 1, scalars }, arrays);
        }
        compare(values, { weights, slots });
      });
    }
  },
});

Deno.test("settings outside of their ranges are named", () => {
  const adam = { kind: "adam", beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 0 } as const;
  assertEquals(optimiserFaults(PLAIN_SGD), []);
  assertEquals(optimiserFaults(adam), []);
  const fields = (optimiser: Parameters<typeof optimiserFaults>[0]) =>
    optimiserFaults(optimiser).map(({ field, found }) => [field, found]);
  assertEquals(fields({ ...PLAIN_SGD, momentum: 1, weightDecay: -1 }), [
    ["momentum", 1],
    ["weightDecay", -1],
  ]);
  assertEquals(fields({ ...adam, beta1: 1, beta2: -0.1, epsilon: 0 }), [
    ["beta1", 1],
    ["beta2", -0.1],
    ["epsilon", 0],
  ]);
  assertEquals(fields({ ...adam, kind: "nadam", momentumDecay: -1 }), [["momentumDecay", -1]]);
});

Deno.test("NAdam's product of momenta has the same bits wherever a run goes on", () => {
  const nadam = OPTIMISER_VALUES.find(({ name }) => name === "NAdam")!.optimiser;
  const straight = ruleOf(nadam), resumed = ruleOf(nadam);
  for (let step = 1; step < 1000; step++) straight.scalars(step, 0.1);
  assertEquals(resumed.scalars(1000, 0.1), straight.scalars(1000, 0.1));
  assertEquals(resumed.scalars(3, 0.1), ruleOf(nadam).scalars(3, 0.1));
});
