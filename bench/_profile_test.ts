import { assertEquals, assertStringIncludes } from "@std/assert";
import type { StepProfile } from "../engine/webgpu/mod.ts";
import { groupProfiles, profileText } from "./_profile.ts";

const KERNELS = [
  // 1 ms at 4 TFLOP/s and 1 GB/s
  { label: "a", group: "convolution", nanoseconds: 1e6, operations: 4e9, bytes: 1e6 },
  // 6 ms at 50 GB/s, half of what can be copied
  { label: "b", group: "batch norm", nanoseconds: 6e6, operations: 0, bytes: 3e8 },
  { label: "c", group: "convolution", nanoseconds: 3e6, operations: 4e9, bytes: 3e6 },
] as const;
const PROFILE: StepProfile = {
  dispatches: 3,
  encodeMilliseconds: 0.25,
  submitMilliseconds: 0.5,
  kernels: KERNELS,
};
const PEAK = { flops: 8e12, bytesPerSecond: 1e11 };

Deno.test("kernels are added up by group, the longest first, and all at the end", () => {
  assertEquals(groupProfiles(PROFILE), [
    { group: "batch norm", dispatches: 1, milliseconds: 6, operations: 0, bytes: 3e8 },
    { group: "convolution", dispatches: 2, milliseconds: 4, operations: 8e9, bytes: 4e6 },
    { group: "all", dispatches: 3, milliseconds: 10, operations: 8e9, bytes: 3.04e8 },
  ]);
});

Deno.test("the table gives shares of the step's time and of both ceilings", () => {
  const lines = profileText("resnet8, webgpu", PROFILE, PEAK).split("\n").map((line) =>
    line.trim().split(/ {2,}/)
  );
  assertEquals(lines.slice(2), [
    ["kernels", "dispatches", "ms", "share", "GFLOP/s", "of peak", "GB/s", "of copy"],
    ["batch norm", "1", "6.000", "60.0%", "0.0", "0.0%", "50.0", "50.0%"],
    // 8 GFLOP in 4 ms: 2 TFLOP/s of 8; 4 MB in 4 ms: 1 GB/s of 100.
    ["convolution", "2", "4.000", "40.0%", "2000", "25.0%", "1.0", "1.0%"],
    ["all", "3", "10.000", "100.0%", "800", "10.0%", "30.4", "30.4%"],
  ]);
});

Deno.test("an adapter without timestamp queries gets no times, and is told so", () => {
  const kernels = KERNELS.map(({ nanoseconds: _, ...kernel }) => kernel);
  const profile = { ...PROFILE, kernels };
  assertEquals(groupProfiles(profile)[0], {
    ...{ group: "convolution", dispatches: 2, operations: 8e9, bytes: 4e6 },
  });
  const text = profileText("resnet8, webgpu", profile, PEAK);
  assertStringIncludes(text, "3 dispatches, 0.250 ms of JavaScript");
  assertStringIncludes(text, "8000 GFLOP/s in multiply-adds, 100 GB/s copied");
  assertStringIncludes(text, "no timestamp queries");
});
