/** The exhaustive form of spec/engines/kernels.test.ts: more shapes, more images, full size. */
import {
  compareResNet8,
  EXHAUSTIVE_CASES,
  QUICK_CASES,
  runCases,
  testAgainstOracle,
} from "../testing/engines/mod.ts";
import type { EngineFactory } from "./engine.ts";

await testAgainstOracle(
  "kernels agree with the oracle at every shape of the depths, and beyond",
  (factory, t) => runCases(t, factory, EXHAUSTIVE_CASES, { relativeNorm: 1e-5 }),
);

await testAgainstOracle(
  "direct convolutions agree with the oracle at every shape of the depths",
  (factory, t) => runCases(t, direct(factory), QUICK_CASES, { relativeNorm: 1e-5 }),
);

// At 14 the maps of 14x14 and 7x7 are no whole number of Winograd's tiles.
for (const size of [8, 14, 32]) {
  await testAgainstOracle(
    `a whole ResNet-8 on ${size}x${size} images agrees with the oracle in every gradient`,
    (factory) => compareResNet8(factory, size),
  );
}

/** An engine that leaves out Winograd's algorithm, its default. */
function direct(factory: EngineFactory): EngineFactory {
  return {
    ...factory,
    create: (options) => factory.create({ ...options, convolution: "direct" }),
  };
}
