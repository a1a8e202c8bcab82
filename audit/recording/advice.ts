/** What to change where a rule fails on a recording, and in which order. */
import type { Change } from "../advice.ts";
import { byCost, costOf } from "../costs.ts";

/**
 * Changes by rule, in the order that holds where their costs are not known, which is a judgement:
 * first what keeps a network from learning at all or makes its figures wrong, then what costs
 * points, then what is only another habit.
 */
const CHANGES: readonly (readonly [rule: string, change: string])[] = [
  [
    "finite",
    "Find where the loss stops being finite: lower the rate, or compute the loss in 32 bits.",
  ],
  [
    "pixel-order",
    "Exchange the axes (transpose, permute) where bytes are reshaped, and look at an image.",
  ],
  [
    "operations",
    "Make the network of the paper's layers alone, each registered with it and each with arrays of its own.",
  ],
  ["labels", "Bring labels and images back into one order: each image has its own label."],
  [
    "parameters-optimised",
    "Make the optimiser after the network is complete, give it all of its parameters, and call its step().",
  ],
  [
    "gradients-cleared",
    "Clear the gradients before each step's first backward pass (optimizer.zero_grad()).",
  ],
  ["training-mode", "Call model.train() before each epoch, and again after each evaluation."],
  [
    "logits",
    "Give the loss the last layer's outputs as they are: the cross entropy has its own softmax.",
  ],
  [
    "loss",
    "Take the mean cross entropy of the batch: its gradients are what the rate of 0.1 is for.",
  ],
  [
    "gradients-clipped",
    "Take the clipping of gradients out: with batch normalisation nothing needs it at this rate.",
  ],
  [
    "augmentation",
    "Bring the augmentation to the network: crop the padded image and mirror half of them, image by image, in what the loader really calls.",
  ],
  ["view-of-each-image", "Crop and mirror each image by itself, not the batch's tensor."],
  [
    "views-over-epochs",
    "Draw crops anew in each epoch: augment in the loop, and seed workers differently each time.",
  ],
  [
    "crop",
    "Pad 4 pixels on each side, crop 32x32 (RandomCrop(32, padding=4)), mirror half of the images, and do nothing else to them.",
  ],
  ["channel-order", "Put red first, or train and test with one order, and say which."],
  [
    "same-preparation",
    "Prepare test and validation images by the same subtraction and division as the training's, and these alike in each epoch.",
  ],
  ["shuffled", "Shuffle the training images (shuffle=True)."],
  [
    "order-over-epochs",
    "Shuffle the images anew in each epoch (shuffle=True, sampler.set_epoch, no seed that is set again).",
  ],
  [
    "batches-from-training-images",
    "Split once, by one order of the images, so that nothing that is validated or tested is trained on.",
  ],
  ["evaluation-mode", "Call model.eval() before each evaluation."],
  [
    "learning-rate",
    "Use 0.1, divided by 10 after 32,000 and after 48,000 iterations: step the scheduler in the unit in which its milestones are counted.",
  ],
  ["scheduler-stepped", "Step the scheduler in the unit in which its milestones are counted."],
  ["optimiser", "Use SGD with a momentum of 0.9 and a rate of 0.1."],
  ["momentum", "Use a momentum of 0.9."],
  [
    "weight-decay",
    "Use a weight decay of 0.0001 that is added to the gradient, and see that the step uses it.",
  ],
  ["batch-norm", "Put batch normalisation right behind each convolution, projections included."],
  ["activation", "Put ReLU behind each batch normalisation, at a block's end behind the addition."],
  [
    "subsampling",
    "Remove pooling before the end, and halve the maps by stride 2 at the start of stages 2 and 3 alone.",
  ],
  ["stem", "Make the first layer a 3x3 convolution with 16 filters, stride 1 and padding 1."],
  [
    "running-statistics",
    "Use PyTorch's default momentum of 0.1 (TensorFlow's 0.9 is the same) and epsilon of 1e-5.",
  ],
  ["scale", "Divide the pixels by 255 once."],
  [
    "test-set-unseen",
    "Choose by validation images, and score the test set once, after the last step.",
  ],
  ["test-view", "Test whole images, neither cropped nor mirrored."],
  [
    "evaluation-view",
    "Take what is drawn at random out of the transform of what is evaluated.",
  ],
  ["validation-view", "Validate whole images: give the validation part the test's transform."],
  ["test-set-whole", "Score all 10,000 test images: no drop_last in the test's loader."],
  [
    "error-over-images",
    "Divide all wrong images by all images, not the sum of batch means by the batches.",
  ],
  [
    "mean",
    "Subtract the per-pixel mean of the training images, and do nothing else to the values.",
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
  [
    "identity",
    "Use option A where the shape changes: every second pixel, and zeros for the new channels.",
  ],
  [
    "initialisation",
    "Start kernels from a normal distribution with variance 2 / fan (He initialisation).",
  ],
];

/** Where section 3.4 says something else. */
const ON_PHOTOGRAPHS: Readonly<Record<string, string>> = {
  "learning-rate": "Use 0.1, divided by 10 when the error stops falling.",
  "batch-size": "Take 256 photographs a step.",
  "loss": "Take the mean of the batch's losses, not their sum.",
};

/** Rules that fail because others do, whose change is theirs. */
const FOLLOWING: Readonly<Record<string, readonly string[]>> = {
  "parameters": [
    "stem",
    "stages",
    "depth",
    "identity",
    "no-bias",
    "batch-norm",
    "head",
    "no-dropout",
  ],
  "activation": ["batch-norm", "stem"],
  "stages": ["stem", "subsampling", "depth"],
  "head": ["stem", "subsampling", "logits", "data-set"],
  "no-dropout": ["logits"],
  "crop": ["view-of-each-image", "views-over-epochs", "augmentation"],
  "augmentation": ["view-of-each-image"],
  "order-over-epochs": ["shuffled"],
  "same-preparation": ["pixel-order", "channel-order"],
  "momentum": ["optimiser"],
  "scheduler-stepped": ["learning-rate"],
  "evaluation-view": ["validation-view", "test-view"],
  "validation-view": ["resized"],
  "initialisation": ["operations"],
  "from-scratch": [],
};

/** Rules that explain another where both fail, and come right before it. */
const EXPLAINS: Readonly<Record<string, string>> = {
  // A seed that is set again in each epoch repeats the order, and with it the crops.
  "order-over-epochs": "views-over-epochs",
  // What makes a loss grow without end is to be changed, not the rate.
  ...Object.fromEntries(
    ["gradients-cleared", "training-mode", "loss", "batch-norm", "scale", "initialisation"]
      .map((rule) => [rule, "finite"]),
  ),
};

/** Where in somebody's code a rule's cause stands: what was called there. */
const CALLS: Readonly<Record<string, readonly string[]>> = {
  ...Object.fromEntries(
    [
      "augmentation",
      "crop",
      "view-of-each-image",
      "views-over-epochs",
      "mean",
      "scale",
      "labels",
      "channel-order",
      "pixel-order",
      "shuffled",
      "order-over-epochs",
      "split",
      "batch-size",
      "batches-from-training-images",
    ].map((rule) => [rule, ["transform", "loader", "network"]]),
  ),
  "learning-rate": ["scheduler", "step"],
  "scheduler-stepped": ["scheduler", "step"],
  "gradients-cleared": ["step"],
  "gradients-clipped": ["clip", "step"],
  "weight-decay": ["optimizer", "step"],
  "optimiser": ["optimizer", "step"],
  "momentum": ["optimizer", "step"],
  "parameters-optimised": ["step"],
  "training-mode": ["network"],
  "loss": ["loss", "backward"],
  "logits": ["loss", "backward"],
};

/** A change with its evidence. */
export interface RecordingChange extends Change {
  /** What was found. */
  readonly evidence: string;
  /** On photographs: section 3.4 chose otherwise, and nothing is wrong with it. */
  readonly choice?: true;
  /** The line of code that it begins at, where it is known. */
  readonly where?: string;
}

/**
 * What to change: the costlier first where costs are known ({@linkcode byCost}), and what explains
 * another before that.
 *
 * @param failed The rules that failed.
 * @param siteOf The line of code of the first call of a kind, where it is known.
 * @returns A change each, but for rules that follow from others.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { recordingChanges } from "./advice.ts";
 *
 * const changes = recordingChanges([
 *   { id: "mean", requirement: "The per-pixel mean is subtracted.", evidence: "none" },
 *   { id: "augmentation", requirement: "Images are cropped.", evidence: "none is" },
 * ]);
 * assertEquals(changes.map(({ rule }) => rule), ["augmentation", "mean"]);
 * ```
 */
export function recordingChanges(
  failed: readonly {
    readonly id: string;
    readonly requirement: string;
    readonly evidence: string;
  }[],
  siteOf: (calls: string) => string | undefined = () => undefined,
): readonly RecordingChange[] {
  const ids = new Set(failed.map(({ id }) => id));
  const judged = ({ id }: { readonly id: string }) => {
    const at = CHANGES.findIndex(([rule]) => rule === id);
    return at < 0 ? CHANGES.length : at;
  };
  const placed = byCost(
    failed.filter(({ id }) => !(FOLLOWING[id] ?? []).some((other) => ids.has(other)))
      .toSorted((a, b) => judged(a) - judged(b)),
    ({ id }) => [id],
  );
  const places = new Map(placed.map(({ id }, place) => [id, place]));
  const rank = ({ id }: { readonly id: string }) => {
    const explained = places.get(EXPLAINS[id]);
    const place = places.get(id)!;
    return explained === undefined ? place : explained - 1 + place / placed.length;
  };
  return placed.toSorted((a, b) => rank(a) - rank(b))
    .map(({ id, requirement, evidence }) => {
      const [, change = requirement] = CHANGES.find(([rule]) => rule === id) ?? [];
      const where = (CALLS[id] ?? []).map(siteOf).find((site) => site !== undefined);
      const cost = costOf(id);
      return {
        ...{ rule: id, change, evidence },
        ...(cost === undefined ? {} : { cost }),
        ...(where === undefined ? {} : { where }),
      };
    });
}

/**
 * The changes of a training on photographs: what is wrong, then what section 3.4 chose otherwise.
 *
 * @param changes As {@linkcode recordingChanges} gives them.
 * @param chosen The rules that section 3.4 states.
 */
export function onPhotographs(
  changes: readonly RecordingChange[],
  chosen: ReadonlySet<string>,
): readonly RecordingChange[] {
  // What is known of costs is of CIFAR-10.
  return changes.map(({ cost: _, ...change }): RecordingChange => ({
    ...change,
    change: ON_PHOTOGRAPHS[change.rule] ?? change.change,
    ...(chosen.has(change.rule) ? { choice: true } : {}),
  })).toSorted((a, b) => Number(a.choice ?? false) - Number(b.choice ?? false));
}
