/**
 * What an audit names: each way in which nets are known to leave the paper, by
 * the rule that it breaks, what follows from it, and what to do about it.
 */

/** Whether something is broken, or another choice than the paper's. */
export type Severity =
  /** The result is invalid, or learning is hindered, whatever the paper says. */
  | "fault"
  /** The paper states something else. */
  | "departure";

/** One kind of cause. */
export interface CauseKind {
  /** In a few words. */
  readonly title: string;
  /** The rule that it breaks. */
  readonly rule: string;
  /** See {@linkcode Severity}; `departure` when undefined. */
  readonly severity?: Severity;
  /** Rules that may fail because of it, and say nothing more then. */
  readonly explains?: readonly string[];
  /** Causes that say nothing more beside it. */
  readonly subsumes?: readonly string[];
  /** What to do; undefined where the rule's own advice is it. */
  readonly change?: string;
}

/** A cause that was seen. */
export interface Cause {
  /** Which kind. */
  readonly id: CauseId;
  /** The names and numbers on which it rests, as one sentence for people. */
  readonly evidence: string;
}

const FORM = ["stages", "depth", "parameters", "subsampling"] as const;
const NORM = ["parameters", "activation"] as const;

const KINDS = {
  // Weights that no training left so.
  "weights-not-finite": {
    title: "weights that are not numbers",
    rule: "weights",
    severity: "fault",
    change:
      "Take a checkpoint from before the loss became NaN, and look at the rate and at mixed precision.",
  },
  "statistics-never-moved": {
    title: "batch-norm statistics that never moved",
    rule: "weights",
    severity: "fault",
    change:
      "Save the weights after training, with the running statistics updated in training mode: tests use them.",
  },
  "zero-variance": {
    title: "batch norm with variances of zero, or below",
    rule: "weights",
    severity: "fault",
    change: "Look at the layer before it: it gives the same value for every image.",
  },
  "dead-layer": {
    title: "a dead layer",
    rule: "weights",
    severity: "fault",
    change:
      "Look at how the layer starts and whether the optimiser holds it: all its weights are equal.",
  },
  // What stops learning, or makes tests mean nothing.
  "relu-at-end": {
    title: "a ReLU after the last layer",
    rule: "head",
    severity: "fault",
    explains: ["negative-logits"],
    change: "Remove the ReLU after the last layer: it stops the gradient of every negative output.",
  },
  "sigmoid-at-end": {
    title: "a sigmoid after the last layer",
    rule: "head",
    severity: "fault",
    change: "Remove the sigmoid: the loss takes the last layer's outputs as they are.",
  },
  "softmax-at-end": {
    title: "a softmax within the network",
    rule: "head",
    severity: "fault",
    change:
      "Remove the softmax from the network if it was trained so: PyTorch's cross entropy applies it itself.",
  },
  "training-mode-norm": {
    title: "batch norm in training mode",
    rule: "batch-invariance",
    severity: "fault",
    change: "Call model.eval() before testing and exporting: tests use the running statistics.",
  },
  "schedule-not-followed": {
    title: "a rate that is not what its schedule gives",
    rule: "learning-rate",
    severity: "fault",
    change:
      "Save and load the scheduler's state with the optimiser's, and step it once an epoch: resumed without it, the schedule begins anew.",
  },
  "quantised": { title: "a quantised model", rule: "form" },
  // The form of the whole.
  "pre-activation": {
    title: "pre-activation (version 2 of the ResNet)",
    rule: "batch-norm",
    explains: [...NORM, "shortcuts", "identity", "stages", "depth", "head"],
    subsumes: ["batch-norm-missing", "batch-norm-spare", "relu-missing-after-addition"],
    change:
      "Put batch norm and ReLU behind each convolution, and the last ReLU behind the addition.",
  },
  "bottleneck": {
    title: "bottleneck blocks",
    rule: "shortcuts",
    explains: [...FORM, "identity", "head", "batch-norm"],
    subsumes: ["kernel-size", "widths", "depth"],
    change: "Build each block of two 3x3 convolutions; depths are then 6n+2.",
  },
  "stem-7x7": {
    title: "ImageNet's stem",
    rule: "stem",
    subsumes: ["stem-filters"],
    explains: ["subsampling", "stages", "parameters", "head"],
    change:
      "Make the first layer a 3x3 convolution with 16 filters, stride 1 and padding 1, with no pooling behind it.",
  },
  "stem-kernel": {
    title: "another kernel in the first layer",
    rule: "stem",
    explains: ["parameters"],
  },
  "stem-filters": {
    title: "another width of the first layer",
    rule: "stem",
    explains: ["parameters"],
  },
  "stem-padding": {
    title: "another padding of the first layer",
    rule: "stem",
    explains: ["stages", "head", "subsampling"],
    change: "Pad the first 3x3 convolution by 1, so that it keeps 32x32.",
  },
  "pooled-stem": {
    title: "pooling after the first layer",
    rule: "subsampling",
    explains: ["stages", "head"],
    change: "Remove the pooling behind the first layer.",
  },
  "image-channels": {
    title: "images of another number of channels",
    rule: "input",
    explains: ["parameters"],
  },
  "image-size": {
    title: "images of another size",
    rule: "input",
    explains: ["stem", "stages", "head", "subsampling", "test-view"],
    change: "Give the network whole images of 32x32 pixels.",
  },
  "stages": {
    title: "another number of stages",
    rule: "stages",
    explains: ["depth", "parameters", "subsampling", "head"],
    subsumes: ["widths", "blocks-per-stage", "depth", "stem-filters"],
  },
  "widths": {
    title: "other widths",
    rule: "stages",
    explains: ["parameters", "head"],
    subsumes: ["stem-filters"],
  },
  "blocks-per-stage": {
    title: "stages of different lengths",
    rule: "stages",
    explains: ["depth", "parameters", "shortcuts"],
    subsumes: ["depth"],
    change: "Give each stage the same number of blocks, n.",
  },
  "thinned": {
    title: "thinned channels",
    rule: "stages",
    explains: ["parameters"],
    change: "Judge the net before its channels were pruned.",
  },
  "grouped": {
    title: "grouped convolutions",
    rule: "stages",
    explains: ["parameters"],
    change: "Use convolutions over all channels (groups=1).",
  },
  "dilated": {
    title: "dilated convolutions",
    rule: "stages",
    change: "Use convolutions without dilation.",
  },
  "kernel-size": { title: "other kernels", rule: "stages", explains: ["parameters"] },
  "depth": { title: "another depth", rule: "depth", explains: ["parameters", "shortcuts"] },
  // Batch norm and activation.
  "batch-norm-missing": {
    title: "convolutions without batch norm",
    rule: "batch-norm",
    subsumes: ["convolution-bias"],
    explains: ["parameters", "no-bias", "activation"],
  },
  "projection-without-batch-norm": {
    title: "projections without batch norm",
    rule: "batch-norm",
    explains: ["activation", "parameters", "no-bias"],
  },
  "batch-norm-incomplete": {
    title: "normalisation without running statistics",
    rule: "batch-norm",
    change:
      "Use batch norm with running statistics: group norm, and batch norm that does not track them, are others.",
  },
  "group-norm": {
    title: "group norm in place of batch norm",
    rule: "batch-norm",
    change: "Use batch normalisation behind each convolution.",
  },
  "batch-norm-spare": {
    title: "batch norms that belong to no convolution",
    rule: "batch-norm",
    explains: NORM,
  },
  "batch-norm-after-addition": {
    title: "batch norm behind the addition",
    rule: "batch-norm",
    explains: NORM,
    change: "Normalise the branch before the addition, right behind its second convolution.",
  },
  "batch-norm-after-relu": {
    title: "batch norm behind the activation",
    rule: "batch-norm",
    explains: NORM,
    change: "Put batch norm between the convolution and its ReLU.",
  },
  "relu-missing-after-addition": {
    title: "no ReLU after the addition",
    rule: "activation",
    change: "Put a ReLU behind each addition.",
  },
  "relu-before-addition": {
    title: "ReLU on the branch, before the addition",
    rule: "activation",
    change: "Move the block's second ReLU behind the addition.",
  },
  "relu-missing": { title: "convolutions without ReLU", rule: "activation" },
  "relu-missing-stem": {
    title: "no ReLU after the first layer",
    rule: "activation",
    change: "Put a ReLU behind the first layer's batch norm.",
  },
  "other-activation": {
    title: "another activation than ReLU",
    rule: "activation",
    explains: ["head"],
    change: "Use ReLU.",
  },
  "convolution-bias": {
    title: "convolutions with bias",
    rule: "no-bias",
    explains: ["parameters"],
    change: "Leave the convolutions' bias out (bias=False).",
  },
  "dropout": { title: "dropout", rule: "no-dropout", change: "Leave dropout out." },
  // Shortcuts.
  "projection": {
    title: "projections on shortcuts (option B)",
    rule: "identity",
    explains: ["parameters"],
  },
  "average-pooled-shortcut": {
    title: "average pooling on the shortcut",
    rule: "identity",
    explains: ["subsampling"],
    change: "Take every second pixel on the shortcut, in place of the mean of four.",
  },
  "max-pooled-shortcut": {
    title: "max pooling on the shortcut",
    rule: "identity",
    explains: ["subsampling"],
    change: "Take every second pixel on the shortcut, in place of the largest of four.",
  },
  "copied-channels": {
    title: "copied channels in place of zeros on the shortcut",
    rule: "identity",
    explains: ["parameters"],
    change: "Fill the shortcut's new channels with zeros.",
  },
  "shortcut-missing": {
    title: "no shortcut where the shape changes",
    rule: "shortcuts",
    explains: ["identity"],
  },
  "shortcut-around-one": {
    title: "shortcuts around single layers",
    rule: "shortcuts",
    explains: ["activation", "identity"],
    subsumes: ["shortcut-missing", "relu-before-addition", "relu-missing-after-addition"],
  },
  "stride-at-second": {
    title: "the stride at a block's second convolution",
    rule: "stages",
    explains: ["subsampling"],
    change: "Put stride 2 at the first convolution of stages 2 and 3.",
  },
  "max-pooled-stages": {
    title: "pooling in place of strides",
    rule: "subsampling",
    explains: ["identity", "stages"],
  },
  // The head.
  "classes": { title: "another number of classes", rule: "head", explains: ["parameters"] },
  "head-missing": {
    title: "no last layer",
    rule: "head",
    explains: ["parameters", "depth"],
    change: "Save the whole model, its last layer with it.",
  },
  "flattened-head": {
    title: "a flattened head",
    rule: "head",
    explains: ["parameters"],
    change: "Average each of the 64 maps to one number before the last layer.",
  },
  "hidden-dense": {
    title: "a hidden layer in the head",
    rule: "head",
    explains: ["parameters", "depth", "shortcuts", "stages"],
    change: "Lead the averaged maps straight to the 10 outputs.",
  },
  "dense-without-bias": {
    title: "a last layer without bias",
    rule: "head",
    explains: ["parameters"],
    change: "Give the last layer its bias.",
  },
  // What could not be read as a net.
  "operations": { title: "operations that no net of the paper has", rule: "form" },
  "unknown-structure": { title: "arrays that form no net of the known kinds", rule: "form" },
  "claimed": { title: "another net than it is said to be", rule: "claimed" },
} as const satisfies Readonly<Record<CauseId, CauseKind>>;

/** The kinds of causes. */
export type CauseId =
  | "weights-not-finite"
  | "statistics-never-moved"
  | "zero-variance"
  | "dead-layer"
  | "relu-at-end"
  | "sigmoid-at-end"
  | "softmax-at-end"
  | "training-mode-norm"
  | "schedule-not-followed"
  | "quantised"
  | "pre-activation"
  | "bottleneck"
  | "stem-7x7"
  | "stem-kernel"
  | "stem-filters"
  | "stem-padding"
  | "pooled-stem"
  | "image-channels"
  | "image-size"
  | "stages"
  | "widths"
  | "blocks-per-stage"
  | "thinned"
  | "grouped"
  | "dilated"
  | "kernel-size"
  | "depth"
  | "batch-norm-missing"
  | "projection-without-batch-norm"
  | "batch-norm-incomplete"
  | "group-norm"
  | "batch-norm-spare"
  | "batch-norm-after-addition"
  | "batch-norm-after-relu"
  | "relu-missing-after-addition"
  | "relu-before-addition"
  | "relu-missing"
  | "relu-missing-stem"
  | "other-activation"
  | "convolution-bias"
  | "dropout"
  | "projection"
  | "average-pooled-shortcut"
  | "max-pooled-shortcut"
  | "copied-channels"
  | "shortcut-missing"
  | "shortcut-around-one"
  | "stride-at-second"
  | "max-pooled-stages"
  | "classes"
  | "head-missing"
  | "flattened-head"
  | "hidden-dense"
  | "dense-without-bias"
  | "operations"
  | "unknown-structure"
  | "claimed";

/**
 * What a kind of cause is.
 *
 * @param id Which.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { causeKind } from "./causes.ts";
 *
 * assertEquals(causeKind("relu-before-addition").rule, "activation");
 * ```
 */
export function causeKind(id: CauseId): CauseKind {
  return KINDS[id];
}

/** The place of a cause among all, the gravest first. */
export function rankOf(id: CauseId): number {
  return Object.keys(KINDS).indexOf(id);
}

/** What rules that no checklist of ours has ask for. */
export const OWN_REQUIREMENTS: Readonly<Record<string, string>> = {
  "weights": "Weights are finite numbers, and training has moved them.",
  "form": "The network is made of the layers that the paper names.",
  "claimed": "It is the network that it is said to be.",
};
