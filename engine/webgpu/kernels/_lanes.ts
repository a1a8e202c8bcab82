/**
 * How the small kernels share work among a workgroup's lanes.
 *
 * - One result a lane: consecutive lanes read and write consecutive vectors.
 * - Sums over pixels: `columns` vectors of channels lie side by side, as in
 *   memory, and `rows` lanes stand above each other, each with its own pixels;
 *   the rows' sums are added as a tree, whose shape depends on `rows` alone.
 */
import {
  FLAT_GROUP,
  flatGrid,
  type ImageShape,
  type Kernel,
  type KernelGroup,
  STEP,
  vectors,
} from "../_kernel.ts";

/** Invocations of a workgroup: what every adapter has. */
export const LANES = 256;

/** An image's shape in a kernel's label. */
export function imageLabel({ height, width, channels }: ImageShape): string {
  return `${height}x${width}x${channels}`;
}

/** Vectors of four channels of one image. */
export function vectorsOf({ height, width, channels }: ImageShape): number {
  return height * width * vectors(channels);
}

/** WGSL of one binding. */
export function storage(
  binding: number,
  name: string,
  access: "read" | "read_write" = "read",
  type = "array<vec4f>",
): string {
  return `@group(0) @binding(${binding}) var<storage, ${access}> ${name}: ${type};`;
}

/** The entry point: `lane`, `group` and `groups` are what WGSL calls them. */
export function entryPoint(lanes: number, body: string): string {
  return `
@compute @workgroup_size(${lanes})
fn main(
  @builtin(local_invocation_index) lane: u32,
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
) {
${body}
}
`;
}

/** A kernel whose lanes work alone. */
export interface ElementwiseKernel {
  readonly label: string;
  readonly group: KernelGroup;
  /** Results of one image. */
  readonly perImage: number;
  /** Bindings and functions. */
  readonly declarations: readonly string[];
  /** Computes result `i`, counted over all images. */
  readonly body: string;
}

/** One lane for each result. */
export function elementwise(
  { label, group, perImage, declarations, body }: ElementwiseKernel,
): Kernel {
  const code = [
    STEP,
    ...declarations,
    entryPoint(
      LANES,
      `
  let i = ${FLAT_GROUP} * ${LANES}u + lane;
  if (i >= step.images * ${perImage}u) { return; }
  ${body}`,
    ),
  ].join("\n");
  return {
    label,
    group,
    code,
    workgroups: (images) => flatGrid(Math.ceil(images * perImage / LANES)),
    operations: () => 0,
  };
}

/** Lanes that add over pixels. */
export interface Rows {
  /** Vectors of channels side by side. */
  readonly columns: number;
  /** Lanes for each, every one with its own pixels. */
  readonly rows: number;
  /** Workgroups side by side that it takes for all vectors. */
  readonly blocks: number;
}

/** Vectors of channels that one workgroup takes: the rest of its lanes are for pixels. */
const LARGEST_COLUMNS = 64;

/** The lanes for a tensor of so many vectors a pixel, and no more rows than there are pixels. */
export function rowsFor(row: number, pixels: number): Rows {
  const columns = Math.min(row, LARGEST_COLUMNS);
  const rows = Math.min(Math.floor(LANES / columns), pixels);
  return { columns, rows, blocks: Math.ceil(row / columns) };
}

/**
 * WGSL of `fn sum_rows(lane: u32, value: vec4f) -> vec4f`: the sum of `value`
 * over the rows, given to every lane. All lanes of a workgroup call it together.
 */
export function sumRows({ columns, rows }: Pick<Rows, "columns" | "rows">): string {
  const half = 2 ** Math.ceil(Math.log2(rows)) / 2;
  return `
var<workgroup> row_sums: array<vec4f, ${columns * rows}>;
fn sum_rows(lane: u32, value: vec4f) -> vec4f {
  row_sums[lane] = value;
  for (var half = ${Math.floor(half)}u; half > 0u; half >>= 1u) {
    workgroupBarrier();
    let other = lane + half * ${columns}u;
    if (lane < half * ${columns}u && other < ${columns * rows}u) {
      row_sums[lane] += row_sums[other];
    }
  }
  workgroupBarrier();
  let sum = row_sums[lane % ${columns}u];
  workgroupBarrier();  // before the next call writes
  return sum;
}
`;
}
