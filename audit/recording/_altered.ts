/**
 * Images that are no crops: parts of stored images that were enlarged, as
 * RandomResizedCrop makes them, and images whose values were changed.
 *
 * A few are looked at closely. Means of 3x3 squares of each channel, from
 * summed areas, find the part; then the part, enlarged by bilinear
 * interpolation, is compared pixel by pixel while its edges are moved.
 */
import type { AlteredImages } from "../../spec/mod.ts";
import { bytesOf, type Layout, PLANE, SIDE, SIZE, type StoredImages } from "./_stored.ts";

/** A view that no crop explains, and the images that it may show. */
export interface Unexplained {
  /** [3, 32, 32]: as they entered, and with the per-pixel mean added. */
  readonly appearances: readonly (Float32Array | Float64Array)[];
  /** Numbers of stored images. */
  readonly candidates: readonly number[];
}

interface Part {
  readonly y: number;
  readonly x: number;
  readonly height: number;
  readonly width: number;
}

interface Guess extends Part {
  readonly image: number;
  readonly appearance: number;
  readonly flip: boolean;
  readonly score: number;
}

/** A part that is enlarged by bilinear interpolation is met at 0.99 and more. */
const FOUND = 0.97;
/** What is still the same image, its values or places changed. */
const RECOGNISED = 0.6;
/** A part whose side is this or more is as good as the whole image. */
const WHOLE = 31;
const REFINED = 12;

/**
 * What a few views are that no crop explains.
 *
 * @param views Each with the images that it may show: one where its index is known, else all of
 *   its label.
 */
export function alteredImages(
  views: readonly Unexplained[],
  stored: StoredImages,
  layout: Layout,
): AlteredImages {
  const planes = new Planes(stored, layout);
  // Views of one label have one list of images, which are gone through once.
  const guesses = [...Map.groupBy(views, ({ candidates }) => candidates)]
    .flatMap(([candidates, alike]) => bestGuesses(alike, candidates, planes));
  const found = guesses.filter((guess) => guess !== undefined && guess.score >= FOUND) as Guess[];
  const parts = found.filter(({ height, width }) => Math.min(height, width) < WHOLE);
  if (parts.length >= views.length / 4 && parts.length >= 2) {
    const sides = parts.flatMap(({ height, width }) => [height, width]);
    return {
      kind: "resized",
      tried: views.length,
      found: parts.length,
      sides: [Math.min(...sides), Math.max(...sides)],
    };
  }
  const recognised =
    guesses.filter((guess) => guess !== undefined && guess.score >= RECOGNISED).length;
  return views.every(({ candidates }) => candidates.length === 1) && recognised >= views.length / 2
    ? { kind: "changed", tried: views.length, found: recognised }
    : { kind: "not-found", tried: views.length, found: 0 };
}

/** Channels of stored images and their summed areas, of the last image that was asked for. */
class Planes {
  readonly #stored: StoredImages;
  readonly #layout: Layout;
  readonly #pixels = new Float64Array(SIZE);
  readonly #areas = new Float64Array(3 * (SIDE + 1) * (SIDE + 1));
  #image = -1;

  constructor(stored: StoredImages, layout: Layout) {
    this.#stored = stored;
    this.#layout = layout;
  }

  of(image: number): { pixels: Float64Array; areas: Float64Array } {
    if (this.#image !== image) {
      this.#image = image;
      const bytes = bytesOf(this.#stored, image);
      for (let at = 0; at < SIZE; at++) this.#pixels[at] = bytes[this.#layout[at]];
      const wide = SIDE + 1;
      for (let c = 0; c < 3; c++) {
        const base = c * wide * wide;
        for (let y = 0; y < SIDE; y++) {
          let row = 0;
          for (let x = 0; x < SIDE; x++) {
            row += this.#pixels[c * PLANE + y * SIDE + x];
            this.#areas[base + (y + 1) * wide + x + 1] = this.#areas[base + y * wide + x + 1] + row;
          }
        }
      }
    }
    return { pixels: this.#pixels, areas: this.#areas };
  }
}

/** One way to see a view. */
interface Look {
  readonly appearance: number;
  readonly flip: boolean;
  readonly squares: Float64Array;
  /** What the other channels than green can add to a score at most. */
  readonly rest: number;
}

/** The best guess of each view; undefined where none has a shape to be known by. */
function bestGuesses(
  views: readonly Unexplained[],
  candidates: readonly number[],
  planes: Planes,
): readonly (Guess | undefined)[] {
  const looked = views.map(({ appearances }) => ({
    looks: appearances.flatMap((pixels, appearance) =>
      [false, true].map((flip): Look => {
        const squares = squaresOf(flip ? mirrored(pixels) : Float64Array.from(pixels));
        return { appearance, flip, squares, rest: restOf(squares) };
      })
    ),
    best: [] as Guess[],
  }));
  const parts = candidates.length === 1 ? closeParts() : COARSE_PARTS;
  const squares = new Float64Array(27);
  for (const image of candidates) {
    const { areas } = planes.of(image);
    for (const { part, edges } of parts) {
      if (!squaresOfPart(areas, edges, squares)) continue;
      const rest = restOf(squares);
      for (const { looks, best } of looked) {
        for (const look of looks) {
          const least = best.length === REFINED ? best[REFINED - 1].score : -1;
          let score = 0;
          for (let i = 9; i < 18; i++) score += look.squares[i] * squares[i];
          // Green alone decides for most: by Cauchy and Schwarz the others can't make up for it.
          if (score + look.rest * rest <= least) continue;
          for (let i = 0; i < 9; i++) score += look.squares[i] * squares[i];
          for (let i = 18; i < 27; i++) score += look.squares[i] * squares[i];
          if (score <= least) continue;
          best.push({ ...part, image, appearance: look.appearance, flip: look.flip, score });
          best.sort((a, b) => b.score - a.score);
          if (best.length > REFINED) best.pop();
        }
      }
    }
  }
  return views.map(({ appearances }, i) => {
    const refined = looked[i].best.map((guess) => {
      const pixels = appearances[guess.appearance];
      const view = normalised(guess.flip ? mirrored(pixels) : Float64Array.from(pixels));
      return refine(guess, view, planes.of(guess.image).pixels);
    });
    return refined.toSorted((a, b) => b.score - a.score)[0];
  });
}

/** The length of what red and blue are of squares of length 1. */
function restOf(squares: Float64Array): number {
  let green = 0;
  for (let i = 9; i < 18; i++) green += squares[i] ** 2;
  return Math.sqrt(Math.max(0, 1 - green));
}

/** Square parts at some places, for many images. */
const COARSE_PARTS = [32, 28, 24, 20, 16, 13, 10].flatMap((side) =>
  places(side, side, Math.max(1, Math.round(side / 6)))
).map(withEdges);

/** Parts of all usual proportions, for one image. */
function closeParts() {
  const sides = [32, 30, 28, 26, 24, 22, 20, 18, 16, 14, 12, 10, 8];
  return sides.flatMap((height) =>
    sides.filter((width) => width / height > 0.7 && width / height < 1.43)
      .flatMap((width) => places(height, width, Math.min(height, width) > 16 ? 2 : 1))
  ).map(withEdges);
}

function places(height: number, width: number, step: number): Part[] {
  const along = (side: number) => {
    const last = SIDE - side;
    const count = Math.ceil(last / step);
    return Array.from(
      { length: count + 1 },
      (_, i) => count === 0 ? 0 : Math.round(i * last / count),
    );
  };
  return along(height).flatMap((y) => along(width).map((x) => ({ y, x, height, width })));
}

/** Moves the edges of a part while that makes it more alike. */
function refine(guess: Guess, view: Float64Array, pixels: Float64Array): Guess {
  const drawn = new Float64Array(SIZE);
  const scoreOf = (part: Part): number => {
    enlarge(pixels, part, drawn);
    return dot(view, normalised(drawn));
  };
  let best: Guess = { ...guess, score: scoreOf(guess) };
  for (let moved = true; moved;) {
    moved = false;
    for (const [dy, dx, dh, dw] of MOVES) {
      const part = {
        ...{ y: best.y + dy, x: best.x + dx },
        ...{ height: best.height + dh, width: best.width + dw },
      };
      if (part.y < 0 || part.x < 0 || part.height < 6 || part.width < 6) continue;
      if (part.y + part.height > SIDE || part.x + part.width > SIDE) continue;
      const score = scoreOf(part);
      if (score > best.score + 1e-9) {
        best = { ...best, ...part, score };
        moved = true;
      }
    }
  }
  return best;
}

const MOVES = [-1, 1].flatMap((d) => [
  ...[[d, 0, 0, 0], [0, d, 0, 0], [0, 0, d, 0], [0, 0, 0, d]],
  ...[[d, 0, -d, 0], [0, d, 0, -d], [d, d, 0, 0], [d, -d, 0, 0], [0, 0, d, d]],
  ...[[d, 0, -2 * d, 0], [0, d, 0, -2 * d]],
]);

/** A part of an image at 32x32 pixels, bilinear, pixel centres in the middle. */
function enlarge(pixels: Float64Array, { y, x, height, width }: Part, to: Float64Array): void {
  const axis = (begin: number, length: number) =>
    Array.from({ length: SIDE }, (_, i) => {
      const at = Math.max(0, Math.min(length - 1, (i + 0.5) * length / SIDE - 0.5));
      const low = Math.floor(at);
      return { low: begin + low, high: begin + Math.min(length - 1, low + 1), share: at - low };
    });
  const rows = axis(y, height), columns = axis(x, width);
  for (let c = 0; c < 3; c++) {
    for (let r = 0; r < SIDE; r++) {
      const { low, high, share } = rows[r];
      const a = c * PLANE + low * SIDE, b = c * PLANE + high * SIDE;
      for (let s = 0; s < SIDE; s++) {
        const column = columns[s];
        const upper = pixels[a + column.low] +
          column.share * (pixels[a + column.high] - pixels[a + column.low]);
        const lower = pixels[b + column.low] +
          column.share * (pixels[b + column.high] - pixels[b + column.low]);
        to[c * PLANE + r * SIDE + s] = upper + share * (lower - upper);
      }
    }
  }
}

/** Each channel with mean 0, all together with length 1. */
function normalised(pixels: Float64Array): Float64Array {
  const result = new Float64Array(pixels.length);
  const plane = pixels.length / 3;
  let square = 0;
  for (let c = 0; c < 3; c++) {
    let sum = 0;
    for (let i = c * plane; i < (c + 1) * plane; i++) sum += pixels[i];
    for (let i = c * plane; i < (c + 1) * plane; i++) {
      result[i] = pixels[i] - sum / plane;
      square += result[i] ** 2;
    }
  }
  const scale = square > 0 ? 1 / Math.sqrt(square) : 0;
  return result.map((value) => value * scale);
}

function mirrored(pixels: Float32Array | Float64Array): Float64Array {
  const result = new Float64Array(SIZE);
  for (let at = 0; at < SIZE; at++) {
    result[at] = pixels[at - at % SIDE + SIDE - 1 - at % SIDE];
  }
  return result;
}

/** Means over 3x3 squares of each channel of a whole view, normalised. */
function squaresOf(pixels: Float64Array): Float64Array {
  const wide = SIDE + 1;
  const areas = new Float64Array(3 * wide * wide);
  for (let c = 0; c < 3; c++) {
    for (let y = 0; y < SIDE; y++) {
      let row = 0;
      for (let x = 0; x < SIDE; x++) {
        row += pixels[c * PLANE + y * SIDE + x];
        areas[c * wide * wide + (y + 1) * wide + x + 1] =
          areas[c * wide * wide + y * wide + x + 1] +
          row;
      }
    }
  }
  const squares = new Float64Array(27);
  squaresOfPart(areas, edgesOf({ y: 0, x: 0, height: SIDE, width: SIDE }), squares);
  return squares;
}

/** Where the edges of a part's 3x3 squares lie among summed areas, four along each axis. */
interface Edges {
  /** Of rows, then of columns: the last whole pixel, the next one, and the share of that. */
  readonly at: Uint8Array;
  readonly next: Uint8Array;
  readonly share: Float64Array;
  /** Pixels of the part. */
  readonly size: number;
}

function withEdges(part: Part): { readonly part: Part; readonly edges: Edges } {
  return { part, edges: edgesOf(part) };
}

function edgesOf({ y, x, height, width }: Part): Edges {
  const edges = [0, 1, 2, 3].map((i) => y + i * height / 3)
    .concat([0, 1, 2, 3].map((i) => x + i * width / 3));
  return {
    at: Uint8Array.from(edges, Math.floor),
    next: Uint8Array.from(edges, Math.ceil),
    share: Float64Array.from(edges, (edge) => edge - Math.floor(edge)),
    size: height * width,
  };
}

/** Summed areas at the corners of the squares, row by row. */
const corners = new Float64Array(16);

/** @returns Whether the part has a shape to be known by. */
function squaresOfPart(
  areas: Float64Array,
  { at, next, share, size }: Edges,
  squares: Float64Array,
): boolean {
  const wide = SIDE + 1;
  let square = 0;
  for (let c = 0; c < 3; c++) {
    const plane = c * wide * wide;
    for (let i = 0; i < 4; i++) {
      const upper = plane + at[i] * wide, lower = plane + next[i] * wide, v = share[i];
      for (let j = 4; j < 8; j++) {
        const left = at[j], right = next[j], u = share[j];
        const above = areas[upper + left] + u * (areas[upper + right] - areas[upper + left]);
        const below = areas[lower + left] + u * (areas[lower + right] - areas[lower + left]);
        corners[4 * i + j - 4] = above + v * (below - above);
      }
    }
    let sum = 0;
    for (let r = 0; r < 3; r++) {
      for (let s = 0; s < 3; s++) {
        const a = 4 * r + s;
        const value = (corners[a + 5] - corners[a + 1] - corners[a + 4] + corners[a]) / size;
        squares[c * 9 + r * 3 + s] = value;
        sum += value;
      }
    }
    for (let i = c * 9; i < (c + 1) * 9; i++) {
      squares[i] -= sum / 9;
      square += squares[i] ** 2;
    }
  }
  if (!(square > 0)) return false;
  const scale = 1 / Math.sqrt(square);
  for (let i = 0; i < 27; i++) squares[i] *= scale;
  return true;
}

function dot(a: Float64Array, b: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i] * b[i];
  return sum;
}
