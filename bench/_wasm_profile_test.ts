import { assertEquals } from "@std/assert";
import { wasmProfileText } from "./_wasm_profile.ts";

Deno.test("the table gives shares of the step and, of products, of the peak", () => {
  const text = wasmProfileText("resnet8, wasm", {
    milliseconds: 10,
    threads: 2,
    groups: [
      // 0.3 GFLOP in 6 ms: 50 GFLOP/s of 60.
      { group: "convolution products", calls: 3, milliseconds: 6, operations: 3e8 },
      { group: "waiting", calls: 2, milliseconds: 2, operations: 0 },
    ],
  }, 60e9);
  const [head, ...lines] = text.split("\n").map((line) => line.split(/ {2,}/));
  assertEquals(head, [
    "resnet8, wasm, one training step of 10.0 ms (timing it takes a part): one of 2 threads, medians",
  ]);
  assertEquals(lines, [
    ["kernels", "calls", "ms", "share", "GFLOP/s", "of peak"],
    ["convolution products", "3", "6.000", "60.0%", "50.0", "83.3%"],
    ["waiting", "2", "2.000", "20.0%"],
    ["all", "5", "8.000", "80.0%", "37.5", "62.5%"],
  ]);
});
