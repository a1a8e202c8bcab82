/** Engines: how a graph is executed and differentiated. The only door of this room. */
import type { EngineFactory } from "./engine.ts";
import { tensorflowEngine, tensorflowGpuEngine } from "./tensorflow/mod.ts";
import { tfjsEngine } from "./tfjs/mod.ts";
import { wasmEngine } from "./wasm/mod.ts";
import { webgpuEngine } from "./webgpu/mod.ts";

export * from "./engine.ts";
export { chooseEngine, type EngineChoice } from "./choose.ts";
export { selfTest } from "./self_test.ts";
export { tensorflowEngine, tensorflowGpuEngine, tfjsEngine, wasmEngine, webgpuEngine };

/** Every engine there is, the most preferred first. */
export const engineFactories: readonly EngineFactory[] = [
  tensorflowGpuEngine,
  webgpuEngine,
  wasmEngine,
  tensorflowEngine,
  tfjsEngine,
];
