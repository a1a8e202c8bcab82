/**
 * Direct convolution, forward and input gradient.
 *
 * Forward, for output pixel (y, x) and filter f, with X the values that the
 * source gives inside their zero padding p:
 *
 *     z[y, x, f] = sum over dy, dx, c of X[s y + dy - p, s x + dx - p, c] * w[dy, dx, c, f]
 *
 * The gradient of input pixel (i, j) gathers every output that it took part in.
 * With D the map that has dz[y, x] at (s y, s x) and zeros elsewhere, and w' the
 * weights with both axes of taps reversed and filters and channels swapped,
 *
 *     dx[i, j, c] = sum over dy, dx, f of D[i + dy - (k-1-p), j + dx - (k-1-p), f] * w'[dy, dx, f, c]
 *
 * which is a convolution of stride 1 over a map of dilation s. So one generator
 * does both. The zeros of D are neither stored nor multiplied along the rows,
 * where the generator knows them; along the columns a lane takes only the taps
 * that meet its parity, K / s of them rounded up.
 *
 * Epilogues, while the result is in registers: batch norm's statistics of a
 * tile's pixels (sum, then squared differences from the tile's own mean, so that
 * no digits are lost where the mean is large), or, for the gradient dy of
 * y = [relu](a z + b [+ addend]), the masked gradient g and its sums
 *
 *     sum g     sum g (z - mean) / deviation
 *
 * Tiling. A workgroup computes a tile of pixels for a few vectors of filters. A
 * lane owns R consecutive rows of one column, for V vectors of four filters: R V
 * vectors of sums in registers. Lanes run along columns, then along blocks of R
 * rows, then along images where maps are small; teams of such lanes share the
 * pixels and take different filters. Per chunk of channel vectors the workgroup
 * stages in its memory, each value made through the source once,
 *
 *     pixels   [channel vector][image and row block][column][row], an odd number of rows
 *     filters  [channel vector][dx][team][dy, channel, vector]
 *
 * Then for each channel vector and dx a lane loads its column's R s + K - s rows
 * once and slides the K taps of dy over them in registers. Rows come last, so
 * that they lie at literal offsets from one address (which is the only one that
 * WGSL has to keep in bounds); an odd row pitch spreads the lanes, which are a
 * pitch of 16-byte vectors apart, over all memory banks. Weights have one
 * address for a whole team: a broadcast.
 *
 * The arithmetic of the paper's 3x3 layers: vectors loaded from workgroup memory
 * (a broadcast counts as one) to multiply-adds; registers of sums and window;
 * and, for 128 images and 32 KiB allowed, workgroup memory and workgroups:
 *
 *     layer               R  V  loads   registers  memory    workgroups
 *     32x32, 16 to 16     8  2  1 : 23  64 + 40    16.2 KiB  512 of 64
 *     16x16, 32 to 32     8  1  1 : 17  32 + 40    16.9 KiB  256 of 128
 *     8x8,   64 to 64     4  1  1 : 11  16 + 24    13.3 KiB  256 of 128
 *
 * 1,024 warps each; smaller register tiles on smaller maps are what that costs.
 */
import type { NormaliseOp } from "../../plan.ts";
import {
  FLAT_GROUP,
  flatGrid,
  type ImageShape,
  type Kernel,
  type KernelGroup,
  type KernelLimits,
  type Source,
  sourceCode,
  STATISTICS,
  STEP,
  vectors,
} from "../_kernel.ts";
import { tilesCode, tilesFor, type Tiling } from "./_tiling.ts";

/** Everything that a convolution computes, whatever it is made from. */
export interface ConvolutionShape {
  /** Of what is read. */
  readonly input: ImageShape;
  /** Of what is written. */
  readonly output: ImageShape;
  /** K of K x K taps. */
  readonly kernel: number;
  /** Pixels from one window to the next. */
  readonly stride: number;
  /** Zeros before the first row and column of the (dilated) input. */
  readonly padding: number;
  /** 1; or s: input pixel (i, j) stands at (s i, s j), with zeros between. */
  readonly dilation: number;
}

/** What happens to the result before it is written, and which partial sums it leaves. */
export type Epilogue =
  | { readonly kind: "none" }
  /** Batch norm's: count, mean and squared differences. */
  | { readonly kind: "statistics" }
  /**
   * The result is the gradient of y = [relu](a z + b [+ addend]) and is masked:
   * where y > 0 (`stored`), where a z + b > 0 (`recomputed`), or not (`none`).
   */
  | { readonly kind: "gradient"; readonly mask: NormaliseOp["relu"] };

/** What a convolution is made from and what it does besides. */
export interface ConvolutionVariant {
  /** How the input's values are got. */
  readonly source: Source;
  /** A vector of biases is added. */
  readonly bias: boolean;
  /** Adds to what the output holds. */
  readonly accumulate: boolean;
  /** What happens to the result. */
  readonly epilogue: Epilogue;
  /** Under which a benchmark counts it. */
  readonly group: Extract<KernelGroup, "convolution" | "input gradient">;
}

/** How one workgroup divides its work; see the header. */
export interface ConvolutionTile {
  /** R, consecutive rows of a lane; a multiple of the dilation. */
  readonly rows: number;
  /** V, vectors of filters of a lane. */
  readonly filters: number;
  /** Columns of lanes; a multiple of the dilation, or the whole width. */
  readonly columns: number;
  /** Blocks of R rows of one image. */
  readonly blocks: number;
  /** Images; 1 where a tile holds less than a whole image. */
  readonly images: number;
  /** Groups of lanes with the same pixels and different filters. */
  readonly teams: number;
  /** Channel vectors staged at once. */
  readonly chunk: number;
}

/** A convolution, and how its partial sums divide the pixels. */
export interface ConvolutionKernel extends Kernel {
  /** Of the partial sums; holds for every epilogue. */
  readonly tiling: Tiling;
}

/** The convolution over dz that gives the gradient of a forward convolution's input. */
export function inputGradientShape(forward: ConvolutionShape): ConvolutionShape {
  const { input, output, kernel, stride, padding } = forward;
  return {
    input: output,
    output: input,
    kernel,
    stride: 1,
    padding: kernel - 1 - padding,
    dilation: stride,
  };
}

/** Lanes of a team, invocations of a workgroup, and channel vectors of a chunk: at most. */
const LANES = 32, INVOCATIONS = 128, CHUNK = 2;

/** Register tiles [R, V], those with the most multiply-adds for each load first. */
const REGISTER_TILES = [[8, 2], [8, 1], [4, 2], [4, 1], [2, 1], [1, 1]] as const;

/** Multiply-adds of vectors in the innermost loop: bounds the code's length. */
const LONGEST_CODE = 4 * 48;

/**
 * Threads that one image should give, so that a batch of 128 keeps a card of
 * 132 multiprocessors busy with 1,024 warps; 4 vectors a lane are not split for it.
 */
const THREADS_AN_IMAGE = 256, SMALLEST_TILE = 4;

/**
 * Chooses a tile: the largest register tile that leaves enough threads, then a
 * warp of lanes, then as many teams as memory allows.
 *
 * @throws {RangeError} Where no tile fits the limits.
 */
export function tileFor(
  shape: ConvolutionShape,
  epilogue: Epilogue,
  limits: KernelLimits,
): ConvolutionTile {
  const { output: { height, width, channels }, kernel, dilation, input } = shape;
  const F4 = vectors(channels);
  const registers = REGISTER_TILES.map(([rows, filters]) => ({
    rows: share(height, rows, dilation),
    filters: Math.min(filters, F4),
  }));
  const { rows, filters } = registers.find(({ rows, filters }) => {
    const threads = Math.ceil(height / rows) * width * Math.ceil(F4 / filters);
    return 4 * kernel * rows * filters <= LONGEST_CODE &&
      (threads >= THREADS_AN_IMAGE || rows * filters <= SMALLEST_TILE);
  }) ?? registers.at(-1)!;
  const invocations = Math.min(INVOCATIONS, limits.maxComputeInvocationsPerWorkgroup);
  const allBlocks = Math.ceil(height / rows);
  for (let lanes = LANES; lanes >= 1; lanes /= 2) {
    const columns = share(width, lanes, dilation);
    const blocks = Math.min(allBlocks, Math.max(1, Math.floor(lanes / columns)));
    const whole = blocks === allBlocks && columns >= width;
    const images = whole ? Math.max(1, Math.floor(lanes / (blocks * columns))) : 1;
    const most = Math.max(1, Math.floor(invocations / (columns * blocks * images)));
    let teams = share(Math.ceil(F4 / filters), most);
    for (; teams >= 1; teams = Math.floor(teams / 2)) {
      for (let chunk = Math.min(CHUNK, vectors(input.channels)); chunk >= 1; chunk--) {
        const tile = { rows, filters, columns, blocks, images, teams, chunk };
        if (fits(shape, epilogue, tile, limits)) return tile;
      }
    }
  }
  throw new RangeError(
    `tiling the convolution ${JSON.stringify(shape)}: no tile fits ${
      JSON.stringify(limits)
    }; use a device with more workgroup memory or another engine`,
  );
}

/** The size of the fewest equal parts of at most `most`, rounded up to a multiple. */
function share(total: number, most: number, multiple = 1): number {
  const part = Math.ceil(total / Math.ceil(total / most));
  return Math.ceil(part / multiple) * multiple;
}

function invocationsOf({ columns, blocks, images, teams }: ConvolutionTile): number {
  return columns * blocks * images * teams;
}

function fits(
  shape: ConvolutionShape,
  epilogue: Epilogue,
  tile: ConvolutionTile,
  limits: KernelLimits,
): boolean {
  const { pixels, weights } = layoutOf(shape, tile);
  // More than is needed: other tiles would add in another order, and change every result.
  const sums = epilogue.kind === "none" ? 0 : invocationsOf(tile);
  const bytes = 16 * (pixels.columns * pixels.pitch + weights.columns * weights.pitch + sums);
  return bytes <= limits.maxComputeWorkgroupStorageSize &&
    invocationsOf(tile) <= limits.maxComputeInvocationsPerWorkgroup;
}

/** Workgroup memory in vectors, and the pixels behind it. */
function layoutOf(shape: ConvolutionShape, tile: ConvolutionTile) {
  const rows = positions(shape, tile.rows);
  const columns = positions(shape, tile.columns);
  const { kernel } = shape;
  const pixels = {
    columns: tile.chunk * tile.images * tile.blocks * columns.count,
    pitch: rows.count | 1,
  };
  return {
    rows,
    columns,
    pixels,
    /** Where lanes are added through the same memory: room for a vector of each. */
    pixelColumns: Math.max(pixels.columns, Math.ceil(invocationsOf(tile) / pixels.pitch)),
    weights: { columns: tile.chunk * kernel * tile.teams, pitch: kernel * 4 * tile.filters },
  };
}

/**
 * The places along one axis that hold pixels and that the windows of some
 * outputs in a row meet, counted from the first window's start:
 * first, first + step, ...
 */
interface Positions {
  readonly first: number;
  readonly step: number;
  readonly count: number;
}

function positions(shape: ConvolutionShape, outputs: number): Positions {
  const { kernel, stride, padding, dilation } = shape;
  const first = ((padding % dilation) + dilation) % dilation;
  const step = kernel === 1 ? stride * dilation : dilation;
  const last = (outputs - 1) * stride + kernel - 1;
  return { first, step, count: Math.max(1, Math.floor((last - first) / step) + 1) };
}

/**
 * The kernel of one convolution.
 *
 * Bindings from 1: the source's; weights [K * K][C rounded up to 4][F4]; bias
 * [F4] where there is one; output [N, H, W, F4]; then, for the epilogue
 * `statistics`, its partial sums [P][3][F4]; for `gradient`, z [N, H, W, F4],
 * batch norm's statistics (see `STATISTICS`), y [N, H, W, F4] where the mask is
 * `stored`, and the partial sums [P][2][F4]. P follows from `tiling`.
 *
 * @param shape An input gradient's from `inputGradientShape`; its weights are reversed and
 *   transposed: [K * K - 1 - tap][f][c].
 * @param tile Another tile than `tileFor` would choose: for measurements.
 * @throws {RangeError} For a convolution of both stride and dilation, and where no tile fits,
 *   or not the one given.
 */
export function convolutionKernel(
  shape: ConvolutionShape,
  variant: ConvolutionVariant,
  limits: KernelLimits,
  tile: ConvolutionTile = tileFor(shape, variant.epilogue, limits),
): ConvolutionKernel {
  const { input, output, kernel, stride, dilation } = shape;
  if (stride > 1 && dilation > 1) {
    throw new RangeError(
      `making a convolution: one of stride and dilation must be 1, found ${stride} and ${dilation}; use two operations`,
    );
  }
  const aligned = tile.rows % dilation === 0 &&
    (tile.columns % dilation === 0 || tile.columns >= output.width);
  if (!aligned || !fits(shape, variant.epilogue, tile, limits)) {
    throw new RangeError(
      `making a convolution of dilation ${dilation}: a tile's rows and columns must be multiples of it, and the tile within ${
        JSON.stringify(limits)
      }, found ${JSON.stringify(tile)}; leave the tile out to have one chosen`,
    );
  }
  const rowTiles = Math.ceil(Math.ceil(output.height / tile.rows) / tile.blocks);
  const tiling = {
    imagesPerTile: tile.images,
    tilesPerImage: rowTiles * Math.ceil(output.width / tile.columns),
  };
  const filterTiles = Math.ceil(vectors(output.channels) / (tile.teams * tile.filters));
  // Each pixel of the smaller map meets every tap, where borders are left out of account.
  const { height, width } = dilation > 1 ? input : output;
  const multiplyAdds = height * width * kernel ** 2 * input.channels * output.channels;
  return {
    label: `convolution ${JSON.stringify({ shape, variant, tile })}`,
    group: variant.group,
    code: codeOf(shape, variant, tile, tiling, filterTiles),
    tiling,
    workgroups: (images) => flatGrid(tilesFor(tiling, images) * filterTiles),
    operations: (images) => 2 * multiplyAdds * images,
  };
}

function codeOf(
  shape: ConvolutionShape,
  variant: ConvolutionVariant,
  tile: ConvolutionTile,
  tiling: Tiling,
  filterTiles: number,
): string {
  const { input, output } = shape;
  const { bias, epilogue } = variant;
  const { pixels, weights, pixelColumns } = layoutOf(shape, tile);
  const source = sourceCode(variant.source, "input", 1, input.channels);
  let binding = 1 + source.bindings;
  const storage = (name: string, access = "read") =>
    `@group(0) @binding(${binding++}) var<storage, ${access}> ${name}: array<vec4f>;`;
  const buffers = [
    storage("weights"),
    bias ? storage("bias") : "",
    storage("output", "read_write"),
    epilogue.kind === "gradient" ? storage("z") + storage("statistics") : "",
    epilogue.kind === "gradient" && epilogue.mask === "stored" ? storage("activation") : "",
    epilogue.kind === "none" ? "" : storage("partials", "read_write"),
  ];
  const lanes = tile.columns * tile.blocks * tile.images;
  const columnTiles = Math.ceil(output.width / tile.columns);
  const chunks = Math.ceil(vectors(input.channels) / tile.chunk);
  return `${STEP}
${source.declarations}
${buffers.join("\n")}
var<workgroup> pixels: array<array<vec4f, ${pixels.pitch}>, ${
    epilogue.kind === "none" ? pixels.columns : pixelColumns
  }>;
var<workgroup> filters: array<array<vec4f, ${weights.pitch}>, ${weights.columns}>;
${stagingCode(shape, tile)}
@compute @workgroup_size(${lanes * tile.teams})
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) thread: u32,
) {
  let number = ${FLAT_GROUP};
  let tile = number / ${filterTiles}u;
  if (tile >= ${tilesCode(tiling)}) { return; }
  let within = tile % ${tiling.tilesPerImage}u;
  let first_image = tile / ${tiling.tilesPerImage}u * ${tile.images}u;
  let first_block = within / ${columnTiles}u * ${tile.blocks}u;
  let first_column = within % ${columnTiles}u * ${tile.columns}u;
  let first_filter = number % ${filterTiles}u * ${tile.teams * tile.filters}u;
  let lane = thread % ${lanes}u;
  let team = thread / ${lanes}u;
  let block = lane / ${tile.columns}u;
  let column = lane % ${tile.columns}u;
${each(tile, (r, v) => `  var ${sum(r, v)} = vec4f();`)}
  for (var chunk = 0u; chunk < ${chunks}u; chunk++) {
    workgroupBarrier();
    stage_pixels(thread, chunk * ${tile.chunk}u, first_image, first_block, first_column);
    stage_filters(thread, chunk * ${tile.chunk}u, first_filter);
    workgroupBarrier();
${multiplyCode(shape, tile)}
  }
  let image = first_image + block / ${tile.blocks}u;
  let y = (first_block + block % ${tile.blocks}u) * ${tile.rows}u;
  let x = first_column + column;
  let inside = (x < ${output.width}u) & (image < step.images);
${
    // A tile has as many rows as a stride at least, and a map may have fewer.
    each(
      { ...tile, filters: 1 },
      (r) => `  let inside${r} = inside & (y < ${Math.max(0, output.height - r)}u);`,
    )}
${resultCode(shape, variant, tile)}
}
`;
}

function sum(row: number, filter: number): string {
  return `sum${row}_${filter}`;
}

/** Code for each of a lane's rows and vectors of filters. */
function each(
  { rows, filters }: { readonly rows: number; readonly filters: number },
  code: (row: number, filter: number) => string,
): string {
  return Array.from(
    { length: rows * filters },
    (_, i) => code(i % rows, Math.floor(i / rows)),
  ).join("\n");
}

/**
 * Brings a chunk's patch and weights into workgroup memory; zeros for what does
 * not exist. An item of a thread is a column of the patch, or the weights of one
 * column of taps: its loads have literal offsets and no branches, so that all
 * are in flight before the first is needed.
 */
function stagingCode(shape: ConvolutionShape, tile: ConvolutionTile): string {
  const { input, output, kernel, stride, padding, dilation } = shape;
  const { chunk } = tile;
  const C4 = vectors(input.channels), F4 = vectors(output.channels);
  const { rows, columns } = layoutOf(shape, tile);
  const blocks = tile.images * tile.blocks;
  const width = tile.teams * tile.filters;
  const threads = invocationsOf(tile);
  const origin = (output: string, { first }: Positions) =>
    `i32(${output}) * ${stride} / ${dilation} + ${(first - padding) / dilation}`;
  const next = ({ step }: Positions) => step / dilation;
  const rowSize = input.width * C4;
  const pixelItem = `
    let c = item % ${chunk}u;
    let column = item / ${chunk}u % ${columns.count}u;
    let block = item / ${chunk * columns.count}u;
    let vector = first_vector + c;
    let image = first_image + block / ${tile.blocks}u;
    let y = (first_block + block % ${tile.blocks}u) * ${tile.rows}u;
    // Negative coordinates wrap around to large ones.
    let i = u32(${origin("y", rows)});
    let j = u32(${origin("first_column", columns)} + i32(column) * ${next(columns)});
    let exists = (j < ${input.width}u) & (image < step.images) & (vector < ${C4}u);
    let own = channel_input(select(0u, vector, vector < ${C4}u));
    let start = ((image * ${input.height}u + i) * ${input.width}u + j) * ${C4}u + vector;
    let to = (c * ${blocks}u + block) * ${columns.count}u + column;
    ${
    unroll(rows.count, (row) => {
      const down = row * next(rows);
      const inside = `exists & (i + ${down}u < ${input.height}u)`;
      return `let value${row} = pixel(${inside}, start + ${down * rowSize}u, own);`;
    })
  }
    ${unroll(rows.count, (row) => `pixels[to][${row}] = value${row};`)}`;
  const filterItem = `
    let column = item % ${width}u;
    let c = item / ${width}u % ${chunk * 4}u;
    let dx = item / ${width * chunk * 4}u;
    let channel = first_vector * 4u + c;
    let f = first_filter + column;
    let exists = (channel < ${C4 * 4}u) & (f < ${F4}u);
    let start = select(0u, (dx * ${C4 * 4}u + channel) * ${F4}u + f, exists);
    let to = (c / 4u * ${kernel}u + dx) * ${tile.teams}u + column / ${tile.filters}u;
    let place = c % 4u * ${tile.filters}u + column % ${tile.filters}u;
    ${
    unroll(kernel, (dy) =>
      `let value${dy} = select(vec4f(), weights[start + ${dy * kernel * C4 * 4 * F4}u], exists);`)
  }
    ${unroll(kernel, (dy) => `filters[to][place + ${dy * 4 * tile.filters}u] = value${dy};`)}`;
  return `
fn pixel(inside: bool, at: u32, own: input_channel) -> vec4f {
  return select(vec4f(), read_input(select(0u, at, inside), own), inside);
}
fn stage_pixels(thread: u32, first_vector: u32, first_image: u32, first_block: u32, first_column: u32) {
  ${items(chunk * blocks * columns.count, threads, pixelItem)}
}
fn stage_filters(thread: u32, first_vector: u32, first_filter: u32) {
  ${items(kernel * chunk * 4 * width, threads, filterItem)}
}`;
}

/** Divides items among threads; without a loop where each has one at most. */
function items(count: number, threads: number, code: string): string {
  const head = count <= threads
    ? `let item = thread;\n  if (item < ${count}u)`
    : `for (var item = thread; item < ${count}u; item += ${threads}u)`;
  return `${head} {${code}\n  }`;
}

function unroll(count: number, code: (i: number) => string): string {
  return Array.from({ length: count }, (_, i) => code(i)).join("\n    ");
}

/** Multiplies a staged chunk: a lane's rows slide through registers under the taps. */
function multiplyCode(shape: ConvolutionShape, tile: ConvolutionTile): string {
  const { input, kernel, stride, dilation } = shape;
  const { rows, columns } = layoutOf(shape, tile);
  const blocks = tile.images * tile.blocks;
  // Lanes of different columns meet pixels at different taps where zeros lie between.
  const firstTap = dilation === 1
    ? "0u"
    : `(${columns.first + dilation}u - column % ${dilation}u) % ${dilation}u`;
  const lines: string[] = [];
  for (let i = 0; i < rows.count; i++) lines.push(`let x${i} = pixels[at][${i}];`);
  for (let dy = 0; dy < kernel; dy++) {
    const met = Array.from({ length: tile.rows }, (_, r) => ({
      r,
      place: (r * stride + dy - rows.first) / rows.step,
    })).filter(({ place }) => Number.isInteger(place));
    if (met.length === 0) continue;
    for (let lane = 0; lane < Math.min(4, input.channels); lane++) {
      for (let v = 0; v < tile.filters; v++) {
        const w = `w${dy}_${lane}_${v}`;
        lines.push(`let ${w} = filters[tap][${(dy * 4 + lane) * tile.filters + v}];`);
        for (const { r, place } of met) {
          const value = `vec4f(x${place}.${"xyzw"[lane]})`;
          lines.push(`${sum(r, v)} = fma(${value}, ${w}, ${sum(r, v)});`);
        }
      }
    }
  }
  return `    for (var c = 0u; c < ${tile.chunk}u; c++) {
      for (var dx = ${firstTap}; dx < ${kernel}u; dx += ${dilation}u) {
        let place = (column * ${stride}u + dx - ${columns.first}u) / ${columns.step}u;
        let at = (c * ${blocks}u + block) * ${columns.count}u + place;
        let tap = (c * ${kernel}u + dx) * ${tile.teams}u + team;
        ${lines.join("\n        ")}
      }
    }`;
}

/** Vectors that a lane brings to be added over its team: V of each kind. */
function addendsOf(epilogue: Epilogue, { filters }: ConvolutionTile): readonly string[] {
  const kinds = { none: [], statistics: ["sum"], gradient: ["sum", "product"] }[epilogue.kind];
  return kinds.flatMap((kind) => Array.from({ length: filters }, (_, v) => `${kind}_${v}`));
}

/**
 * Statements that replace vectors by their sums over a team's lanes, the same for each of them.
 * As many at once as the pixels' memory holds, which is free by then: they share their barriers.
 */
function totalsCode(shape: ConvolutionShape, tile: ConvolutionTile, names: readonly string[]) {
  const threads = invocationsOf(tile);
  const lanes = threads / tile.teams;
  const half = 2 ** Math.max(0, Math.ceil(Math.log2(lanes)) - 1);
  const { pixels: { pitch }, pixelColumns } = layoutOf(shape, tile);
  const most = Math.floor(pixelColumns * pitch / threads);
  const codes: string[] = [];
  for (let first = 0; first < names.length; first += most) {
    const some = names.slice(first, first + most);
    const at = (i: number, thread: string) => {
      const place = `${thread} + ${i * threads}u`;
      return `pixels[(${place}) / ${pitch}u][(${place}) % ${pitch}u]`;
    };
    codes.push(`
  workgroupBarrier();
  ${some.map((name, i) => `${at(i, "thread")} = ${name};`).join("\n  ")}
  for (var half = ${half}u; half > 0u; half /= 2u) {
    workgroupBarrier();
    if (lane < half && lane + half < ${lanes}u) {
      ${some.map((_, i) => `${at(i, "thread")} += ${at(i, "thread + half")};`).join("\n      ")}
    }
  }
  workgroupBarrier();
  ${some.map((name, i) => `${name} = ${at(i, "thread - lane")};`).join("\n  ")}`);
  }
  return codes.join("\n");
}

/** Writes a lane's rows, and the tile's partial sums. */
function resultCode(
  shape: ConvolutionShape,
  variant: ConvolutionVariant,
  tile: ConvolutionTile,
): string {
  const { height, width, channels } = shape.output;
  const { epilogue } = variant;
  const F4 = vectors(channels);
  const all = Array.from({ length: tile.filters }, (_, v) => v);
  const addends = addendsOf(epilogue, tile);
  const write = (values: readonly string[]) =>
    values.map((value, row) =>
      `partials[(tile * ${values.length}u + ${row}u) * ${F4}u + f] = ${value};`
    ).join("\n    ");
  const filter = (v: number) => `first_filter + team * ${tile.filters}u + ${v}u`;
  const partials = (values: (v: number) => readonly string[]) =>
    all.map((v) =>
      `  {
    let f = ${filter(v)};
    if (lane == 0u && f < ${F4}u) {
    ${write(values(v))}
    }
  }`
    ).join("\n");
  const sumsCode = {
    none: () => "",
    statistics: () => `
  let count = f32(min(${tile.images}u, step.images - first_image) *
    min(${tile.blocks * tile.rows}u, ${height}u - first_block * ${tile.rows}u) *
    min(${tile.columns}u, ${width}u - first_column));
  ${totalsCode(shape, tile, addends)}
  ${all.map((v) => `let mean_${v} = sum_${v} / count;\n  sum_${v} = vec4f();`).join("\n  ")}
  ${
      each(tile, (r, v) => {
        const difference = `${sum(r, v)} - mean_${v}`;
        return `  if (inside${r}) { sum_${v} = fma(${difference}, ${difference}, sum_${v}); }`;
      })
    }
  ${totalsCode(shape, tile, addends)}
${partials((v) => ["vec4f(count)", `mean_${v}`, `sum_${v}`])}`,
    gradient: () => `
  ${totalsCode(shape, tile, addends)}
${partials((v) => [`sum_${v}`, `product_${v}`])}`,
  }[epilogue.kind];
  return `${addends.map((name) => `  var ${name} = vec4f();`).join("\n")}
${all.map((v) => rowsCode(shape, variant, tile, v, filter(v))).join("\n")}
${sumsCode()}`;
}

/** Writes a lane's rows of one vector of filters, and adds them up. */
function rowsCode(
  { output: { height, width, channels } }: ConvolutionShape,
  variant: ConvolutionVariant,
  tile: ConvolutionTile,
  v: number,
  filter: string,
): string {
  const F4 = vectors(channels);
  const { bias, accumulate, epilogue } = variant;
  const rows = Array.from({ length: tile.rows }, (_, r) => ({ r, value: sum(r, v) }));
  const statistic = (row: number) => `statistics[f + ${row * F4}u]`;
  const mask = epilogue.kind === "gradient" ? epilogue.mask : "none";
  const { a, b, mean, inverseDeviation } = STATISTICS;
  /** What a row reads besides; variables named after the buffers, with the row's number. */
  const reads = [
    accumulate ? "output" : [],
    epilogue.kind === "gradient" ? "z" : [],
    mask === "stored" ? "activation" : [],
  ].flat();
  const loads = rows.map(({ r }) => `
    let present${r} = inside${r} & (f < ${F4}u);
    let at${r} = ((image * ${height}u + y + ${r}u) * ${width}u + x) * ${F4}u + f;
    ${reads.map((name) => `var ${name}${r} = vec4f();`).join(" ")}
    ${
    reads.length === 0
      ? ""
      : `if (present${r}) { ${reads.map((name) => `${name}${r} = ${name}[at${r}];`).join(" ")} }`
  }`).join("");
  const masked = (r: number, value: string) => {
    if (mask === "none") return value;
    const y = mask === "stored" ? `activation${r}` : `fma(scale, z${r}, shift)`;
    return `select(vec4f(), ${value}, ${y} > vec4f())`;
  };
  const product = `product_${v}`;
  const results = rows.map(({ r, value }) => `
    ${bias ? `${value} += bias[f];` : ""}
    ${accumulate ? `${value} += output${r};` : ""}
    ${
    epilogue.kind !== "gradient" ? "" : `${value} = ${masked(r, value)};
    ${product} = select(${product}, fma(${value}, (z${r} - mean) * inverse_deviation, ${product}), present${r});`
  }
    if (present${r}) { output[at${r}] = ${value}; }
    ${epilogue.kind === "none" ? "" : `${value} = select(vec4f(), ${value}, present${r});`}`)
    .join("");
  return `  {
    let f = ${filter};
    ${
    epilogue.kind !== "gradient" ? "" : `let mean = ${statistic(mean)};
    let inverse_deviation = ${statistic(inverseDeviation)};
    ${
      mask === "recomputed" ? `let scale = ${statistic(a)};\n    let shift = ${statistic(b)};` : ""
    }`
  }
    // Everything is read before anything is written: the loads overlap.
    ${loads}
    ${results}
    ${epilogue.kind === "none" ? "" : `sum_${v} = ${rows.map(({ value }) => value).join(" + ")};`}
  }`;
}
