/** What to change where a rule fails, in order of effect. */

/** A change that would make a rule pass. */
export interface Change {
  /** The rule's id. */
  readonly rule: string;
  /** What to do. */
  readonly change: string;
  /** What the difference costs, with the source of the figure; or that nobody measured it. */
  readonly cost: string;
}

const NOT_MEASURED = "not measured";
/** Where the figures of short trainings come from; `deno task ablations` makes them anew. */
const MEASURED = "after 400 iterations of ResNet-20 on CIFAR-10, one seed (deno task ablations)";

/**
 * Changes by the rule that fails. First what stops learning, then what takes the
 * net's resolution and form away, then what changes details; the rules that are
 * not named here come after them, in the checklist's order.
 */
const CHANGES: readonly Change[] = [
  {
    rule: "negative-logits",
    change: "Remove the ReLU after the last layer: it stops the gradient of every negative output.",
    cost: `90.00% test error against 46.37% ${MEASURED}`,
  },
  {
    rule: "batch-norm",
    change: "Put batch normalisation right behind each convolution, projections included.",
    cost: `without it on the projections alone 55.69% test error against 43.88% ${MEASURED}`,
  },
  {
    rule: "activation",
    change: "Put ReLU behind each batch normalisation, at a block's end behind the addition.",
    cost: NOT_MEASURED,
  },
  {
    rule: "stem",
    change: "Make the first layer a 3x3 convolution with 16 filters, stride 1 and padding 1.",
    cost: NOT_MEASURED,
  },
  {
    rule: "subsampling",
    change:
      "Remove pooling before the end, and halve the maps by stride 2 at the start of stages 2 and 3 alone.",
    cost: NOT_MEASURED,
  },
  {
    rule: "stages",
    change:
      "Make three stages of 2n 3x3 layers: 32x32 with 16 filters, 16x16 with 32, 8x8 with 64.",
    cost: NOT_MEASURED,
  },
  {
    rule: "depth",
    change: "Choose a depth of 6n+2: 20, 32, 44, 56, 110.",
    cost: NOT_MEASURED,
  },
  {
    rule: "head",
    change:
      "End with global average pooling of the 8x8x64 maps and a layer of 10 outputs, with nothing behind it.",
    cost: NOT_MEASURED,
  },
  {
    rule: "shortcuts",
    change: "Lead one shortcut around each pair of 3x3 layers.",
    cost: NOT_MEASURED,
  },
  {
    rule: "identity",
    change:
      "Use option A where the shape changes: every second pixel, and zeros for the new channels.",
    cost:
      "on ImageNet projections are 0.51 points better (Table 3, 34 layers: A 25.03%, B 24.52%); " +
      "on CIFAR-10 not measured",
  },
  {
    rule: "mean",
    change:
      "Subtract the per-pixel mean of the training images, do nothing else to the values, and train again: weights fit the preprocessing that they were trained with.",
    cost: NOT_MEASURED,
  },
];

/**
 * What to change, most effective first.
 *
 * @param failed The rules that failed, in the checklist's order. Rules that say the same of another
 *   tier, or follow from others, bring no change of their own.
 * @returns A change each; the requirement itself for rules that no change is written for.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { changesFor } from "./advice.ts";
 *
 * const changes = changesFor([
 *   { id: "momentum", requirement: "The momentum is 0.9." },
 *   { id: "stem", requirement: "The first layer is a 3x3 convolution." },
 * ]);
 * assertEquals(changes.map(({ rule }) => rule), ["stem", "momentum"]);
 * assertEquals(changes[1].change, "The momentum is 0.9.");
 * ```
 */
export function changesFor(
  failed: readonly { readonly id: string; readonly requirement: string }[],
): readonly Change[] {
  const ids = new Set(failed.map(({ id }) => id));
  const named = CHANGES.filter(({ rule }) => ids.has(rule));
  const others = failed
    .filter(({ id }) => !CHANGES.some(({ rule }) => rule === id) && !follows(id, ids))
    .map(({ id, requirement }) => ({ rule: id, change: requirement, cost: NOT_MEASURED }));
  return [...named, ...others];
}

/** Rules that fail because others do, whose change is theirs. */
const FOLLOWING: Readonly<Record<string, readonly string[]>> = {
  "parameters": ["stem", "stages", "depth", "identity", "no-bias", "batch-norm"],
  "preprocessed-mean": ["mean"],
};

function follows(id: string, failed: ReadonlySet<string>): boolean {
  return (FOLLOWING[id] ?? []).some((other) => failed.has(other));
}
