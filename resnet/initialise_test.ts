import { assert, assertAlmostEquals, assertEquals, assertThrows } from "@std/assert";
import { architecture } from "./architectures.ts";
import { parametersOf } from "./graph.ts";
import { initialise, zeros } from "./initialise.ts";

const graph = architecture("resnet20");

Deno.test("kernels begin with the values computed independently", () => {
  // From a Python program: Philox4x32-10 and Box-Muller in doubles, key
  // [seed, 1], counter [block, 0, parameter, 0], rounded to float32. The angle's
  // sine and cosine may differ in their last bit, so 1e-6 relative.
  const golden: [number, "in" | "out", string, number[]][] = [
    [0, "in", "conv1.weight", [
      0.034876830875873566,
      -0.004742471966892481,
      0.2790178954601288,
      -0.39963528513908386,
      -0.13752925395965576,
      0.11847372353076935,
    ]],
    [7, "in", "conv1.weight", [0.3864481747150421, -0.07695084810256958, 0.07008015364408493]],
    // The sixth array: conv1.weight and bn1's four come before.
    [7, "in", "layer1.0.conv1.weight", [-0.04043964669108391, 0.11239440739154816]],
    // Fan-out of conv1 is 3 * 3 * 16 where fan-in is 3 * 3 * 3.
    [7, "out", "conv1.weight", [0.16733697056770325, -0.03332069516181946]],
  ];
  for (const [seed, fan, name, values] of golden) {
    const { data } = initialise(graph, seed, fan).get(name)!;
    values.forEach((value, i) => assertAlmostEquals(data[i], value, 1e-6 * Math.abs(value)));
  }
});

Deno.test("every array of the graph is there, in its order and shape", () => {
  const weights = initialise(graph, 0, "in");
  assertEquals(
    [...weights].map(([name, { shape, data }]) => [name, shape, data.length]),
    parametersOf(graph).map(({ name, shape }) => [name, shape, shape.reduce((a, b) => a * b, 1)]),
  );
});

Deno.test("batch norm starts as the identity, biases as zero", () => {
  const weights = initialise(graph, 3, "in");
  const constants = {
    "bn1.weight": 1,
    "bn1.bias": 0,
    "bn1.running_mean": 0,
    "bn1.running_var": 1,
    "linear.bias": 0,
  };
  for (const [name, value] of Object.entries(constants)) {
    const { data } = weights.get(name)!;
    assertEquals(data, new Float32Array(data.length).fill(value), name);
  }
});

Deno.test("kernels have the standard deviation of He initialisation and mean 0", () => {
  // Fans written out by hand: kernel area x channels.
  const cases: [string, number, number][] = [
    ["layer1.0.conv1.weight", 9 * 16, 9 * 16],
    ["layer2.0.conv1.weight", 9 * 16, 9 * 32],
    ["layer3.2.conv2.weight", 9 * 64, 9 * 64],
    ["linear.weight", 64, 10],
  ];
  const byFan = { in: initialise(graph, 5, "in"), out: initialise(graph, 5, "out") };
  for (const [name, fanIn, fanOut] of cases) {
    for (const [fan, count] of [["in", fanIn], ["out", fanOut]] as const) {
      const { data } = byFan[fan].get(name)!;
      const n = data.length;
      const mean = data.reduce((sum, x) => sum + x, 0) / n;
      const std = Math.sqrt(data.reduce((sum, x) => sum + (x - mean) ** 2, 0) / n);
      const expected = Math.sqrt(2 / count);
      // Four standard errors: sigma / sqrt(n) and sigma / sqrt(2n).
      assertAlmostEquals(mean, 0, 4 * expected / Math.sqrt(n), `mean of ${name}`);
      assertAlmostEquals(std, expected, 4 * expected / Math.sqrt(2 * n), `std of ${name}`);
    }
  }
});

/** Normal distribution function by Abramowitz and Stegun 7.1.26; error below 1.5e-7. */
function normalCdf(x: number): number {
  const z = Math.abs(x) / Math.SQRT2;
  const t = 1 / (1 + 0.3275911 * z);
  const polynomial = t *
    (0.254829592 +
      t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429))));
  const upper = polynomial * Math.exp(-z * z) / 2;
  return x < 0 ? upper : 1 - upper;
}

Deno.test("kernels are normally distributed (Kolmogorov-Smirnov)", () => {
  const { data } = initialise(graph, 6, "in").get("layer3.1.conv1.weight")!;
  const n = data.length;
  const sorted = data.map((x) => x / Math.sqrt(2 / (9 * 64))).sort();
  let distance = 0;
  sorted.forEach((x, i) => {
    const cdf = normalCdf(x);
    distance = Math.max(distance, Math.abs(cdf - i / n), Math.abs(cdf - (i + 1) / n));
  });
  // sqrt(n) D exceeds 1.95 once in a thousand normal samples. A uniform
  // distribution with the same variance has D = 0.06: here 11.
  assert(Math.sqrt(n) * distance < 1.95, `sqrt(n) D is ${Math.sqrt(n) * distance}`);
});

function correlation(a: Float32Array, b: Float32Array): number {
  let ab = 0, aa = 0, bb = 0;
  for (let i = 0; i < a.length; i++) {
    ab += a[i] * b[i];
    aa += a[i] ** 2;
    bb += b[i] ** 2;
  }
  return ab / Math.sqrt(aa * bb);
}

Deno.test("kernels of other seeds and other layers are uncorrelated", () => {
  const first = initialise(graph, 1, "in");
  const second = initialise(graph, 2, "in");
  const kernel = first.get("layer3.1.conv1.weight")!.data;
  const bound = 4 / Math.sqrt(kernel.length);
  for (
    const other of [
      second.get("layer3.1.conv1.weight")!.data,
      first.get("layer3.1.conv2.weight")!.data,
    ]
  ) assertAlmostEquals(correlation(kernel, other), 0, bound);
});

Deno.test("the same seed gives the same bits", () => {
  assertEquals(initialise(graph, 1, "in"), initialise(architecture("resnet20"), 1, "in"));
});

Deno.test("the last layer may start as libraries start it: uniform, the rest as before", () => {
  const he = initialise(graph, 1, "in");
  const library = initialise(graph, 1, "in", "library");
  for (const [name, { data }] of he) {
    if (name !== "linear.weight") assertEquals(library.get(name)!.data, data, name);
  }
  const { data } = library.get("linear.weight")!;
  const bound = 1 / Math.sqrt(64);
  assert(data.every((w) => Math.abs(w) <= bound));
  // A uniform distribution's variance is a third of its bound squared; 640 values.
  const variance = data.reduce((sum, w) => sum + w * w, 0) / data.length;
  assertAlmostEquals(variance, bound ** 2 / 3, 4 * bound ** 2 / 3 / Math.sqrt(data.length));
  assert(data.some((w) => Math.abs(w) > 0.95 * bound), "the bound is reached");
});

Deno.test("a seed out of range is refused", () => {
  assertThrows(() => initialise(graph, -1, "in"), RangeError, "found -1");
});

Deno.test("zeros holds the trainable arrays alone", () => {
  const momentum = zeros(graph);
  // 20 kernels, 19 pairs of scale and shift, one bias.
  assertEquals(momentum.size, 20 + 2 * 19 + 1);
  let elements = 0;
  for (const { data } of momentum.values()) {
    assert(data.every((value) => value === 0));
    elements += data.length;
  }
  assertEquals(elements, 269_722);
});
