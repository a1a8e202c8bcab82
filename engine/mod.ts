/**
 * Engines: how a graph is executed and differentiated. The only door of this room, and a light one:
 * it has the contract and the engines' factories, and loads an engine's code when one is made.
 */
export * from "./engine.ts";
export * from "./labels.ts";
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
export * from "./factories.ts";
