/** Where the time of a step goes. */
import { type BatchPlan, type Engine, EngineError } from "../engine.ts";
import { WebGpuEngine } from "./_engine.ts";
import type { KernelGroup } from "./_kernel.ts";

/** One kernel launch of a step. */
export interface KernelProfile {
  /** What the kernel does, with its shapes. */
  readonly label: string;
  /** Under which its time is added up. */
  readonly group: KernelGroup;
  /** Median over the profiled steps; undefined where the adapter has no timestamps. */
  readonly nanoseconds?: number;
  /** Floating-point operations, 2 a multiply-add. */
  readonly operations: number;
  /** Bytes of the buffers that it is given: each read or written once, at least. */
  readonly bytes: number;
}

/** What a step of an engine consists of. */
export interface StepProfile {
  /** Kernel launches of one step. */
  readonly dispatches: number;
  /** JavaScript to upload and encode one step, in milliseconds: median, without waiting. */
  readonly encodeMilliseconds: number;
  /** To hand it to the driver: a software adapter already computes meanwhile. */
  readonly submitMilliseconds: number;
  /** In the order in which they run. */
  readonly kernels: readonly KernelProfile[];
}

/**
 * Times the kernels of training steps one by one. The steps are taken.
 *
 * @param engine One of this folder's, with data and a state.
 * @param plans Batches: one step each.
 * @throws {EngineError} If it is another engine.
 */
export async function profileStep(
  engine: Engine,
  plans: readonly BatchPlan[],
  learningRate: number,
): Promise<StepProfile> {
  if (!(engine instanceof WebGpuEngine)) {
    throw new EngineError(`profiling: takes an engine "webgpu", found "${engine.name}"`);
  }
  const host = engine.profileHost(plans, learningRate);
  await engine.metrics();
  const times = await engine.profileDevice(plans, learningRate);
  const [{ indices }] = plans;
  const kernels = engine.launches.map(({ kernel, bytes }, i): KernelProfile => ({
    label: kernel.label,
    group: kernel.group,
    ...(times && { nanoseconds: median(times.map((step) => step[i])) }),
    operations: kernel.operations(indices.length),
    bytes,
  }));
  return {
    dispatches: kernels.length,
    encodeMilliseconds: median(host.map(({ encode }) => encode)),
    submitMilliseconds: median(host.map(({ submit }) => submit)),
    kernels,
  };
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}
