/** What to change where a net or its training leaves the paper, and in which order. */
import { type CauseId, causeKind, type Severity } from "./causes.ts";
import { byCost, costOf } from "./costs.ts";

/** What is known of something that speaks against the target. */
export interface Remediable {
  /** The kind of cause, or the rule's id where no cause is known. */
  readonly id: string;
  /** The rule that it breaks. */
  readonly rule: string;
  /** Whether something is broken, or another choice than the paper's. */
  readonly severity: Severity;
}

/** A change that would make a rule pass. */
export interface Change {
  /** The rule's id. */
  readonly rule: string;
  /** What to do. */
  readonly change: string;
  /** What the difference costs at the end of a full training, with its source; absent if not known. */
  readonly cost?: string;
}

/**
 * Changes by rule, in the order that holds where their costs are not known, which is a judgement:
 * first what makes tests or learning invalid, then what takes the net's form away, then the rest.
 */
const BY_RULE: readonly (readonly [rule: string, change: string])[] = [
  [
    "negative-logits",
    "Remove the ReLU after the last layer: it stops the gradient of every negative output.",
  ],
  [
    "augmentation",
    "Pad by 4 and draw a 32x32 crop of the image or its mirror image, anew each time.",
  ],
  ["batch-norm", "Put batch normalisation right behind each convolution, projections included."],
  ["activation", "Put ReLU behind each batch normalisation, at a block's end behind the addition."],
  ["stem", "Make the first layer a 3x3 convolution with 16 filters, stride 1 and padding 1."],
  [
    "subsampling",
    "Remove pooling before the end, and halve the maps by stride 2 at the start of stages 2 and 3 alone.",
  ],
  [
    "stages",
    "Make three stages of 2n 3x3 layers: 32x32 with 16 filters, 16x16 with 32, 8x8 with 64.",
  ],
  ["depth", "Choose a depth of 6n+2: 20, 32, 44, 56, 110."],
  [
    "head",
    "End with global average pooling of the 8x8x64 maps and a layer of 10 outputs, with nothing behind it.",
  ],
  ["shortcuts", "Lead one shortcut around each pair of 3x3 layers."],
  ["learning-rate", "Start at 0.1, and divide the rate by 10 at 32,000 and at 48,000 iterations."],
  ["iterations", "Train for 64,000 iterations, which are about 164 epochs of 50,000 images."],
  ["weight-decay", "Use a weight decay of 0.0001."],
  ["momentum", "Use SGD with a plain momentum of 0.9."],
  ["batch-size", "Use batches of 128 images."],
  [
    "identity",
    "Use option A where the shape changes: every second pixel, and zeros for the new channels.",
  ],
  [
    "mean",
    "Subtract the per-pixel mean of the training images, do nothing else to the values, and train again: weights fit the preprocessing that they were trained with.",
  ],
  ["no-bias", "Leave the convolutions' bias out (bias=False)."],
];
const ORDER = BY_RULE.map(([rule]) => rule);
const CHANGES: ReadonlyMap<string, string> = new Map(BY_RULE);
/** Rules that say the same of another tier. */
const SAME: Readonly<Record<string, string>> = { "preprocessed-mean": "mean" };

/**
 * What to change: what is broken before what was chosen otherwise, and the costlier first where
 * costs are known ({@linkcode byCost}).
 *
 * @param findings What speaks against the target, in the checklist's order.
 * @returns A change each; none where nothing can be done about it.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { changesFor } from "./advice.ts";
 *
 * const changes = changesFor([
 *   { id: "momentum", rule: "momentum", severity: "departure" },
 *   { id: "stem-filters", rule: "stem", severity: "departure" },
 * ]);
 * assertEquals(changes.map(({ rule }) => rule), ["stem", "momentum"]);
 * ```
 */
export function changesFor(findings: readonly Remediable[]): readonly Change[] {
  const place = ({ severity, rule }: Remediable) => {
    const at = ORDER.indexOf(rule);
    return (severity === "fault" ? 0 : 1000) + (at < 0 ? ORDER.length : at);
  };
  const placed = findings.toSorted((a, b) => place(a) - place(b));
  const [faults, departures] = [true, false].map((wrong) =>
    byCost(
      placed.filter(({ severity }) => (severity === "fault") === wrong),
      ({ id, rule }) => [id, rule],
    )
  );
  const changes = [...faults, ...departures].flatMap(
    ({ id, rule }): Change[] => {
      if (findings.some((other) => other.rule === SAME[rule])) return [];
      const change = kindOf(id)?.change ?? CHANGES.get(rule);
      const cost = costOf(id) ?? costOf(rule);
      return change ? [{ rule, change, ...(cost === undefined ? {} : { cost }) }] : [];
    },
  );
  // Several causes of one rule may have one remedy.
  return changes.filter(({ change }, i) =>
    changes.findIndex((other) => other.change === change) === i
  );
}

function kindOf(id: string) {
  return isCause(id) ? causeKind(id) : undefined;
}

function isCause(id: string): id is CauseId {
  return causeKind(id as CauseId) !== undefined;
}
