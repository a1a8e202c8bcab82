/**
 * Losses of the first 30 steps in PyTorch 2.13.0 on a CPU, in single precision:
 * built-in images of seed 0 in their order, batch 64, rate 0.001, weights
 * initialised with seed 1. Made by
 *
 *     deno run --allow-write=FOLDER bench/peers/export_shapes10.ts FOLDER
 *     deno run --allow-write=FILE bench/peers/export_weights.ts resnet8 1 FILE
 *     python3 bench/peers/pytorch_trajectory.py trajectory --architecture resnet8 \
 *         --weights FILE --data FOLDER/train.bin --out losses.json
 *
 * With `--channels-last` PyTorch's own losses differ from these by up to
 * 1.9e-5 (ResNet-8) and 3.3e-4 (ResNet-14) of their value.
 */
export const PYTORCH_TRAJECTORIES: Readonly<Record<string, readonly number[]>> = {
  resnet8: [
    2.715418,
    2.765074,
    2.73416,
    2.996763,
    2.768619,
    2.784389,
    2.668103,
    2.738094,
    2.634199,
    2.764673,
    2.506628,
    2.62799,
    2.694329,
    2.651673,
    2.584154,
    2.56683,
    2.55442,
    2.593668,
    2.523197,
    2.490984,
    2.436472,
    2.602866,
    2.464736,
    2.455129,
    2.441164,
    2.555561,
    2.507917,
    2.451305,
    2.451571,
    2.425538,
  ],
  resnet14: [
    3.56834,
    3.486551,
    3.642752,
    3.452155,
    3.57824,
    3.367502,
    3.238757,
    3.182704,
    3.315864,
    3.172633,
    3.052507,
    2.952966,
    2.947137,
    2.833091,
    2.880978,
    2.864014,
    2.830121,
    2.705958,
    2.728949,
    2.653183,
    2.548084,
    2.671168,
    2.590366,
    2.631378,
    2.528214,
    2.506323,
    2.567754,
    2.564422,
    2.406749,
    2.438002,
  ],
};

/** SHA-256 of the pixels that these losses were computed on. */
export const TRAIN_PIXELS_SHA256 =
  "d57f7c536ce3320de63bbf8cfa6c9ed27181ea59d6d4218068f7680b02a1ab94";
