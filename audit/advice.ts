/** What to change where a net or its training leaves the paper, in order of effect. */
import { type CauseId, causeKind, type Severity } from "./causes.ts";

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
  /** What the difference costs at the end of a full training, with its source; or that it is not known. */
  readonly cost: string;
}

const NOT_KNOWN = "not known for a full training";
/** Of ResNet-110 on CIFAR-10, where the paper's own order of layers has 6.61%. */
const HE_2016 =
  "as printed in He et al. 2016, Identity Mappings, Table 2, and not measured here; ResNet-110 on CIFAR-10, the paper's order 6.61%";

/** What each costs, where the literature has trained it to its end. */
const COSTS: Readonly<Partial<Record<CauseId | string, string>>> = {
  "batch-norm-after-addition": `8.17% (${HE_2016})`,
  "relu-before-addition": `7.84% (${HE_2016})`,
  "pre-activation": `6.37%, which is better (${HE_2016})`,
  "projection":
    "on ImageNet projections are 0.51 points better (Table 3, 34 layers: A 25.03%, B 24.52%); on CIFAR-10 not known",
  "augmentation":
    "13.63% without, 6.41% with it (ResNet-110 on CIFAR-10, as printed in Huang et al. 2017, DenseNet, Table 2, and not measured here)",
};

/**
 * Changes by rule, in the order of what is known of their effect: first what
 * makes tests or learning invalid, then what the literature has measured over
 * full trainings, then what takes the net's form away, then what is not known.
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
 * What to change, most effective first.
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
  const changes = findings.toSorted((a, b) => place(a) - place(b)).flatMap(
    ({ id, rule }): Change[] => {
      if (findings.some((other) => other.rule === SAME[rule])) return [];
      const change = kindOf(id)?.change ?? CHANGES.get(rule);
      return change ? [{ rule, change, cost: COSTS[id] ?? COSTS[rule] ?? NOT_KNOWN }] : [];
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
