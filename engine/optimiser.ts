/**
 * Optimisers: what they are set to, which arrays they keep of each parameter, and how they change
 * one number. Engines know the last by {@linkcode ruleOf} alone, in their own arithmetic: whatever
 * an optimiser keeps is a slot by name, and nothing outside of its rule knows how many there are.
 */
import type { ParameterSpec } from "../resnet/mod.ts";

/** What a network is trained by. */
export type Optimiser = SgdSettings;

/** The weights that decay: every trainable one, or kernels (convolution, dense) alone. */
export type Decayed = "all" | "kernels";

/** Stochastic gradient descent with momentum: v = momentum * v + g, w = w - rate * v. */
export interface SgdSettings {
  /** Tells the kinds apart. */
  readonly kind: "sgd";
  /** From 0 to below 1. */
  readonly momentum: number;
  /** True: w = w - rate * (g + momentum * v). */
  readonly nesterov: boolean;
  /** Added to the gradient: g = dL/dw + weightDecay * w. */
  readonly weightDecay: number;
  /** What decays. */
  readonly decayed: Decayed;
}

/** Steps along the gradient alone; also for an engine that is made to evaluate. */
export const PLAIN_SGD: SgdSettings = {
  kind: "sgd",
  momentum: 0,
  nesterov: false,
  weightDecay: 0,
  decayed: "all",
};

/** A kind of number, and what can be done with it: code, a tensor, or a number itself. */
export interface Arithmetic<V> {
  /** a + b. */
  add(a: V, b: V): V;
  /** a - b. */
  sub(a: V, b: V): V;
  /** a * b. */
  mul(a: V, b: V): V;
  /** A number that is the same in every step. */
  constant(value: number): V;
  /** The value, computed once for all that use it, and rounded as a stored number is. */
  keep(value: V): V;
}

/** One element of a parameter, before a step. */
export interface Element<V> {
  readonly weight: V;
  /** dL/dw, without weight decay. */
  readonly gradient: V;
  /** In the order of the rule's `slots`. */
  readonly slots: readonly V[];
  /** In the order in which the rule's `scalars` gives them. */
  readonly scalars: readonly V[];
  /** The factor of weight decay; undefined where the element does not decay. */
  readonly decay?: V;
}

/** What a step makes of an element. */
export type Updated<V> = Pick<Element<V>, "weight" | "slots">;

/** How an optimiser changes numbers. */
export interface UpdateRule {
  /** Names of the arrays that it keeps of each trainable parameter; they start at 0. */
  readonly slots: readonly string[];
  /**
   * Numbers of one step that are the same for all elements, in double precision; always as many.
   *
   * @param iteration The step: 1 for the first.
   * @param rate Its learning rate.
   */
  scalars(iteration: number, rate: number): readonly number[];
  /** One element's step. */
  update<V>(arithmetic: Arithmetic<V>, element: Element<V>): Updated<V>;
}

/** The rule of an optimiser. */
export function ruleOf(optimiser: Optimiser): UpdateRule {
  return sgd(optimiser);
}

/** The names of what an optimiser keeps of each trainable parameter. */
export function slotsOf(optimiser: Optimiser): readonly string[] {
  return ruleOf(optimiser).slots;
}

/** The factor of a parameter's weight decay; 0 where it does not decay. */
export function decayOf(
  { weightDecay, decayed }: Optimiser,
  { role }: Pick<ParameterSpec, "role">,
): number {
  return decayed === "all" || role === "kernel" ? weightDecay : 0;
}

/** What an optimiser's setting must be, and is not. */
export interface SettingFault {
  /** The setting's name. */
  readonly field: string;
  /** Its value. */
  readonly found: number;
  /** As "must be ..." has it. */
  readonly rule: string;
}

/** Settings outside of their ranges. */
export function optimiserFaults({ momentum, weightDecay }: Optimiser): readonly SettingFault[] {
  const rules: readonly [string, number, boolean, string][] = [
    ["momentum", momentum, momentum >= 0 && momentum < 1, "from 0 to below 1"],
    ["weightDecay", weightDecay, weightDecay >= 0 && weightDecay < Infinity, "0 or more"],
  ];
  return rules.flatMap(([field, found, holds, rule]) => holds ? [] : [{ field, found, rule }]);
}

function sgd({ momentum, nesterov }: SgdSettings): UpdateRule {
  return {
    slots: ["velocity"],
    scalars: (_, rate) => [rate],
    update({ add, sub, mul, constant, keep }, { weight, gradient, slots, scalars, decay }) {
      const [rate] = scalars;
      const mu = constant(momentum);
      const g = decay === undefined ? gradient : add(gradient, mul(weight, decay));
      const velocity = keep(add(mul(slots[0], mu), g));
      const direction = nesterov ? add(g, mul(velocity, mu)) : velocity;
      return { weight: sub(weight, mul(rate, direction)), slots: [velocity] };
    },
  };
}
