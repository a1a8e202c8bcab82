/**
 * Every engine's kernels and a whole network against the oracle's automatic
 * differentiation. The oracle has its own check, beside its source, and passes
 * the self-test, whose values come from PyTorch, like every engine.
 */
import { assertRejects } from "@std/assert";
import { compareResNet8, QUICK_CASES, runCases } from "../../engine/_kernel_cases.ts";
import { comparedEngines, oracle, testEveryEngine } from "../../engine/_testing.ts";
import { EngineError, type EngineFactory, selfTest } from "../../engine/mod.ts";

await testEveryEngine(
  "each kernel agrees with the oracle: output, input gradient, parameter gradients",
  (factory, t) => runCases(t, factory, QUICK_CASES, { relativeNorm: 1e-5 }),
  comparedEngines,
);

await testEveryEngine(
  "a whole ResNet-8 at batch 8 agrees with the oracle in every gradient",
  (factory) => compareResNet8(factory, 8),
  comparedEngines,
);

await testEveryEngine("passes the self-test: PyTorch's values", (factory) => selfTest(factory));

Deno.test("the self-test rejects an engine whose kernels are off by 0.1%", async () => {
  const broken: EngineFactory = {
    ...oracle,
    async create(options) {
      const engine = await oracle.create(options);
      const probe = engine.probe.bind(engine);
      engine.probe = async (given) => {
        const result = await probe(given);
        result.gradients?.get("layer2.0.conv1.weight")?.data.forEach((value, i, all) => {
          all[i] = value * 1.001;
        });
        return result;
      };
      return engine;
    },
  };
  await assertRejects(
    () => selfTest(broken),
    EngineError,
    "norm of gradient of layer2.0.conv1.weight must be",
  );
});
