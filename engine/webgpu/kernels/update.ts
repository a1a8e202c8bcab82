/**
 * The optimiser's update of all weights in one dispatch:
 *
 *     g = sum over partials of dw     w, slots = rule(w, g, slots)
 *
 * The rule is that of `optimiser.ts`, written in WGSL.
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
import { type Arithmetic, type Optimiser, ruleOf } from "../../optimiser.ts";
import { scalerCode } from "../_half.ts";
import { FLAT_GROUP, flatGrid, type Kernel, scalarCode, STEP } from "../_kernel.ts";
import { entryPoint, LANES, storage } from "./_lanes.ts";

/** A trainable parameter, and where everything of it lies. */
export interface UpdatedParameter {
  /** Its first float in the weights' buffer, and in each slot's. */
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
 * Bindings: the table, gradients, weights, flipped kernels, each slot.
 *
 * With `isScaled` the scaler comes last: gradients are divided by its scale, and nothing is changed
 * where one of them was not finite.
 *
 * @param table What the kernel will be given; the code depends on its length alone.
 */
export function updateKernel(
  optimiser: Optimiser,
  table: Uint32Array,
  isScaled = false,
): Kernel {
  const blocks = table.length / FIELDS.length;
  const rule = ruleOf(optimiser);
  const { statements, arithmetic } = writtenArithmetic();
  const updated = rule.update(arithmetic, {
    ...{ weight: "w", gradient: "sum" },
    slots: rule.slots.map((slot) => `${slot}[place]`),
    scalars: rule.scalars(1, 0).map((_, i) => scalarCode(i)),
    ...(optimiser.weightDecay > 0 && {
      decay: `select(0.0, ${float(optimiser.weightDecay)}, decays == 1u)`,
    }),
  });
  return {
    label: `update ${JSON.stringify({ optimiser, blocks })}${isScaled ? " scaled" : ""}`,
    group: "update",
    workgroups: () => flatGrid(blocks),
    operations: () => 0,
    code: [
      STEP,
      storage(1, "rows", "read", "array<u32>"),
      storage(2, "gradients", "read", "array<f32>"),
      storage(3, "weights", "read_write", "array<f32>"),
      storage(4, "flipped", "read_write", "array<f32>"),
      ...rule.slots.map((slot, i) => storage(5 + i, slot, "read_write", "array<f32>")),
      ...(isScaled ? [scalerCode(5 + rule.slots.length, "read")] : []),
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
  ${isScaled ? "if (scaler.overflow != 0u) { return; }\n  sum /= scaler.scale;" : ""}
  let place = weights_start + element;
  let w = weights[place];
  ${statements.join("\n  ")}
  let updated = ${updated.weight};
  ${updated.slots.map((value, i) => `${rule.slots[i]}[place] = ${value};`).join("\n  ")}
  weights[place] = updated;
  if (taps > 0u) {
    let f = element % filters;
    let c = element / filters % channels;
    let tap = element / (filters * channels);
    flipped[flipped_start + ((taps - 1u - tap) * filters + f) * channels + c] = updated;
  }`,
      ),
    ].join("\n"),
  };
}

/** Writes expressions; what is kept becomes a statement. */
function writtenArithmetic(): { statements: string[]; arithmetic: Arithmetic<string> } {
  const statements: string[] = [];
  return {
    statements,
    arithmetic: {
      add: (a, b) => `(${a} + ${b})`,
      sub: (a, b) => `(${a} - ${b})`,
      mul: (a, b) => `(${a} * ${b})`,
      div: (a, b) => `(${a} / ${b})`,
      max: (a, b) => `max(${a}, ${b})`,
      sqrt: (a) => `sqrt(${a})`,
      constant: float,
      keep(value) {
        const name = `kept_${statements.length}`;
        statements.push(`let ${name} = ${value};`);
        return name;
      },
    },
  };
}

function float(value: number): string {
  return `${value}f`;
}
