/**
 * Optimisers: what they are set to, which arrays they keep of each parameter, and how they change
 * one number. Engines know the last by {@linkcode ruleOf} alone, in their own arithmetic: whatever
 * an optimiser keeps is a slot by name, and nothing outside of its rule knows how many there are.
 */
import type { ParameterSpec } from "../resnet/mod.ts";

/** What a network is trained by. */
export type Optimiser = SgdSettings | AdamSettings | NadamSettings;

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
  /**
   * What the velocity adds up: gradients (the default, as in PyTorch and TensorFlow), or steps, as
   * in Caffe: v = momentum * v + rate * g, w = w - v. They differ where the rate changes.
   */
  readonly velocityOf?: "gradients" | "steps";
  /** Added to the gradient: g = dL/dw + weightDecay * w. */
  readonly weightDecay: number;
  /** What decays. */
  readonly decayed: Decayed;
}

/**
 * Adam, m and s the means of gradients and of their squares, both corrected for their start at 0:
 * w = w - rate * m / (sqrt(s) + epsilon), as `torch.optim.Adam` and `AdamW` have it.
 *
 * Source: Kingma, Ba, arXiv 1412.6980; decoupled decay: Loshchilov, Hutter, arXiv 1711.05101;
 * AMSGrad: Reddi, Kale, Kumar, ICLR 2018.
 */
export interface AdamSettings {
  /** `adam`: weight decay is added to the gradient. `adamw`: w = w - rate * weightDecay * w before. */
  readonly kind: "adam" | "adamw";
  /** What is left of the mean of gradients after a step, from 0 to below 1; PyTorch has 0.9. */
  readonly beta1: number;
  /** The same of the mean of squares; PyTorch has 0.999. */
  readonly beta2: number;
  /** Added to the corrected root; PyTorch has 1e-8. */
  readonly epsilon: number;
  /** See `kind`; PyTorch has 0 for `adam` and 0.01 for `adamw`. */
  readonly weightDecay: number;
  /** True: the root of the largest mean of squares so far. */
  readonly amsgrad?: boolean;
  /** What decays; all by default. */
  readonly decayed?: Decayed;
}

/**
 * Adam with Nesterov's momentum, as `torch.optim.NAdam` has it.
 *
 * Source: Dozat, ICLR 2016 workshop.
 */
export interface NadamSettings {
  /** Tells the kinds apart. */
  readonly kind: "nadam";
  /** As Adam's. */
  readonly beta1: number;
  /** As Adam's. */
  readonly beta2: number;
  /** As Adam's. */
  readonly epsilon: number;
  /** As Adam's; PyTorch has 0. */
  readonly weightDecay: number;
  /** How fast the momentum rises to beta1: beta1 * (1 - 0.96^(step * momentumDecay) / 2); PyTorch has 0.004. */
  readonly momentumDecay: number;
  /** True: decay as `adamw` has it. */
  readonly decoupled?: boolean;
  /** What decays; all by default. */
  readonly decayed?: Decayed;
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
  /** a / b. */
  div(a: V, b: V): V;
  /** The larger one. */
  max(a: V, b: V): V;
  /** The square root. */
  sqrt(a: V): V;
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
  switch (optimiser.kind) {
    case "sgd":
      return sgd(optimiser);
    case "adam":
    case "adamw":
      return adam(optimiser);
    case "nadam":
      return nadam(optimiser);
  }
}

/** The names of what an optimiser keeps of each trainable parameter. */
export function slotsOf(optimiser: Optimiser): readonly string[] {
  return ruleOf(optimiser).slots;
}

/** The factor of a parameter's weight decay; 0 where it does not decay. */
export function decayOf(
  { weightDecay, decayed = "all" }: Optimiser,
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
export function optimiserFaults(optimiser: Optimiser): readonly SettingFault[] {
  const below1 = (x: number) => x >= 0 && x < 1;
  const shares: Readonly<Record<string, number>> = optimiser.kind === "sgd"
    ? { momentum: optimiser.momentum }
    : { beta1: optimiser.beta1, beta2: optimiser.beta2 };
  const amounts: Readonly<Record<string, number>> = {
    weightDecay: optimiser.weightDecay,
    ...(optimiser.kind === "nadam" ? { momentumDecay: optimiser.momentumDecay } : {}),
  };
  return [
    ...Object.entries(shares).filter(([, x]) => !below1(x))
      .map(([field, found]) => ({ field, found, rule: "from 0 to below 1" })),
    ...Object.entries(amounts).filter(([, x]) => !(x >= 0 && x < Infinity))
      .map(([field, found]) => ({ field, found, rule: "0 or more" })),
    // Where nothing ever flows, the root is 0.
    ...(optimiser.kind === "sgd" || (optimiser.epsilon > 0 && optimiser.epsilon < Infinity)
      ? []
      : [{ field: "epsilon", found: optimiser.epsilon, rule: "above 0" }]),
  ];
}

function sgd({ momentum, nesterov, velocityOf = "gradients" }: SgdSettings): UpdateRule {
  return {
    slots: ["velocity"],
    scalars: (_, rate) => [rate],
    update({ add, sub, mul, constant, keep }, { weight, gradient, slots, scalars, decay }) {
      const [rate] = scalars;
      const mu = constant(momentum);
      const g = decay === undefined ? gradient : add(gradient, mul(weight, decay));
      if (velocityOf === "steps") {
        const step = mul(rate, g);
        const velocity = keep(add(mul(slots[0], mu), step));
        const move = nesterov ? add(step, mul(velocity, mu)) : velocity;
        return { weight: sub(weight, move), slots: [velocity] };
      }
      const velocity = keep(add(mul(slots[0], mu), g));
      const direction = nesterov ? add(g, mul(velocity, mu)) : velocity;
      return { weight: sub(weight, mul(rate, direction)), slots: [velocity] };
    },
  };
}

/** The gradient and the weight that a step starts from, with weight decay in one of them. */
function decayedBy<V>(
  { add, sub, mul, keep }: Arithmetic<V>,
  { weight, gradient, decay }: Element<V>,
  rate: V,
  decoupled: boolean,
): { w: V; g: V } {
  if (decay === undefined) return { w: weight, g: gradient };
  return decoupled
    ? { w: sub(weight, mul(mul(rate, decay), weight)), g: gradient }
    : { w: weight, g: keep(add(gradient, mul(weight, decay))) };
}

/** The means of gradients and of their squares after a step. */
function means<V>(
  { add, sub, mul, constant, keep }: Arithmetic<V>,
  { beta1, beta2 }: { readonly beta1: number; readonly beta2: number },
  [mean, square]: readonly V[],
  g: V,
): readonly [mean: V, square: V] {
  return [
    keep(add(mean, mul(constant(1 - beta1), sub(g, mean)))),
    keep(add(mul(square, constant(beta2)), mul(mul(g, g), constant(1 - beta2)))),
  ];
}

function adam(settings: AdamSettings): UpdateRule {
  const { beta1, beta2, epsilon, amsgrad = false, kind } = settings;
  return {
    slots: ["mean", "square", ...(amsgrad ? ["square_max"] : [])],
    scalars: (step, rate) => [
      rate,
      rate / (1 - beta1 ** step),
      1 / Math.sqrt(1 - beta2 ** step),
    ],
    update(arithmetic, element) {
      const { add, sub, mul, div, max, sqrt, constant, keep } = arithmetic;
      const { slots, scalars: [rate, stepSize, correction] } = element;
      const { w, g } = decayedBy(arithmetic, element, rate, kind === "adamw");
      const [mean, square] = means(arithmetic, settings, slots, g);
      const largest = amsgrad ? keep(max(slots[2], square)) : square;
      const root = add(mul(sqrt(largest), correction), constant(epsilon));
      return {
        weight: sub(w, mul(stepSize, div(mean, root))),
        slots: [mean, square, ...(amsgrad ? [largest] : [])],
      };
    },
  };
}

/** What `torch.optim.NAdam` takes the power of. */
const NADAM_BASE = 0.96;

function nadam(settings: NadamSettings): UpdateRule {
  const { beta1, beta2, epsilon, momentumDecay, decoupled = false } = settings;
  const momentumOf = (step: number) => beta1 * (1 - 0.5 * NADAM_BASE ** (step * momentumDecay));
  // The product of all momenta so far, always multiplied in their order: a resumed run has its bits.
  let known = { step: 0, product: 1 };
  const productUntil = (step: number): number => {
    if (step < known.step) known = { step: 0, product: 1 };
    while (known.step < step) {
      const next = known.step + 1;
      known = { step: next, product: known.product * momentumOf(next) };
    }
    return known.product;
  };
  return {
    slots: ["mean", "square"],
    scalars(step, rate) {
      const product = productUntil(step);
      const [now, next] = [momentumOf(step), momentumOf(step + 1)];
      return [
        rate,
        rate * (1 - now) / (1 - product),
        rate * next / (1 - product * next),
        1 / (1 - beta2 ** step),
      ];
    },
    update(arithmetic, element) {
      const { add, sub, mul, div, sqrt, constant } = arithmetic;
      const { slots, scalars: [rate, gradientStep, meanStep, correction] } = element;
      const { w, g } = decayedBy(arithmetic, element, rate, decoupled);
      const [mean, square] = means(arithmetic, settings, slots, g);
      const root = add(sqrt(mul(square, correction)), constant(epsilon));
      const move = add(mul(gradientStep, g), mul(meanStep, mean));
      return { weight: sub(w, div(move, root)), slots: [mean, square] };
    },
  };
}
