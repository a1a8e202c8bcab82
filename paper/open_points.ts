/**
 * What the paper leaves open. A recipe decides each point, a report prints the
 * decision, and no rule judges it.
 */

/** One way to read the paper. */
export interface Reading {
  /** The values of the point's fields, joined by "/". */
  readonly id: string;
  /** The reading in words. */
  readonly reading: string;
}

/** A field of a recipe that decides a point which the paper leaves open. */
export type OpenField =
  | "architecture.zeroChannels"
  | "batchNorm.averages"
  | "batchNorm.epsilon"
  | "batchNorm.momentum"
  | "batchNorm.runningVariance"
  | "batchNormImages"
  | "data.epochEnd"
  | "data.meanSubtracted"
  | "data.pixelScale"
  | "data.split.training"
  | "data.split.validation"
  | "initialisation.fan"
  | "initialisation.lastLayer"
  | "optimiser.decayed"
  | "optimiser.nesterov"
  | "optimiser.velocityOf";

/** A point that the paper leaves open. */
export interface OpenPoint {
  /** Short and stable, for example `weight-decay-on`. */
  readonly id: string;
  /** What the paper does not say. */
  readonly question: string;
  /** The readings; the first is that of the recipe `paper`. */
  readonly readings: readonly Reading[];
  /** Why the first reading is the default. */
  readonly reason: string;
  /** Dotted paths of the recipe's fields that decide the point. */
  readonly fields: readonly OpenField[];
}

/** Every point that the paper leaves open, with its readings. */
export const OPEN_POINTS: readonly OpenPoint[] = [
  {
    id: "training-images",
    question: "On how many images were the nets of the final numbers trained?",
    readings: [
      { id: "45000/5000", reading: "45,000, and 5,000 held out for validation" },
      { id: "50000/0", reading: "all 50,000" },
    ],
    reason: "the schedule was determined on this split",
    fields: ["data.split.training", "data.split.validation"],
  },
  {
    id: "batch-norm-images",
    question: "Over how many images are batch-norm statistics taken?",
    readings: [
      { id: "128", reading: "the whole batch of 128" },
      { id: "64", reading: "64, the share of each of two GPUs" },
    ],
    reason: "it does not depend on the number of devices",
    fields: ["batchNormImages"],
  },
  {
    id: "weight-decay-on",
    question: "Which parameters does the weight decay hold for?",
    readings: [
      { id: "all", reading: "every trainable parameter" },
      { id: "kernels", reading: "the weights of convolutions and of the linear layer" },
    ],
    reason: "the common reading",
    fields: ["optimiser.decayed"],
  },
  {
    id: "zero-channels",
    question: "Where does option A put its zero channels?",
    readings: [
      { id: "append", reading: "after the others" },
      { id: "split", reading: "half before and half after the others" },
    ],
    reason: "as in fb.resnet.torch",
    fields: ["architecture.zeroChannels"],
  },
  {
    id: "mean-subtracted",
    question: "Is the mean subtracted before the padding?",
    readings: [
      { id: "before-padding", reading: "before it: the border is 0, the mean" },
      { id: "after-crop", reading: "after the crop: the border is black" },
    ],
    reason: "preprocessing comes before augmentation",
    fields: ["data.meanSubtracted"],
  },
  {
    id: "pixel-scale",
    question: "What is the range of pixel values?",
    readings: [
      { id: "0..1", reading: "0 to 1" },
      { id: "0..255", reading: "0 to 255" },
    ],
    reason: "the common one; batch normalisation makes the net almost indifferent to it",
    fields: ["data.pixelScale"],
  },
  {
    id: "he-fan",
    question: "Over which fan does He initialisation go?",
    readings: [
      { id: "in", reading: "fan-in" },
      { id: "out", reading: "fan-out" },
    ],
    reason: "the form that its source derives first",
    fields: ["initialisation.fan"],
  },
  {
    id: "last-layer-start",
    question: "How does the last layer start?",
    readings: [
      { id: "he-normal", reading: "as the convolutions do" },
      { id: "library", reading: "as libraries start it, uniformly within 1 / sqrt(inputs)" },
    ],
    reason: "the paper names one initialisation alone",
    fields: ["initialisation.lastLayer"],
  },
  {
    id: "momentum-form",
    question: "Which form does the momentum have?",
    readings: [
      { id: "false/gradients", reading: "v = mu v + g, w = w - rate v" },
      { id: "true/gradients", reading: "Nesterov's" },
      { id: "false/steps", reading: "v = mu v + rate g, w = w - v, as in Caffe" },
    ],
    reason: "the paper names no other",
    fields: ["optimiser.nesterov", "optimiser.velocityOf"],
  },
  {
    id: "epoch-end",
    question: "What becomes of an epoch's last images, fewer than a batch?",
    readings: [
      { id: "run-on", reading: "the batch runs on into the next shuffle" },
      { id: "keep-partial", reading: "they are a smaller batch" },
      { id: "drop-partial", reading: "they are left out" },
    ],
    reason: "every batch has 128 images, as the paper says",
    fields: ["data.epochEnd"],
  },
  {
    id: "running-statistics",
    question: "How are the batch-norm statistics for tests taken?",
    readings: [
      {
        id: "0.1/unbiased/0.00001/moving",
        reading: "a moving average with 0.1 on the batch, unbiased variance, epsilon 0.00001",
      },
      {
        id: "0.1/unbiased/0.00001/strict",
        reading: "strict averages over an epoch's batches after the training, epsilon 0.00001",
      },
    ],
    reason: "as PyTorch takes them",
    fields: [
      "batchNorm.momentum",
      "batchNorm.runningVariance",
      "batchNorm.epsilon",
      "batchNorm.averages",
    ],
  },
];
