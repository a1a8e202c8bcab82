/**
 * Any GPU through Deno's own WebGPU: WGSL kernels, the data set and the state on
 * the device, one command buffer a step. Nothing to install but the GPU's driver.
 */
import type { Engine, EngineFactory, EngineOptions } from "../engine.ts";
import { adapterObstacle, softwareAdapter } from "./_device.ts";
import { WebGpuEngine } from "./_engine.ts";

export { type KernelProfile, profileStep, type StepProfile } from "./_profile.ts";

const NAME = "webgpu";

/**
 * WebGPU on the adapter that the system offers first.
 *
 * @example
 * ```ts
 * import { webgpuEngine } from "./mod.ts";
 *
 * console.log(await webgpuEngine.unavailable() ?? "a GPU can be used");
 * ```
 */
export const webgpuEngine: EngineFactory = {
  name: NAME,
  description: "WGSL kernels on any GPU, through the WebGPU that Deno has",
  unavailable: adapterObstacle,
  discouraged: softwareAdapter,
  create(options: EngineOptions): Promise<Engine> {
    return WebGpuEngine.create(NAME, options);
  },
};
