/**
 * What was done to pixel values on the way to the network, by least squares
 * between views and the stored images that they show.
 */
import type { Preparation } from "../../spec/mod.ts";
import { bytesOf, type Layout, PLANE, SIDE, SIZE, type StoredImages } from "./_stored.ts";
import type { Found } from "./_search.ts";

/** A view and where it was found. */
export interface PlacedView extends Pick<Found, "image" | "y" | "x" | "flip" | "channels"> {
  /** [3, 32, 32], its axes already brought back where they were exchanged. */
  readonly pixels: Float32Array | Float64Array;
}

/** Of a channel's deviation: what rounding leaves, in 16-bit numbers too. */
const EXACT = 0.01;
/** Fewer views say nothing of each pixel of its own. */
const LEAST_VIEWS_PER_PIXEL = 100;
/** More views say nothing more. */
const MOST_VIEWS = 384;
/** Two means are the same where their distance, in bytes, is below; 45,000 and 50,000 images: 0.3. */
const SAME_MEAN = 1;
const SAME_SCALE = 0.01;

/** Sums for a straight line v = a p + b. */
class Line {
  n = 0;
  p = 0;
  v = 0;
  pp = 0;
  pv = 0;
  vv = 0;

  add(p: number, v: number): void {
    this.n++;
    this.p += p;
    this.v += v;
    this.pp += p * p;
    this.pv += p * v;
    this.vv += v * v;
  }

  get spread(): number {
    return this.n === 0 ? 0 : this.pp / this.n - (this.p / this.n) ** 2;
  }

  get slope(): number {
    return (this.pv - this.p * this.v / this.n) / (this.pp - this.p * this.p / this.n);
  }

  /** The pixel that becomes 0. */
  get zero(): number {
    return this.p / this.n - this.v / this.n / this.slope;
  }

  /** Deviation of v from the line, as a share of v's own deviation. */
  get residual(): number {
    const own = this.vv - this.v * this.v / this.n;
    const left = own - this.slope * (this.pv - this.p * this.v / this.n);
    return own > 0 ? Math.sqrt(Math.max(0, left) / own) : 0;
  }
}

/**
 * What was done to the values of views.
 *
 * @param all Views of one kind: of one epoch's training, or of one evaluation.
 * @returns Undefined where there is nothing to tell by.
 */
export function preparationOf(
  all: readonly PlacedView[],
  stored: StoredImages,
  layout: Layout,
): Preparation | undefined {
  if (all.length === 0) return undefined;
  const nth = Math.ceil(all.length / MOST_VIEWS);
  const views = all.filter((_, i) => i % nth === 0);
  const lines = views.map((view) => linesOf(view, stored, layout)); // [N][3]
  const flat = lines.flat().filter(({ spread }) => spread > 16);
  if (flat.length === 0) return undefined;
  const affine = median(flat.map(({ residual }) => residual));
  const images = views.length;
  if (affine < EXACT) {
    return { images, ...affineKind(views, lines), border: borderOf(views, stored, layout) };
  }
  const perPixel = perPixelKind(views, stored, layout);
  if (perPixel !== undefined) {
    return { images, ...perPixel, border: borderOf(views, stored, layout, perPixel) };
  }
  return { images, kind: "unknown", scale: medians(lines, "slope"), residual: affine };
}

/** Each view calls back for all of its pixels: channel, row and column, and the stored byte. */
function eachPixel(
  { image, y, x, flip, channels }: PlacedView,
  stored: StoredImages,
  layout: Layout,
  visit: (at: number, byteAt: number, byte: number) => void,
  outside: (at: number, c: number, y: number, x: number) => void = () => {},
): void {
  const bytes = bytesOf(stored, image);
  for (let c = 0; c < 3; c++) {
    for (let r = 0; r < SIDE; r++) {
      for (let s = 0; s < SIDE; s++) {
        const at = c * PLANE + r * SIDE + s;
        const row = r + y, column = (flip ? SIDE - 1 - s : s) + x;
        if (row < 0 || row >= SIDE || column < 0 || column >= SIDE) {
          outside(at, channels[c], row, column);
          continue;
        }
        const byteAt = layout[channels[c] * PLANE + row * SIDE + column];
        visit(at, byteAt, bytes[byteAt]);
      }
    }
  }
}

/** A line for each channel of a view, by the view's own order of channels. */
function linesOf(view: PlacedView, stored: StoredImages, layout: Layout): readonly Line[] {
  const lines = [new Line(), new Line(), new Line()];
  eachPixel(view, stored, layout, (at, _, byte) => {
    lines[Math.floor(at / PLANE)].add(byte, view.pixels[at]);
  });
  return lines;
}

function affineKind(
  views: readonly PlacedView[],
  lines: readonly (readonly Line[])[],
): Omit<Preparation, "images" | "border"> {
  const scale = medians(lines, "slope"), zero = medians(lines, "zero");
  const residual = median(lines.flat().map((line) => line.residual));
  const spreadOf = (deviation: (line: Line, c: number) => number): number => {
    const all = lines.flatMap((of) =>
      of.flatMap((line, c) => line.spread > 16 ? [deviation(line, c)] : [])
    );
    return quantile(all.map(Math.abs), 0.9);
  };
  const scales = spreadOf((line, c) => line.slope / scale[c] - 1);
  const zeros = spreadOf((line, c) => line.zero - zero[c]);
  if (scales < SAME_SCALE && zeros < SAME_MEAN) {
    return { kind: "constants", scale, zero, residual };
  }
  // What an image's own mean leaves has the mean 0: by channel, or over all of them.
  const own = { channel: [] as number[], image: [] as number[] };
  for (const { pixels } of views) {
    const means = [0, 1, 2].map((c) => meanOf(pixels.subarray(c * PLANE, (c + 1) * PLANE)));
    const deviation = Math.sqrt(meanOf(pixels.map((value) => value * value))) || 1;
    own.channel.push(Math.max(...means.map(Math.abs)) / deviation);
    own.image.push(Math.abs(means[0] + means[1] + means[2]) / 3 / deviation);
  }
  // A crop holds a border beside its image, so that its mean is near 0 and not 0.
  const byChannel = quantile(own.channel, 0.5), byImage = quantile(own.image, 0.5);
  const near = 0.2;
  return {
    kind: "per-image",
    scale,
    residual,
    own: byChannel < near ? "channel" : byImage < near ? "image" : "neither",
    ownDeviation: scales >= SAME_SCALE,
  };
}

/** v = a p - m, with m of each pixel of the image, or of the view. */
function perPixelKind(
  views: readonly PlacedView[],
  stored: StoredImages,
  layout: Layout,
): Omit<Preparation, "images" | "border"> | undefined {
  const known = withKnownMean(views, stored, layout);
  if (views.length < LEAST_VIEWS_PER_PIXEL) return known;
  const fits = (["before-padding", "after-crop"] as const).map((where) =>
    fitPerPixel(views, stored, layout, where)
  );
  const [fit] = fits.toSorted((a, b) => a.residual - b.residual);
  if (fit.residual > EXACT) return known;
  // Views that are whole images can't tell.
  const both = fits.every(({ residual }) => residual < EXACT);
  const { subtracted: _, ...rest } = fit;
  return both ? rest : fit;
}

/** Fewer views may lie on their own line by chance. */
const LEAST_FOR_RESTORING = 8;

/**
 * What undoes the preparation of all views, out of a few that were found: where each pixel of a
 * view is a line of the stored byte, with a constant of its own, of whatever unit.
 *
 * @returns Brings a view [3, 32, 32] back to bytes; undefined where the views tell of no such lines.
 */
export function restoring(
  views: readonly PlacedView[],
  stored: StoredImages,
  layout: Layout,
): ((pixels: Float32Array | Float64Array) => Float64Array) | undefined {
  if (views.length < LEAST_FOR_RESTORING) return undefined;
  const { residual, scale, mean, channelOf } = perPixelLines(views, stored, layout, "after-crop");
  if (!(residual < EXACT) || !scale.every((value) => Number.isFinite(value) && value !== 0)) {
    return undefined;
  }
  return (pixels) => Float64Array.from(pixels, (v, at) => v / scale[channelOf[at]] + mean[at]);
}

function fitPerPixel(
  views: readonly PlacedView[],
  stored: StoredImages,
  layout: Layout,
  subtracted: "before-padding" | "after-crop",
): Omit<Preparation, "images" | "border"> {
  const { mean: _, channelOf: __, ...fit } = perPixelLines(views, stored, layout, subtracted);
  return { kind: "per-pixel", subtracted, ...fit };
}

/** One scale a channel and one constant a pixel, by least squares. */
function perPixelLines(
  views: readonly PlacedView[],
  stored: StoredImages,
  layout: Layout,
  subtracted: "before-padding" | "after-crop",
) {
  const lines = Array.from({ length: SIZE }, () => new Line());
  const channelOf = new Uint8Array(SIZE);
  for (const view of views) {
    eachPixel(view, stored, layout, (at, byteAt, byte) => {
      const place = subtracted === "before-padding" ? byteAt : at;
      channelOf[place] = view.channels[Math.floor(at / PLANE)];
      lines[place].add(byte, view.pixels[at]);
    });
  }
  const scale: number[] = [];
  let own = 0, left = 0;
  for (let c = 0; c < 3; c++) {
    let pp = 0, pv = 0, vv = 0;
    lines.forEach((line, place) => {
      if (channelOf[place] !== c || line.n < 2) return;
      pp += line.pp - line.p * line.p / line.n;
      pv += line.pv - line.p * line.v / line.n;
      vv += line.vv - line.v * line.v / line.n;
    });
    scale.push(pv / pp);
    own += vv;
    left += vv - pv * pv / pp;
  }
  const mean = new Float64Array(SIZE);
  let distance = 0, places = 0, product = 0, square = 0;
  lines.forEach((line, place) => {
    if (line.n === 0) return;
    mean[place] = line.p / line.n - line.v / line.n / scale[channelOf[place]];
    // By the image's place: where the view's was taken, it is that of an image which is whole.
    const byteAt = subtracted === "before-padding" ? place : layout[place];
    distance += (mean[place] - stored.mean[byteAt]) ** 2;
    product += mean[place] * stored.mean[byteAt];
    square += stored.mean[byteAt] ** 2;
    places++;
  });
  return {
    ...{ scale, mean, channelOf },
    residual: own > 0 ? Math.sqrt(Math.max(0, left) / own) : 0,
    meanDistance: Math.sqrt(distance / Math.max(1, places)),
    meanRatio: square > 0 ? product / square : 0,
  };
}

/** With few views: whether the training part's per-pixel mean is what was subtracted. */
function withKnownMean(
  views: readonly PlacedView[],
  stored: StoredImages,
  layout: Layout,
): Omit<Preparation, "images" | "border"> | undefined {
  const found = (["before-padding", "after-crop"] as const).map((subtracted) => {
    const lines = views.map((view) => {
      const of = [new Line(), new Line(), new Line()];
      eachPixel(view, stored, layout, (at, byteAt, byte) => {
        const c = Math.floor(at / PLANE);
        const place = subtracted === "before-padding"
          ? byteAt
          : layout[view.channels[c] * PLANE + at % PLANE];
        of[c].add(byte - stored.mean[place], view.pixels[at]);
      });
      return of;
    });
    const flat = lines.flat().filter(({ spread }) => spread > 16);
    return {
      subtracted,
      residual: median(flat.map(({ residual }) => residual)),
      zero: quantile(flat.map(({ zero }) => Math.abs(zero)), 0.9),
      scale: medians(lines, "slope"),
    };
  });
  const [best, other] = found.toSorted((a, b) => a.residual - b.residual);
  // The mean of nine tenths of the images is a little off.
  if (!(best.residual < 5 * EXACT && best.zero < 2 * SAME_MEAN)) return undefined;
  return {
    kind: "per-pixel",
    scale: best.scale,
    residual: best.residual,
    meanDistance: best.zero,
    ...(other.residual < 5 * EXACT ? {} : { subtracted: best.subtracted }),
  };
}

/** What stands around an image, where views reach beyond it. */
function borderOf(
  views: readonly PlacedView[],
  stored: StoredImages,
  layout: Layout,
  perPixel?: Pick<Preparation, "scale" | "subtracted">,
): Preparation["border"] {
  const constant = [new Line(), new Line(), new Line()];
  let zeros = 0, mirrored = 0, repeated = 0, count = 0;
  for (const view of views) {
    const bytes = bytesOf(stored, view.image);
    const lines = linesOf(view, stored, layout);
    eachPixel(view, stored, layout, () => {}, (at, channel, y, x) => {
      const c = Math.floor(at / PLANE), value = view.pixels[at];
      const line = lines[c];
      count++;
      constant[channel].add(0, value);
      if (Math.abs(value) < 1e-6 * Math.abs(255 * line.slope)) zeros++;
      if (perPixel !== undefined) return;
      const inside = (p: number, mirror: boolean) =>
        p < 0 ? (mirror ? -p : 0) : p >= SIDE ? (mirror ? 2 * SIDE - 2 - p : SIDE - 1) : p;
      for (const mirror of [true, false]) {
        const byte = bytes[layout[channel * PLANE + inside(y, mirror) * SIDE + inside(x, mirror)]];
        if (Math.abs(line.slope * (byte - line.zero) - value) < Math.abs(line.slope)) {
          if (mirror) mirrored++;
          else repeated++;
        }
      }
    });
  }
  if (count === 0) return undefined;
  if (zeros > 0.99 * count) return "zero";
  if (mirrored > 0.95 * count) return "mirrored";
  if (repeated > 0.95 * count) return "repeated";
  const deviation = (line: Line) =>
    Math.sqrt(Math.max(0, line.vv / line.n - (line.v / line.n) ** 2));
  const isConstant = constant.every((line) =>
    line.n === 0 || deviation(line) < 1e-3 * (Math.abs(line.v / line.n) + 1e-9)
  );
  return isConstant || perPixel?.subtracted === "after-crop" ? "black" : "other";
}

function meanOf(values: Float32Array | Float64Array): number {
  let sum = 0;
  for (const value of values) sum += value;
  return sum / values.length;
}

function medians(lines: readonly (readonly Line[])[], what: "slope" | "zero"): number[] {
  return [0, 1, 2].map((c) =>
    median(lines.map((of) => of[c]).filter(({ spread }) => spread > 16).map((line) => line[what]))
  );
}

function median(values: readonly number[]): number {
  return quantile(values, 0.5);
}

/** @returns NaN of no values. */
function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.floor(share * (sorted.length - 1))] ?? NaN;
}
