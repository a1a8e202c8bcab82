// The catalogue of mutants. Each is tried in the checklist of its tier, under its rule's id.
import { assert, assertEquals } from "@std/assert";
import { MUTANTS } from "./mutants.ts";

/** How reproductions went wrong, with an issue (owner/repository#number), and the mutants of it. */
const SEEN: Readonly<Record<string, readonly string[]>> = {
  "the warm-up of 110 layers never returns to 0.1 (akamaster/pytorch_resnet_cifar10#21)": [
    "learning-rate/a warm-up that never ends",
    "warm-up-ended/a warm-up that never returns to 0.1",
  ],
  "the test set chooses the epoch (akamaster/pytorch_resnet_cifar10#4, kuangliu/pytorch-cifar#149)":
    [
      "test-set-unseen/the test set in place of the validation set",
      "final-step/the best validation step as the result",
    ],
  "epochs are taken for iterations (akamaster/pytorch_resnet_cifar10#6, #29)": [
    "learning-rate/epochs taken for iterations",
    "rates-used/epochs taken for iterations",
  ],
  "not the per-pixel mean (akamaster/pytorch_resnet_cifar10#9)": [
    "preprocessed-mean/channel means",
    "preprocessed-mean/ImageNet's constants",
  ],
  "the widths of ImageNet's nets (kuangliu/pytorch-cifar#57, pytorch/vision#573)": [
    "stages/four stages of 64 to 512 filters",
  ],
  "a 7x7 stem and max pooling on 32x32 pixels (weiaicunzai/pytorch-cifar100#29)": [
    "stem/7x7 stem",
    "subsampling/max pooling behind the stem",
  ],
  "110 layers of bottlenecks (bearpaw/pytorch-classification#36)": ["stages/1x1 layers"],
  "other shortcuts than option A (ethanhe42/resnet-cifar10-caffe#15, gcr/torch-residual-networks#18)":
    ["identity/projections", "shortcut-values/average pooling"],
  "projections without batch normalisation (raghakot/keras-resnet#12)": [
    "identity/projections without batch normalisation",
  ],
  "no weight decay, or twice as much (raghakot/keras-resnet#25, keras-team/keras#8231)": [
    "zero-gradient-step/no weight decay",
    "zero-gradient-step/twice the decay",
  ],
  "a shift in place of a padded crop (keras-team/keras#8231)": [
    "crops-and-flips/a border of the nearest pixel",
    "crops-and-flips/shifted around",
  ],
  "evaluation in training mode (huyvnphan/PyTorch_CIFAR10#4, #18)": [
    "batch-invariance/evaluation in training mode",
  ],
  "normalised twice, or not at all in testing (MadryLab/robustness#14)": [
    "preprocessed-mean/normalised twice",
    "test-images/not normalised",
  ],
  "the mean of the test set (ikhlestov/vision_networks#27)": [
    "preprocessed-mean/the mean of the test images",
    "mean-measured-on/the mean of the test images",
  ],
  "augmentation changes the stored images (facebookresearch/pycls#21)": [
    "stored-images/augmented in place",
  ],
  "augmented once, then cached (tensorflow/tensorflow#47755)": [
    "crops-and-flips/augmented once, then cached",
    "step-batch/augmented once, then cached",
  ],
  "a part of the test set (gcr/torch-residual-networks#2)": [
    "test-set-whole/nine tenths of the test set",
  ],
  "batch-norm statistics counted as parameters (Lasagne/Recipes#38)": [
    "parameters-logged/batch-norm statistics counted",
  ],
  "too good to be true (facebookarchive/fb.resnet.torch#177)": ["plausible/a test error of 1%"],
  "another batch size (szagoruyko/wide-residual-networks#58)": [
    "images-per-step/batches of 64",
  ],
  "ReLU behind the last layer": [
    "head/ReLU behind the last layer",
    "negative-logits/ReLU behind the last layer",
  ],
};

const real = MUTANTS.filter(({ kind }) => kind === "engine" || kind === "loop");
const ids = MUTANTS.map(({ caughtBy, name }) => `${caughtBy}/${name}`);

Deno.test(
  `the catalogue has ${MUTANTS.length} mutants, ${real.length} of them of a real engine or the real loop`,
  () => {
    assertEquals(
      new Set(MUTANTS.map(({ id }) => id)).size,
      MUTANTS.length,
      "two mutants of one rule have one name",
    );
    assert(MUTANTS.length >= 60, "fewer than 60 mutants");
    assert(real.length >= 15, "fewer than 15 that wrap a real engine or the real loop");
    for (const tier of ["static", "numeric", "log"] as const) {
      assert(MUTANTS.some((mutant) => mutant.tier === tier), `no mutants of the tier ${tier}`);
    }
  },
);

Deno.test("each way in which reproductions were seen to go wrong is in the catalogue", () => {
  for (const [seen, mutants] of Object.entries(SEEN)) {
    for (const mutant of mutants) assert(ids.includes(mutant), `${seen}: no mutant "${mutant}"`);
  }
});
