/** The exhaustive form of spec/engines/kernels.test.ts: more shapes, more images, full size. */
import { compareResNet8, EXHAUSTIVE_CASES, runCases } from "./_kernel_cases.ts";
import { comparedEngines, testEveryEngine } from "./_testing.ts";

await testEveryEngine(
  "kernels agree with the oracle at every shape of the depths, and beyond",
  (factory, t) => runCases(t, factory, EXHAUSTIVE_CASES, { relativeNorm: 1e-5 }),
  comparedEngines,
);

await testEveryEngine(
  "a whole ResNet-8 on 32x32 images agrees with the oracle in every gradient",
  (factory) => compareResNet8(factory, 32),
  comparedEngines,
);
