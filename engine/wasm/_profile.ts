/**
 * Where the time of a step goes. A program emitted for profiling calls an
 * imported clock after each kernel, on every thread; the main thread's counts.
 * Without a clock nothing is emitted.
 */
import type { BatchPlan, EngineData, EngineOptions, TrainingState } from "../engine.ts";
import { Clock, type GroupProfile } from "./_clock.ts";
import { WasmEngine } from "./_engine.ts";

/** Steps that are not counted: code is still compiled in them. */
const WARM_UP_STEPS = 3;

/** What a step of an engine consists of. */
export interface StepProfile {
  /** Of the whole step, on the wall: median over the profiled steps, as the groups' times are. */
  readonly milliseconds: number;
  readonly threads: number;
  /** On the main thread, the longest first. */
  readonly groups: readonly GroupProfile[];
}

/**
 * Times the kernels of training steps on an engine made for it.
 *
 * @param plans Batches: one step each; the first also warms up.
 * @throws {EngineError} As the engine's own methods do.
 */
export async function profileStep(
  options: EngineOptions,
  data: EngineData,
  state: TrainingState,
  plans: readonly BatchPlan[],
  learningRate: number,
): Promise<StepProfile> {
  const clock = new Clock();
  const engine = await WasmEngine.create("wasm", options, undefined, clock);
  try {
    await engine.load(data);
    await engine.importState(state);
    for (let warmUp = 0; warmUp < WARM_UP_STEPS; warmUp++) engine.step(plans[0], learningRate);
    const steps = plans.map((plan) => {
      clock.reset();
      const begun = performance.now();
      engine.step(plan, learningRate);
      return { milliseconds: performance.now() - begun, groups: clock.groups() };
    });
    const groups = steps[0].groups.map((first, i): GroupProfile => ({
      ...first,
      milliseconds: median(steps.map(({ groups }) => groups[i].milliseconds)),
    }));
    return {
      milliseconds: median(steps.map(({ milliseconds }) => milliseconds)),
      threads: engine.device.details.threads as number,
      groups: groups.sort((a, b) => b.milliseconds - a.milliseconds),
    };
  } finally {
    engine.dispose();
  }
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}
