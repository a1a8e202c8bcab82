import type { EngineFactory } from "../engine.ts";

/**
 * WebGPU on the adapter that the system offers first, named `webgpu`: any GPU through Deno's own
 * WebGPU. WGSL kernels, the data set and the state on the device, one command buffer a step.
 * Nothing to install but the GPU's driver.
 *
 * @example
 * ```ts
 * import { webgpuEngine } from "./factory.ts";
 *
 * console.log(await webgpuEngine.unavailable() ?? "a GPU can be used");
 * ```
 */
export const webgpuEngine: EngineFactory = {
  name: "webgpu",
  description: "WGSL kernels on any GPU, through the WebGPU that Deno has",
  async unavailable() {
    return await (await import("./_device.ts")).adapterObstacle();
  },
  async discouraged() {
    return await (await import("./_device.ts")).softwareAdapter();
  },
  async create(options) {
    const { WebGpuEngine } = await import("./_engine.ts");
    return await WebGpuEngine.create(this.name, options);
  },
};
