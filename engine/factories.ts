/** Every engine; a browser has those of `factories.browser.ts`. */
import type { EngineFactory } from "./engine.ts";
import { tensorflowEngine, tensorflowGpuEngine } from "./tensorflow/factory.ts";
import { tfjsEngine } from "./tfjs/mod.ts";
import { wasmEngine } from "./wasm/factory.ts";
import { webgpuEngine } from "./webgpu/factory.ts";

export { tensorflowEngine, tensorflowGpuEngine, tfjsEngine, wasmEngine, webgpuEngine };

/** Every engine there is, the most preferred first. */
export const engineFactories: readonly EngineFactory[] = [
  tensorflowGpuEngine,
  webgpuEngine,
  wasmEngine,
  tensorflowEngine,
  tfjsEngine,
];
