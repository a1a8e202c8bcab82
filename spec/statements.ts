/**
 * Section 4.2's statements on architecture and training, in our words and its order, each with the
 * rules that hold it.
 */
import { STATIC_RULES } from "./checklist.ts";
import { LOG_RULES } from "./log/rules.ts";
import { NUMERIC_RULES } from "./numeric/rules.ts";
import { RECORDING_RULES } from "./recording/rules.ts";
import type { Rule, Tier } from "./rule.ts";
import { REFERENCE_RULES } from "./statistical/reference_rules.ts";
import { STATISTICAL_RULES } from "./statistical/rules.ts";

/** A statement of the paper. */
export interface Statement {
  /** What it says, in our words. */
  readonly says: string;
  /** Ids of the rules that hold it, in any tier; none where nothing of ours can. */
  readonly rules: readonly string[];
  /** Why there is none, where there is none. */
  readonly why?: string;
}

/** Every statement. */
export const STATEMENTS: readonly Statement[] = [
  {
    says: "The experiments are on CIFAR-10: 50,000 training and 10,000 test images of 10 classes.",
    rules: ["data-set", "data-files", "labels"],
  },
  {
    says: "Nets are trained on the training set and evaluated on the test set.",
    rules: [
      ...["batches-from-training-images", "split", "split-made", "stored-images", "step-batch"],
      ...["test-set-unseen", "test-set-whole"],
    ],
  },
  {
    says:
      "The interest is in extremely deep nets and not in the best error, so the nets are simple.",
    rules: [],
    why: "it is an aim, and nothing that a net or a training could break",
  },
  { says: "The input is 32x32 images.", rules: ["input"] },
  {
    says: "The per-pixel mean is subtracted.",
    rules: ["mean", "preprocessed-mean", "mean-measured-on", "scale", "same-preparation"],
  },
  { says: "The first layer is a 3x3 convolution.", rules: ["stem"] },
  {
    says:
      "Then come 6n 3x3 layers, 2n each on maps of 32, 16 and 8 pixels, with 16, 32 and 64 filters.",
    rules: ["stages"],
  },
  { says: "Convolutions with a stride of 2 make the maps smaller.", rules: ["subsampling"] },
  {
    says: "The net ends with global average pooling, a 10-way fully connected layer and softmax.",
    rules: ["head", "negative-logits", "logits", "loss"],
  },
  { says: "There are 6n+2 stacked weighted layers.", rules: ["depth", "graph-stated"] },
  {
    says: "Shortcuts join pairs of 3x3 layers: 3n of them.",
    rules: ["shortcuts", "block-values"],
  },
  {
    says: "All shortcuts are identities (option A).",
    rules: ["identity", "shortcut-values", "graph-stated"],
  },
  {
    says: "So a residual net has exactly the depth, width and parameters of its plain counterpart.",
    rules: ["parameters", "parameters-logged"],
  },
  {
    says: "The weight decay is 0.0001 and the momentum 0.9.",
    rules: [
      ...["weight-decay", "momentum", "optimiser", "update", "zero-gradient-step", "gradient"],
      ...["gradients-cleared", "gradients-clipped", "parameters-optimised"],
    ],
  },
  {
    says: "Weights start as in [13], He's initialisation.",
    rules: ["initialisation", "initial-state", "from-scratch"],
  },
  {
    says: "Batch normalisation [16] is used: behind each convolution and before the activation.",
    rules: [
      ...["batch-norm", "activation", "no-bias", "batch-norm-constants", "batch-statistics"],
      ...["running-statistics", "batch-norm-epsilon", "batch-invariance", "training-mode"],
      "evaluation-mode",
    ],
  },
  { says: "There is no dropout.", rules: ["no-dropout"] },
  { says: "A batch has 128 images.", rules: ["batch-size", "images-per-step"] },
  {
    says: "Training is on two GPUs.",
    rules: [],
    why:
      "no log tells how the paper divided its work; what may follow of it, batch norm over 64 images, is an open point",
  },
  {
    says: "The rate is 0.1 at first, and divided by 10 at 32,000 and at 48,000 iterations.",
    rules: ["learning-rate", "rates-used"],
  },
  {
    says: "Training stops at 64,000 iterations.",
    rules: ["iterations", "steps-taken", "run-finished", "final-step"],
  },
  {
    says: "The schedule was determined on a split of 45,000 and 5,000 images.",
    rules: ["split", "split-made"],
  },
  {
    says:
      "For training 4 pixels are padded on each side, and a 32x32 crop is drawn from the padded image or its mirror image.",
    rules: [
      ...["augmentation", "crops-and-flips", "crop", "view-of-each-image", "views-over-epochs"],
    ],
  },
  {
    says: "The images come in a new random order in each epoch (the authors' code).",
    rules: ["shuffled", "order-over-epochs"],
  },
  {
    says: "For testing the single view of the original 32x32 image is evaluated.",
    rules: ["test-view", "test-images", "validation-view"],
  },
  {
    says: "n is 3, 5, 7 and 9: nets of 20, 32, 44 and 56 layers.",
    rules: ["depth", "parameters-logged"],
  },
  {
    says: "Deep plain nets suffer from depth: their training error is higher the deeper they are.",
    rules: ["plain-degrades"],
  },
  { says: "Plain-110's error is above 60%.", rules: ["plain-110-fails"] },
  { says: "Residual nets gain with depth.", rules: ["residual-gains"] },
  {
    says:
      "ResNet-110 starts at a rate of 0.01, until the training error is below 80%, about 400 iterations, and goes on at 0.1.",
    rules: ["warm-up", "warm-up-ended", "warm-up-length", "rates-used"],
  },
  {
    says:
      "ResNet-110 converges well: 6.43% at best, 6.61 +- 0.16% in five runs; the others as in Table 6.",
    rules: ["table-6", "compared-with", "plausible", "not-too-good"],
  },
  {
    says:
      "Responses are smaller in residual nets than in plain ones, and in deeper ones smaller (Figure 7).",
    rules: ["responses"],
  },
  {
    says: "ResNet-1202 has no difficulty to be optimised: a training error below 0.1%.",
    rules: ["resnet-1202-trains"],
  },
  {
    says: "Its test error, 7.93%, is worse than ResNet-110's, which is put down to overfitting.",
    rules: ["resnet-1202-trains"],
  },
  {
    says:
      "Maxout or dropout, which the best results use, is left out here; stronger regularisation may help.",
    rules: ["no-dropout"],
  },
];

/** What a map needs of a rule, whatever the rule looks at. */
export type ListedRule = Pick<Rule<never>, "id" | "tier" | "section" | "requirement"> & {
  readonly rejects: readonly { readonly name: string }[];
  readonly accepts?: readonly { readonly name: string }[];
};

/** Every rule of every tier. */
export const ALL_RULES: readonly ListedRule[] = [
  ...STATIC_RULES as readonly ListedRule[],
  ...NUMERIC_RULES as unknown as readonly ListedRule[],
  ...LOG_RULES as readonly ListedRule[],
  ...RECORDING_RULES as readonly ListedRule[],
  ...STATISTICAL_RULES as readonly ListedRule[],
  ...REFERENCE_RULES as readonly ListedRule[],
];

/** What each tier looks at, for readers. */
const TIERS: Readonly<Record<Tier, string>> = {
  static: "the graph and the recipe, before the first step",
  numeric: "an engine that is probed",
  log: "the log of a run of ours",
  recording: "the recording of somebody's training",
  statistical: "several runs",
};

/** The map as Markdown: statements with their rules, then the rules that belong to none. */
export function statementsMap(version: string): string {
  const tiersOf = (id: string) =>
    ALL_RULES.filter((rule) => rule.id === id).map(({ tier }) => tier);
  const written = (id: string) => `\`${id}\` (${tiersOf(id).join(", ")})`;
  const rows = STATEMENTS.map(({ says, rules, why }) =>
    `| ${says} | ${rules.length > 0 ? rules.map(written).join(", ") : `none: ${why}`} |`
  );
  const mapped = new Set(STATEMENTS.flatMap(({ rules }) => rules));
  const others = ALL_RULES.filter(({ id }) => !mapped.has(id));
  return `<!-- Made by \`deno task readme\` out of spec/statements.ts: change it there. -->

# The paper's statements and the rules that hold them

Checklist ${version}: ${ALL_RULES.length} rules. Each statement of section 4.2 on architecture and
training, in our words and its order. A rule stands with the tier that it belongs to: ${
    Object.entries(TIERS).map(([tier, what]) => `${tier} (${what})`).join(", ")
  }. \`deno test spec/\` shows that each rule passes on what is right, accepts what is unusual and
right, and rejects what is known to go wrong; \`deno task test:deep\` holds them against thousands of
nets, recipes, logs and sets of runs that are drawn at random.

| statement | rules |
| --- | --- |
${rows.join("\n")}

Rules that hold no sentence of 4.2, but what makes a result one that can be believed:

| rule | tier | requirement |
| --- | --- | --- |
${others.map(({ id, tier, requirement }) => `| \`${id}\` | ${tier} | ${requirement} |`).join("\n")}
`;
}
