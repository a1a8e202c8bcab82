import { assertEquals } from "@std/assert";
import { RandomStream } from "../../../random/mod.ts";
import { assertTensorClose } from "../../../testing/mod.ts";
import { hasRelaxedSimd, Module, plainMultiplyAdd, relaxedMultiplyAdd } from "../assembler.ts";
import { weightGradientKernel } from "./weight_gradient.ts";

// 3x3, stride 2 on 4x4 inputs; the zeros around them are in the formula alone.
const [KERNEL, STRIDE, PADDING, INPUT, OUTPUT] = [3, 2, 1, 4, 2];
const [CHANNELS, FILTERS, IMAGES] = [8, 12, 5];
const X = INPUT * INPUT * CHANNELS;
const DZ = OUTPUT * OUTPUT * FILTERS;
/** Floats between images, beyond their own: nobody may read them. */
const GAP = 16;

/** dw = sum over images, y, x of X[s y + ky - p, s x + kx - p, c] dz[y, x, k], in double precision. */
function expected(x: Float32Array, dz: Float32Array, dw: Float32Array, images: number) {
  const sum = Float64Array.from(dw);
  for (let image = 0; image < images; image++) {
    for (let ky = 0; ky < KERNEL; ky++) {
      for (let kx = 0; kx < KERNEL; kx++) {
        for (let y = 0; y < OUTPUT; y++) {
          for (let column = 0; column < OUTPUT; column++) {
            const [row, at] = [STRIDE * y + ky - PADDING, STRIDE * column + kx - PADDING];
            if (Math.min(row, at) < 0 || Math.max(row, at) >= INPUT) continue;
            const pixel = row * INPUT + at;
            for (let c = 0; c < CHANNELS; c++) {
              for (let k = 0; k < FILTERS; k++) {
                sum[((ky * KERNEL + kx) * CHANNELS + c) * FILTERS + k] +=
                  x[image * (X + GAP) + pixel * CHANNELS + c] *
                  dz[image * (DZ + GAP) + (y * OUTPUT + column) * FILTERS + k];
              }
            }
          }
        }
      }
    }
  }
  return Float32Array.from(sum);
}

Deno.test("a weight gradient is summed over as many images of a group as there are", () => {
  const module = new Module(1, 1);
  weightGradientKernel(module, hasRelaxedSimd() ? relaxedMultiplyAdd : plainMultiplyAdd, {
    kernel: KERNEL,
    stride: STRIDE,
    inputChannels: CHANNELS,
    outputChannels: FILTERS,
    height: OUTPUT,
    width: OUTPUT,
    inputRow: INPUT * CHANNELS * 4,
    gradientRow: OUTPUT * FILTERS * 4,
    images: {
      ...{ input: 4 * (X + GAP), gradient: 4 * (DZ + GAP) },
      ...{ height: INPUT, width: INPUT, padding: PADDING },
    },
  });
  const memory = new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true });
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(module.build()), {
    env: { memory },
  });
  const [kernel] = Object.values(exports) as ((...values: number[]) => void)[];
  const random = new RandomStream(3, "probe", 0);
  const filled = (address: number, length: number) =>
    new Float32Array(memory.buffer, address, length).map(() => random.normal());
  for (const count of [IMAGES, 2, 1, 0]) {
    const addresses = [0, 16384, 32768];
    const lengths = [IMAGES * (X + GAP), IMAGES * (DZ + GAP), KERNEL ** 2 * CHANNELS * FILTERS];
    const [x, dz, dw] = addresses.map((address, i) => {
      const values = filled(address, lengths[i]);
      new Float32Array(memory.buffer, address, lengths[i]).set(values);
      return values;
    });
    kernel(...addresses, count);
    const found = new Float32Array(memory.buffer, addresses[2], dw.length).slice();
    if (count === 0) assertEquals(found, dw);
    const shape = [KERNEL, KERNEL, CHANNELS, FILTERS];
    assertTensorClose(
      { shape, data: found },
      { shape, data: expected(x, dz, dw, count) },
      // At most 20 products of about 1, in single precision.
      { absolute: 1e-5, relative: 1e-5 },
      `${count} images`,
    );
  }
});
