/**
 * What every kernel of this engine agrees on: how it is launched, how tensors
 * lie in memory, and how an operand that has no storage is made where it is read.
 *
 * Memory. An activation or gradient is `array<vec4f>`, [N, H, W, C4] with
 * C4 = ceil(C / 4): four channels a vector. Lanes beyond C hold zero, in
 * activations, gradients and parameters alike; kernels keep it so. Weights of a
 * convolution are [tap][C][K4] of vec4f (four filters a vector), the rows C
 * rounded up to four as well.
 *
 * Order. Sums over images or pixels run in an order that depends on shapes and
 * on the number of images alone: no atomics on floats.
 */

/** Groups under which a benchmark adds up kernels. */
export type KernelGroup =
  | "input"
  | "convolution"
  | "input gradient"
  | "weight gradient"
  | "batch norm"
  | "normalise"
  | "pool"
  | "dense"
  | "loss"
  | "update";

/** A number of workgroups in each dimension. */
export type Workgroups = readonly [x: number, y: number, z: number];

/**
 * A compute program. Its code has the entry point `main`, group 0, binding 0
 * `STEP` (which it uses), and from binding 1 on what the function that made it lists.
 */
export interface Kernel {
  /** Says everything that the code depends on: equal labels, equal code. */
  readonly label: string;
  readonly group: KernelGroup;
  readonly code: string;
  /** Workgroups for a batch of so many images. */
  workgroups(images: number): Workgroups;
  /** Floating-point operations for a batch, 2 a multiply-add; 0 where they don't matter. */
  operations(images: number): number;
}

/** Part of a buffer, as a bind group takes it. */
export interface Slice {
  readonly buffer: GPUBuffer;
  /** Bytes; a multiple of `SLICE_ALIGNMENT`. */
  readonly offset: number;
  /** Bytes. */
  readonly size: number;
}

/** What WebGPU guarantees for the offset of a binding. */
export const SLICE_ALIGNMENT = 256;

/** The kernel, and the slices for its bindings from 1 on. */
export interface Dispatch {
  readonly kernel: Kernel;
  readonly slices: readonly Slice[];
}

/** Scalars that an optimiser may have. */
const MOST_SCALARS = 8;

/** What differs from step to step: binding 0 of every kernel. */
export const STEP = `
struct Step {
  images: u32,          // of this batch
  inference: u32,       // 1: running statistics, no gradient through the batch's
  update_running: u32,  // 1: batch norm's running statistics follow the batch
  slot: u32,            // where this step's metrics go
  loss_images: u32,     // images over which the loss is the mean: of all parts of the batch
  part: u32,            // of the batch: 0 for the first
  padding: vec2u,
  scalars: array<vec4f, ${MOST_SCALARS / 4}>,  // the optimiser's, of this step
}
@group(0) @binding(0) var<uniform> step: Step;
`;

/** Where the scalars begin in the uniform buffer behind `STEP`, in floats. */
export const STEP_SCALARS = 8;

/** Bytes of the uniform buffer. */
export const STEP_BYTES = 4 * (STEP_SCALARS + MOST_SCALARS);

/** One of the optimiser's scalars in WGSL. */
export function scalarCode(place: number): string {
  return `step.scalars[${Math.floor(place / 4)}][${place % 4}]`;
}

/** Words of one image in the batch plan's buffer. */
export const PLAN_WORDS = 9;
/**
 * Words of the batch plan: position in the set, crop from the top and left, mirrored, label, and as
 * floats the image's own mean of each channel.
 */
export const PLAN = { index: 0, cropY: 1, cropX: 2, flip: 3, label: 4, means: 5 } as const;

/** Height, width and channels of one image of a tensor. */
export interface ImageShape {
  readonly height: number;
  readonly width: number;
  /** As the graph has them; in memory they are rounded up to a multiple of 4. */
  readonly channels: number;
}

/** Vectors of four channels. */
export function vectors(channels: number): number {
  return Math.ceil(channels / 4);
}

/**
 * How a kernel gets the values of an operand.
 *
 * - `stored`: the tensor itself. One binding.
 * - `normalised`, `normalised-relu`: y = a z + b, or max(0, a z + b), that batch
 *   norm (and ReLU) would have written. Two bindings: z, and the layer's
 *   `statistics` (see `STATISTICS`).
 * - `gradient`: dz = A g + B z + C, batch norm's gradient, from the masked
 *   gradient g of its output. Three bindings: g, z, and the layer's `slopes`
 *   (see `SLOPES`).
 */
export type Source = "stored" | "normalised" | "normalised-relu" | "gradient";

/** Rows of [C4] vectors that a batch norm's forward pass leaves, in this order. */
export const STATISTICS = { a: 0, b: 1, mean: 2, inverseDeviation: 3, rows: 4 } as const;

/** Rows of [C4] vectors that a batch norm's backward pass leaves: dz = A g + B z + C. */
export const SLOPES = { a: 0, b: 1, c: 2, rows: 3 } as const;

/** Bindings that a source takes. */
export const SOURCE_BINDINGS: Readonly<Record<Source, number>> = {
  "stored": 1,
  "normalised": 2,
  "normalised-relu": 2,
  "gradient": 3,
};

/** How many bindings a source takes, and their WGSL. */
export interface SourceCode {
  readonly bindings: number;
  /** Declarations; see `sourceCode`. */
  readonly declarations: string;
}

/**
 * WGSL that reads an operand: `load_NAME(index, channel)` gives the vector at
 * `index` of the tensor, whose position among its pixel's vectors is `channel`.
 *
 * Who reads many pixels of one channel gets what belongs to the channel once, by
 * `channel_NAME(channel)`, and the vectors by `read_NAME(index, that)`: compilers
 * can't share these loads themselves, as a buffer that is written might be the same.
 *
 * @param source How its values are got.
 * @param name Of the operand; unique in the kernel.
 * @param binding The first of its bindings.
 * @param channels C, as the graph has it.
 */
export function sourceCode(
  source: Source,
  name: string,
  binding: number,
  channels: number,
): SourceCode {
  const row = vectors(channels);
  const array = (suffix: string, offset: number) =>
    `@group(0) @binding(${binding + offset}) var<storage, read> ${name}${suffix}: array<vec4f>;`;
  const { arrays, perChannel, value } = partsOf(source, name);
  const coefficients = perChannel.map((place) => `${arrays.at(-1)}[channel + ${place * row}u]`);
  return {
    bindings: SOURCE_BINDINGS[source],
    declarations: `${arrays.map((array_) => array_.slice(name.length)).map(array).join("\n")}
${source === "normalised-relu" ? reluCode(`relu_of_${name}`) : ""}
alias ${name}_channel = ${perChannel.length === 0 ? "u32" : `array<vec4f, ${perChannel.length}>`};
fn channel_${name}(channel: u32) -> ${name}_channel {
  return ${perChannel.length === 0 ? "channel" : `${name}_channel(${coefficients.join(", ")})`};
}
fn read_${name}(index: u32, own: ${name}_channel) -> vec4f { return ${value}; }
fn load_${name}(index: u32, channel: u32) -> vec4f {
  return read_${name}(index, channel_${name}(channel));
}`,
  };
}

/** The arrays of an operand, which rows of the last one belong to a channel, and its value. */
function partsOf(source: Source, name: string): {
  readonly arrays: readonly string[];
  readonly perChannel: readonly number[];
  readonly value: string;
} {
  switch (source) {
    case "stored":
      return { arrays: [name], perChannel: [], value: `${name}[index]` };
    case "normalised":
    case "normalised-relu": {
      const sum = `fma(own[0], ${name}_z[index], own[1])`;
      return {
        arrays: [`${name}_z`, `${name}_statistics`],
        perChannel: [STATISTICS.a, STATISTICS.b],
        value: source === "normalised" ? sum : `relu_of_${name}(${sum})`,
      };
    }
    case "gradient":
      return {
        arrays: [`${name}_g`, `${name}_z`, `${name}_slopes`],
        perChannel: [SLOPES.a, SLOPES.b, SLOPES.c],
        value: `fma(own[0], ${name}_g[index], fma(own[1], ${name}_z[index], own[2]))`,
      };
  }
}

/**
 * WGSL of `fn NAME(x: vec4f) -> vec4f`: max(x, 0), and NaN where x is, so that a training which has
 * left its range is seen in its loss. `max` may give the other number there, and compilers take a
 * comparison that fails for NaN for `max`: so by the bits, of which these from -0 to -infinity are
 * no larger than those of infinity without the sign.
 */
export function reluCode(name: string): string {
  return `fn ${name}(x: vec4f) -> vec4f {
  return select(x, vec4f(), bitcast<vec4u>(x) - vec4u(0x80000000u) <= vec4u(0x7f800000u));
}`;
}

/** A device's limits as far as kernels choose their tiles by them. */
export interface KernelLimits {
  readonly maxComputeInvocationsPerWorkgroup: number;
  /** Bytes. */
  readonly maxComputeWorkgroupStorageSize: number;
}

/** What WebGPU guarantees of the number of workgroups in one dimension. */
const LARGEST_GRID = 65535;

/** Workgroups for so many in a row, in two dimensions where one can't hold them: see `flatIndex`. */
export function flatGrid(count: number): Workgroups {
  const rows = Math.max(1, Math.ceil(count / LARGEST_GRID));
  return [Math.max(1, Math.ceil(count / rows)), rows, 1];
}

/**
 * WGSL for the number of a workgroup in a `flatGrid`; may lie beyond the count.
 * The kernel's `main` takes `@builtin(workgroup_id) group: vec3u` and
 * `@builtin(num_workgroups) groups: vec3u`.
 */
export const FLAT_GROUP = "(group.y * groups.x + group.x)";
