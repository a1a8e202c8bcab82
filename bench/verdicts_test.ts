import { assert, assertAlmostEquals, assertEquals } from "@std/assert";
import { RandomStream } from "../random/mod.ts";
import { type Experiment, RUNS, simulate, SPREADS } from "./verdicts.ts";

const EXPERIMENTS = 10_000;

const rateOf = (
  kind: "equivalent" | "different" | "inconsistent",
  experiment: Experiment,
  meaning: "rates" | "ratesAsNet" = "rates",
): number => simulate(experiment, EXPERIMENTS, new RandomStream(1, "probe", 0))[meaning][kind] ?? 0;

Deno.test("a mean that is off by the margin is called equivalent in at most 5.7% of experiments", () => {
  assertEquals(RUNS, [1, 3, 5, 10]);
  assertEquals(SPREADS, [0.0016, 0.003, 0.0054]);
  for (const runs of RUNS.slice(1)) {
    for (const spread of SPREADS) {
      const rate = rateOf("equivalent", { difference: 0.005, spread, runs });
      // 5% and three standard errors of a simulated share.
      assert(rate <= 0.057, `${runs} runs with a spread of ${spread}: ${rate}`);
      // A decision that never says "equivalent" would pass the bound, too.
      assert(rate >= 0.03, `${runs} runs with a spread of ${spread}: ${rate}`);
    }
  }
});

Deno.test("so is a net that is off by the margin, where its printed number is one run of it", () => {
  for (const runs of RUNS.slice(1)) {
    for (const spread of SPREADS) {
      const off = { difference: 0.005, spread, runs };
      const rate = rateOf("equivalent", off, "ratesAsNet");
      assert(rate <= 0.057, `${runs} runs with a spread of ${spread}: ${rate}`);
    }
  }
  // A pair of means knows less than a mean and a fixed number: it says less often that they agree.
  const none = { difference: 0, spread: 0.0016, runs: 5 };
  const [printed, net] = [rateOf("equivalent", none), rateOf("equivalent", none, "ratesAsNet")];
  assert(net > 0.5 && net < printed, `${net} and ${printed}`);
  assert(rateOf("different", none, "ratesAsNet") <= 0.057);
});

Deno.test("the rates of equivalent are its power", () => {
  // SciPy: what bench/peers/scipy_statistics.py prints. Four standard errors of 10,000 experiments.
  for (
    const [runs, spread, difference, power] of [
      [3, 0.0016, 0, 0.9027785166656631],
      [3, 0.0054, 0, 0.10445807748131267],
      [5, 0.003, 0.0025, 0.4586389687791895],
      [10, 0.0054, 0.005, 0.04991181853920387],
    ]
  ) {
    const tolerance = 4 * Math.sqrt(power * (1 - power) / EXPERIMENTS);
    assertAlmostEquals(rateOf("equivalent", { difference, spread, runs }), power, tolerance);
  }
});

Deno.test("a difference that is none is seen in no more than 5% of experiments, a large one mostly", () => {
  for (const spread of SPREADS) {
    assert(rateOf("different", { difference: 0, spread, runs: 3 }) <= 0.057);
  }
  assert(rateOf("different", { difference: 0.01, spread: 0.0016, runs: 5 }) > 0.99);
  assert(rateOf("different", { difference: -0.01, spread: 0.0016, runs: 5 }) > 0.99);
});

Deno.test("one run of the published spread is seldom inconsistent, one of a larger spread often", () => {
  // The interval reaches t(0.975, 4) * sqrt 2 = 3.926 spreads to each side, by SciPy:
  // 2 * norm.sf(3.9265) = 0.0000862, and 2 * norm.sf(3.9265 * 0.16 / 0.54) = 0.2446.
  const single = { difference: 0, runs: 1 };
  assert(rateOf("inconsistent", { ...single, spread: 0.0016 }) < 0.0009);
  const rate = rateOf("inconsistent", { ...single, spread: 0.0054 });
  assertAlmostEquals(rate, 0.2446, 4 * Math.sqrt(0.2446 * 0.7554 / EXPERIMENTS));
});
