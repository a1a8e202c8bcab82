/**
 * The momentum update of all weights in one dispatch, as the engine contract states it:
 *
 *     g = sum over partials of dw + decay w     v = momentum v + g
 *     w = w - rate v, or with Nesterov's momentum w = w - rate (g + momentum v)
 *
 * Of a convolution's kernel it also writes the copy that the input gradient reads, with the
 * taps in reverse and channels and filters exchanged:
 *
 *     flipped[taps - 1 - tap, f, c] = w[tap, c, f]
 *
 * Tiling. A workgroup takes a block of one parameter's elements, which it finds in a row of
 * the table. Lanes side by side take neighbouring elements. Where a gradient has many
 * partials, up to 8 groups of lanes share them (group l adds partials l, l + 8, ...), so
 * that enough loads are under way; the groups' sums are added in their order.
 */
import type { SgdSettings } from "../../engine.ts";
import { FLAT_GROUP, flatGrid, type Kernel, STEP } from "../_kernel.ts";
import { entryPoint, LANES, storage } from "./_lanes.ts";

/** A trainable parameter, and where everything of it lies. */
export interface UpdatedParameter {
  /** Its first float in the weights' buffer, and in the momentum's. */
  readonly weights: number;
  /** Floats, rounded-up channels included. */
  readonly size: number;
  /** First float in the gradients' buffer. */
  readonly gradients: number;
  /** Partial gradients, whose sum is the gradient. */
  readonly partials: number;
  /** Floats from one partial gradient to the next. */
  readonly stride: number;
  /** Whether weight decay applies. */
  readonly decays: boolean;
  /** The mirrored and transposed copy of a convolution's kernel. */
  readonly flipped?: {
    /** First float in the flipped kernels' buffer. */
    readonly offset: number;
    readonly taps: number;
    /** Rounded up, as stored. */
    readonly channels: number;
    readonly filters: number;
  };
}

/** Words of a block's row in the table. */
const FIELDS = [
  // Place of the block's first element in the parameter, the parameter's size, and the
  // block's width: the elements that it has lanes for.
  ...["first", "size", "width"],
  ...["weights_start", "gradients_start", "partials", "stride", "decays"],
  // No taps: no flipped copy.
  ...["flipped_start", "taps", "channels", "filters"],
] as const;

/** Groups of lanes that share partials; 32 lanes each still read whole cache lines. */
const LARGEST_SHARING = 8;

/** What `updateKernel` reads its work from: a row of words for every block of elements. */
export function updateTable(parameters: readonly UpdatedParameter[]): Uint32Array {
  return Uint32Array.from(parameters.flatMap((parameter) => {
    const { weights, size, gradients, partials, stride, decays, flipped } = parameter;
    const sharing = 2 ** Math.floor(Math.log2(Math.min(partials, LARGEST_SHARING)));
    const width = LANES / sharing;
    return Array.from({ length: Math.ceil(size / width) }, (_, block) => [
      ...[block * width, size, width],
      ...[weights, gradients, partials, stride, decays ? 1 : 0],
      ...flipped ? [flipped.offset, flipped.taps, flipped.channels, flipped.filters] : [0, 0, 0, 0],
    ]).flat();
  }));
}

/**
 * Makes the kernel of the update.
 *
 * Bindings: the table, gradients, weights, momentum, flipped kernels.
 *
 * @param sgd The optimiser's constants.
 * @param table What the kernel will be given; the code depends on its length alone.
 */
export function updateKernel(sgd: SgdSettings, table: Uint32Array): Kernel {
  const { momentum, nesterov, weightDecay } = sgd;
  const blocks = table.length / FIELDS.length;
  return {
    label: `update ${JSON.stringify({ momentum, nesterov, weightDecay, blocks })}`,
    group: "update",
    workgroups: () => flatGrid(blocks),
    operations: () => 0,
    code: [
      STEP,
      storage(1, "rows", "read", "array<u32>"),
      storage(2, "gradients", "read", "array<f32>"),
      storage(3, "weights", "read_write", "array<f32>"),
      storage(4, "momentum", "read_write", "array<f32>"),
      storage(5, "flipped", "read_write", "array<f32>"),
      `var<workgroup> sums: array<f32, ${LANES}>;`,
      entryPoint(
        LANES,
        `
  let block = ${FLAT_GROUP};
  if (block >= ${blocks}u) { return; }
  ${
          FIELDS.map((field, k) => `let ${field} = rows[block * ${FIELDS.length}u + ${k}u];`)
            .join("\n  ")
        }
  let element = first + lane % width;
  var sum = 0.0;
  if (element < size) {
    for (var p = lane / width; p < partials; p += ${LANES}u / width) {
      sum += gradients[gradients_start + p * stride + element];
    }
  }
  sums[lane] = sum;
  workgroupBarrier();
  if (lane >= width || element >= size) { return; }
  for (var other = lane + width; other < ${LANES}u; other += width) {
    sum += sums[other];
  }
  let place = weights_start + element;
  var w = weights[place];
  let g = sum + select(0.0, ${weightDecay}f, decays == 1u) * w;
  let v = ${momentum}f * momentum[place] + g;
  w -= step.learning_rate * ${nesterov ? `(g + ${momentum}f * v)` : "v"};
  momentum[place] = v;
  weights[place] = w;
  if (taps > 0u) {
    let f = element % filters;
    let c = element / filters % channels;
    let tap = element / (filters * channels);
    flipped[flipped_start + ((taps - 1u - tap) * filters + f) * channels + c] = w;
  }`,
      ),
    ].join("\n"),
  };
}
