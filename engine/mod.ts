/**
 * Engines: how a graph is executed and differentiated. The only door of this room, and a light one:
 * it has the contract and the engines' factories, and loads an engine's code when one is made.
 */
import type { EngineFactory } from "./engine.ts";
import { tensorflowEngine, tensorflowGpuEngine } from "./tensorflow/factory.ts";
import { tfjsEngine } from "./tfjs/mod.ts";
import { wasmEngine } from "./wasm/factory.ts";
import { webgpuEngine } from "./webgpu/factory.ts";

export * from "./engine.ts";
export {
  type AdamSettings,
  type Decayed,
  decayOf,
  type NadamSettings,
  type Optimiser,
  optimiserFaults,
  PLAIN_SGD,
  type SettingFault,
  type SgdSettings,
  slotsOf,
} from "./optimiser.ts";
export { freshState } from "./state.ts";
export { chooseEngine, type EngineChoice } from "./choose.ts";
export { selfTest } from "./self_test.ts";
export { type AveragedTraining, strictAverages } from "./strict_averages.ts";
export { tensorflowEngine, tensorflowGpuEngine, tfjsEngine, wasmEngine, webgpuEngine };

/** Every engine there is, the most preferred first. */
export const engineFactories: readonly EngineFactory[] = [
  tensorflowGpuEngine,
  webgpuEngine,
  wasmEngine,
  tensorflowEngine,
  tfjsEngine,
];
