/** The engines that need nothing but a browser. */
import type { EngineFactory } from "./engine.ts";
import { wasmEngine } from "./wasm/factory.ts";
import { webgpuEngine } from "./webgpu/factory.ts";

export { wasmEngine, webgpuEngine };

/** Every engine that a browser can run, the most preferred first. */
export const engineFactories: readonly EngineFactory[] = [webgpuEngine, wasmEngine];
