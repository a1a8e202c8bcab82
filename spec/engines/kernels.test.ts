/**
 * Every engine's kernels against the oracle's automatic differentiation, and a
 * whole network against PyTorch's values. The oracle has its own checks, beside
 * its source; engine/kernels_test.ts has the same kernels at full size.
 * The comparison is part of `deno task test`, which fetches the oracle's packages.
 * A software GPU would take longer than the rest together: it is not run here.
 */
import {
  comparedEngines,
  CONFORMANCE_CASES,
  runCases,
  testAgainstOracle,
  testEveryEngine,
} from "../../testing/engines/mod.ts";
import { selfTest } from "../../engine/mod.ts";

await testAgainstOracle(
  "each kernel agrees with the oracle: output, input gradient, parameter gradients",
  (factory, t) => runCases(t, factory, CONFORMANCE_CASES, { relativeNorm: 1e-5 }),
);

await testEveryEngine(
  "a whole ResNet-8 passes the self-test: PyTorch's outputs, gradients and steps",
  (factory) => selfTest(factory),
  comparedEngines,
);
