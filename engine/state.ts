import { type Graph, type Weights, zeros } from "../resnet/mod.ts";
import type { TrainingState } from "./engine.ts";
import { type Optimiser, ruleOf } from "./optimiser.ts";

/**
 * The state before the first step.
 *
 * @param graph The network.
 * @param optimiser What it is trained by: what it keeps starts at 0.
 * @param weights Parameters and running statistics; taken over, not copied.
 * @returns What {@linkcode Engine.importState} takes.
 *
 * @example
 * ```ts
 * import { freshState, PLAIN_SGD } from "./mod.ts";
 * import { architecture, initialise } from "../resnet/mod.ts";
 * import { assertEquals } from "@std/assert";
 *
 * const graph = architecture("resnet20");
 * const { slots } = freshState(graph, PLAIN_SGD, initialise(graph, 0, "in"));
 * assertEquals([...slots.keys()], ["velocity"]);
 * assertEquals(slots.get("velocity")?.has("bn1.weight"), true);
 * assertEquals(slots.get("velocity")?.has("bn1.running_mean"), false);
 * ```
 */
export function freshState(graph: Graph, optimiser: Optimiser, weights: Weights): TrainingState {
  const { slots } = ruleOf(optimiser);
  return { iteration: 0, weights, slots: new Map(slots.map((slot) => [slot, zeros(graph)])) };
}
