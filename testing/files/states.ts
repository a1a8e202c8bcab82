/** State dicts as PyTorch has them, of right nets and of others. */
import { type Architecture, architecture, initialise, type Tensor } from "../../resnet/mod.ts";
import { someNumbers } from "./numbers.ts";

/** An array of numbers that mean nothing, and are none that a layer starts with. */
export function someArray(...shape: number[]): Tensor {
  return { shape, data: someNumbers(shape.reduce((a, b) => a * b, 1)) };
}

/** An array without axes. */
export function scalarArray(value: number): Tensor {
  return { shape: [], data: Float32Array.of(value) };
}

/**
 * A net's arrays, batch norm's statistics moved, and their updates counted.
 *
 * @param name Of an architecture.
 * @param options Its other options.
 */
export function stateOf(
  name: string,
  options: Partial<Omit<Architecture, "name">> = {},
): Map<string, Tensor> {
  const state = new Map<string, Tensor>();
  for (const [key, { shape, data }] of initialise(architecture(name, options), 1, "in")) {
    state.set(key, { shape, data: /running/.test(key) ? someNumbers(data.length) : data });
    if (key.endsWith("running_var")) {
      state.set(key.replace("running_var", "num_batches_tracked"), scalarArray(64_000));
    }
  }
  return state;
}

/**
 * The same net as pre-activation nets are: each batch norm has the channels that its convolution
 * takes, and one stands behind the last block.
 *
 * @param name Of an architecture of the paper.
 */
export function preActivatedState(name: string): Map<string, Tensor> {
  const state = stateOf(name);
  const arrays = ["weight", "bias", "running_mean", "running_var"];
  [16, 16, 32].forEach((channels, stage) => {
    for (const suffix of arrays) {
      state.set(`layer${stage + 1}.0.bn1.${suffix}`, someArray(channels));
    }
  });
  for (const suffix of arrays) {
    state.delete(`bn1.${suffix}`);
    state.set(`bn.${suffix}`, someArray(64));
  }
  return state;
}
