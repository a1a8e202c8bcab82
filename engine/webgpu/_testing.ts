/** Runs single kernels on given values, for their tests. */
import { obstacleTo } from "../../testing/engines/mod.ts";
import { findAdapter } from "./_device.ts";
import { type Kernel, type Slice, STEP_BYTES, STEP_SCALARS } from "./_kernel.ts";
import { webgpuEngine } from "./mod.ts";

/** What a step uniform holds in a test. */
export interface TestStep {
  readonly images: number;
  /** Images over which the loss is the mean; those of the step by default. */
  readonly lossImages?: number;
  readonly inference?: boolean;
  readonly updateRunning?: boolean;
  readonly slot?: number;
  readonly scalars?: readonly number[];
}

/** Why kernels are not run here, for the names of tests that are not run. */
export const noAdapter: string | undefined = await obstacleTo(webgpuEngine);

/** Registers a kernel's test; without an adapter it is reported by name as not run. */
export function testKernel(name: string, fn: () => Promise<void>): void {
  Deno.test({
    name: `webgpu: ${name}${noAdapter ? ` (not run: ${noAdapter})` : ""}`,
    ignore: noAdapter !== undefined,
    fn,
  });
}

/** The limits under which kernels are made in tests: those that every adapter has. */
export const GUARANTEED = {
  maxComputeInvocationsPerWorkgroup: 256,
  maxComputeWorkgroupStorageSize: 16384,
} as const;

/**
 * Runs a kernel once.
 *
 * @param arrays Its bindings from 1 on; all are read back, so that a test may
 *   see that what should not change did not.
 * @returns The arrays after the kernel, in the same order.
 */
export async function runKernel(
  kernel: Kernel,
  step: TestStep,
  arrays: readonly (Float32Array | Uint32Array)[],
): Promise<Float32Array[]> {
  const device = await (await findAdapter(navigator.gpu))!.requestDevice({
    requiredLimits: { maxStorageBuffersPerShaderStage: 10 },
  });
  device.pushErrorScope("validation");
  const { STORAGE, COPY_SRC, COPY_DST, UNIFORM, MAP_READ } = GPUBufferUsage;
  const uniform = device.createBuffer({ size: STEP_BYTES, usage: UNIFORM | COPY_DST });
  const words = new Uint32Array(STEP_BYTES / 4);
  words.set([
    step.images,
    step.inference ? 1 : 0,
    step.updateRunning ? 1 : 0,
    step.slot ?? 0,
    step.lossImages ?? step.images,
  ]);
  new Float32Array(words.buffer).set(step.scalars ?? [], STEP_SCALARS);
  device.queue.writeBuffer(uniform, 0, words);
  const slices = arrays.map((array): Slice => {
    const size = array.byteLength;
    const buffer = device.createBuffer({ size, usage: STORAGE | COPY_SRC | COPY_DST });
    device.queue.writeBuffer(buffer, 0, array as Float32Array<ArrayBuffer>);
    return { buffer, offset: 0, size };
  });
  const module = device.createShaderModule({ code: kernel.code, label: kernel.label });
  const pipeline = device.createComputePipeline({
    layout: "auto",
    compute: { module, entryPoint: "main" },
  });
  const group = device.createBindGroup({
    layout: pipeline.getBindGroupLayout(0),
    entries: [{ buffer: uniform, offset: 0, size: STEP_BYTES }, ...slices].map((
      resource,
      binding,
    ) => ({ binding, resource })),
  });
  const encoder = device.createCommandEncoder();
  const pass = encoder.beginComputePass();
  pass.setPipeline(pipeline);
  pass.setBindGroup(0, group);
  pass.dispatchWorkgroups(...kernel.workgroups(step.images));
  pass.end();
  const copies = slices.map(({ buffer, size }) => {
    const copy = device.createBuffer({ size, usage: MAP_READ | COPY_DST });
    encoder.copyBufferToBuffer(buffer, 0, copy, 0, size);
    return copy;
  });
  device.queue.submit([encoder.finish()]);
  const error = await device.popErrorScope();
  if (error) throw new Error(`${kernel.label}: ${error.message}\n${kernel.code}`);
  const results: Float32Array[] = [];
  for (const copy of copies) {
    await copy.mapAsync(GPUMapMode.READ);
    results.push(new Float32Array(copy.getMappedRange().slice(0)));
  }
  device.destroy();
  return results;
}
