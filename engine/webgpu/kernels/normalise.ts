/**
 * Batch normalisation, ReLU and the residual addition where no convolution has
 * them fused, element by element, and the sums that batch norm takes of a tensor.
 *
 *     y = relu(a z + b + s)        each part optional
 *     g = dy where y > 0, else 0   in place: the gradient of the addend s as well
 *
 * Where y was never stored and has no addend, its mask is a z + b > 0, by the
 * same fused multiply-add that made it. Batch norm's backward pass needs sum g
 * and sum g xhat, xhat = (z - mean) r; its forward pass the mean and the sum of
 * squares about it. `batch_norm.ts` merges the tiles' sums.
 *
 * Tiling. The elementwise kernels have one vector a lane. For sums, a workgroup
 * takes a tile of consecutive pixels and up to 64 vectors of channels, a lane
 * every `rows`-th pixel of one of them, so that a row of lanes reads what lies
 * side by side; then the lanes' sums are added as a tree. A tile is about four
 * pixels a lane: 512 tiles for [128, 32, 32, 16], 128 for [128, 8, 8, 64].
 * The squares are taken about the tile's own mean in a second pass over a tile
 * that is in cache by then: no digits are lost where the mean is large.
 */
import type { NormaliseOp } from "../../plan.ts";
import {
  FLAT_GROUP,
  flatGrid,
  type ImageShape,
  type Kernel,
  type KernelGroup,
  reluCode,
  type Source,
  SOURCE_BINDINGS,
  sourceCode,
  STATISTICS,
  STEP,
  vectors,
} from "../_kernel.ts";
import {
  elementwise,
  entryPoint,
  imageLabel,
  LANES,
  rowsFor,
  storage,
  sumRows,
  vectorsOf,
} from "./_lanes.ts";
import { tilesCode, tilesFor, type Tiling } from "./_tiling.ts";

/** Which parts of y = relu(a z + b + s) a layer has. */
export interface NormaliseParts {
  /** Else a = 1 and b = 0. */
  readonly batchNorm: boolean;
  readonly addend: boolean;
  readonly relu: boolean;
}

/** How ReLU's mask is known: by the stored y, by z and the statistics, or there is no ReLU. */
export type Mask = NormaliseOp["relu"];

/** What the gradient of `normalise` does besides passing through. */
export interface NormaliseGradientParts {
  readonly mask: Mask;
  /** Leaves "gradient" partial sums. */
  readonly sums: boolean;
}

/** A kernel that works tile by tile. */
export interface TiledKernel extends Kernel {
  readonly tiling: Tiling;
}

/** Pixels of a tile for each lane that adds. */
const PIXELS_PER_LANE = 4;

/** Kernel: z, statistics (if batchNorm), addend (if addend), y. */
export function normaliseKernel(image: ImageShape, parts: NormaliseParts): Kernel {
  const { batchNorm, addend, relu } = parts;
  const z = sourceCode(batchNorm ? "normalised" : "stored", "z", 1, image.channels);
  const next = 1 + z.bindings;
  const row = vectors(image.channels);
  const sum = `load_z(i, i % ${row}u)${addend ? " + addend[i]" : ""}`;
  return elementwise({
    label: `normalise ${imageLabel(image)} ${JSON.stringify({ batchNorm, addend, relu })}`,
    group: "normalise",
    perImage: vectorsOf(image),
    declarations: [
      z.declarations,
      ...relu ? [reluCode("relu")] : [],
      ...addend ? [storage(next, "addend")] : [],
      storage(next + (addend ? 1 : 0), "y", "read_write"),
    ],
    body: `y[i] = ${relu ? `relu(${sum})` : sum};`,
  });
}

/**
 * Kernel: dy (masked in place), z and statistics (if sums or the mask is
 * recomputed), y (if the mask is stored), partials (if sums).
 *
 * @throws {RangeError} If there is nothing to do: neither a mask nor sums.
 */
export function normaliseGradientKernel(
  image: ImageShape,
  { mask, sums }: NormaliseGradientParts,
): TiledKernel {
  if (mask === "none" && !sums) {
    throw new RangeError(
      `The gradient kernel of ${imageLabel(image)} needs a mask or sums, found neither: ` +
        "dy already is what it would leave, so dispatch nothing",
    );
  }
  const names = [
    ...sums || mask === "recomputed" ? ["z", "statistics"] : [],
    ...mask === "stored" ? ["y"] : [],
  ];
  const row = vectors(image.channels);
  const statistic = (which: number) => `statistics[channel + ${which * row}u]`;
  const { a, b, mean, inverseDeviation } = STATISTICS;
  const masked: Record<Mask, string> = {
    none: "dy[i]",
    stored: "select(vec4f(), dy[i], y[i] > vec4f())",
    recomputed: `select(vec4f(), dy[i], fma(${statistic(a)}, z[i], ${statistic(b)}) > vec4f())`,
  };
  const normalised = `(z[i] - ${statistic(mean)}) * ${statistic(inverseDeviation)}`;
  const perPixel = [
    `let g = ${masked[mask]};`,
    ...mask === "none" ? [] : ["dy[i] = g;"],
    ...sums ? ["sum += g;", `product = fma(g, ${normalised}, product);`] : [],
  ];
  return tiled(image, {
    label: `normalise gradient ${imageLabel(image)} ${JSON.stringify({ mask, sums })}`,
    group: "normalise",
    declarations: [
      storage(1, "dy", "read_write"),
      ...names.map((name, n) => storage(2 + n, name)),
      ...sums ? [storage(2 + names.length, "partials", "read_write")] : [],
    ],
    body: (forPixels) => `
  var sum = vec4f();
  var product = vec4f();
  ${forPixels(perPixel.join("\n    "))}`,
    rows: sums ? ["sum_rows(lane, sum)", "sum_rows(lane, product)"] : [],
  });
}

/** Kernel: the source's bindings, target; target = or += what the source gives. */
export function passGradientKernel(
  image: ImageShape,
  { source, accumulate }: { readonly source: Source; readonly accumulate: boolean },
): Kernel {
  return elementwise({
    label: `pass gradient ${imageLabel(image)} ${JSON.stringify({ source, accumulate })}`,
    group: "normalise",
    perImage: vectorsOf(image),
    declarations: [
      sourceCode(source, "gradient", 1, image.channels).declarations,
      storage(1 + SOURCE_BINDINGS[source], "output", "read_write"),
    ],
    body: `output[i] ${accumulate ? "+=" : "="} load_gradient(i, i % ${vectors(image.channels)}u);`,
  });
}

/** Kernel: z, partials ("statistics"). */
export function statisticsKernel(image: ImageShape): TiledKernel {
  return tiled(image, {
    label: `statistics ${imageLabel(image)}`,
    group: "batch norm",
    declarations: [storage(1, "z"), storage(2, "partials", "read_write")],
    body: (forPixels) => `
  let count = f32(end - begin);
  var sum = vec4f();
  ${forPixels("sum += z[i];")}
  let mean = sum_rows(lane, sum) / max(count, 1.0);
  var squares = vec4f();
  ${
      forPixels(
        "let difference = z[i] - mean;\n    squares = fma(difference, difference, squares);",
      )
    }`,
    rows: ["vec4f(count)", "mean", "sum_rows(lane, squares)"],
  });
}

interface TileCode {
  readonly label: string;
  readonly group: KernelGroup;
  readonly declarations: readonly string[];
  /**
   * What the lanes do with pixels `begin` to `end`: `forPixels` makes a loop
   * over a lane's own, in which `i` is the vector and `channel` its place.
   */
  body(forPixels: (code: string) => string): string;
  /** The tile's partial sums, if any, each of them known to every lane of its channel. */
  readonly rows: readonly string[];
}

function tiled(image: ImageShape, tile: TileCode): TiledKernel {
  const row = vectors(image.channels);
  const pixels = image.height * image.width;
  const lanes = rowsFor(row, LANES);
  const { columns, rows, blocks } = lanes;
  const tiling = tilingFor(pixels, rows * PIXELS_PER_LANE);
  const { imagesPerTile, tilesPerImage } = tiling;
  const tilePixels = imagesPerTile * Math.ceil(pixels / tilesPerImage);
  const forPixels = (code: string) => `
  for (var pixel = begin + lane / ${columns}u; pixel < stop; pixel += ${rows}u) {
    let i = pixel * ${row}u + channel;
    ${code}
  }`;
  const leavesSums = tile.rows.length > 0;
  const store = `
  ${tile.rows.map((value, n) => `let row_${n} = ${value};`).join("\n  ")}
  if (lane < ${columns}u && channel < ${row}u) {
    let first = tile * ${tile.rows.length * row}u + channel;
    ${tile.rows.map((_, n) => `partials[first + ${n * row}u] = row_${n};`).join("\n    ")}
  }`;
  const code = [
    STEP,
    ...tile.declarations,
    leavesSums ? sumRows(lanes) : "",
    entryPoint(
      columns * rows,
      `
  let tile = ${FLAT_GROUP};
  if (tile >= ${tilesCode(tiling)}) { return; }
  let channel = group.z * ${columns}u + lane % ${columns}u;
  let images_begin = tile / ${tilesPerImage}u * ${imagesPerTile * pixels}u;
  let images_end = min(images_begin + ${imagesPerTile * pixels}u, step.images * ${pixels}u);
  let begin = min(images_begin + tile % ${tilesPerImage}u * ${tilePixels}u, images_end);
  let end = min(begin + ${tilePixels}u, images_end);
  let stop = select(begin, end, channel < ${row}u);  // lanes beyond the channels read nothing
  ${tile.body(forPixels)}
  ${leavesSums ? store : ""}`,
    ),
  ].join("\n");
  return {
    label: tile.label,
    group: tile.group,
    code,
    tiling,
    workgroups: (images) => {
      const [x, y] = flatGrid(tilesFor(tiling, images));
      return [x, y, blocks];
    },
    operations: () => 0,
  };
}

/** Tiles of about `target` pixels: part of an image, or several. */
function tilingFor(pixels: number, target: number): Tiling {
  return {
    imagesPerTile: Math.max(1, Math.floor(target / pixels)),
    tilesPerImage: Math.ceil(pixels / target),
  };
}
