/**
 * Finds which stored image a view shows, and where it was cut out.
 *
 * A view is a window of a stored image, mirrored or not, whose values were
 * shifted and scaled by channel. What does not change by that: the means of 3x3
 * squares of the window's green channel, less their mean, over their norm. These
 * are eight numbers, of which five are alike for an image and its mirror image
 * and three change their sign. Four of the five are compared first: exactly,
 * within what rounding and slightly different means leave. Views stand in a grid
 * of cells of these four numbers, and all windows of all images go by: 60,000
 * images have 4.9 million windows, and a second is enough. What falls into one
 * cell is compared by the other four numbers, and then pixel by pixel.
 */
import { bytesOf, type Layout, PLANE, SIDE, SIZE, type StoredImages } from "./_stored.ts";

/** Side of the compared window, in the middle of a view: a crop of 4 pixels stays within it. */
export const WINDOW = 24;
const SQUARE = WINDOW / 3;
/** Positions of the window within an image, along each axis. */
export const POSITIONS = SIDE - WINDOW + 1;
const MARGIN = (SIDE - WINDOW) / 2;

/** Half the width of a cell: the four numbers may differ by so much, the others by twice that. */
const TOLERANCE = 0.02;
/** Where a mean is not known but by a few hundred views. */
export const WIDE_TOLERANCE = 0.05;
const CELLS = 50;
/** A green channel without more than that, in bytes, has no shape to be known by. */
const LEAST_NORM = 1;

/** One appearance of a view that is looked for. */
export interface Sought {
  /** Which view. */
  readonly view: number;
  /** [3, 32, 32], its axes already brought back where they were exchanged. */
  readonly pixels: Float32Array | Float64Array;
  /** How far its four numbers may be from a window's; {@linkcode TOLERANCE} by default. */
  readonly tolerance?: number;
}

/** Where a view was found. */
export interface Found {
  /** Position in `sought`. */
  readonly sought: number;
  /** Number of the image. */
  readonly image: number;
  /** The view's pixel (r, c) is the image's (r + y, c + x). */
  readonly y: number;
  readonly x: number;
  /** The view is mirrored left to right. */
  readonly flip: boolean;
  /** The stored channel that each of the view's channels is. */
  readonly channels: readonly number[];
  /** Mean correlation over the window's channels; 1 where it is exact. */
  readonly score: number;
}

/** What is searched, and in which form. */
export interface SearchSpace {
  readonly stored: StoredImages;
  readonly layout: Layout;
  /** Whether the per-pixel mean is subtracted from the stored images. */
  readonly lessMean: boolean;
  /** The images to search; all by default. */
  readonly images?: Int32Array;
}

/** Orders of the channels that are tried. */
const ORDERS = [[0, 1, 2], [2, 1, 0]];

/**
 * Searches all windows of all images for views.
 *
 * @param sought The views.
 * @param space What is searched.
 * @param least Lowest score that counts.
 * @returns The best place of each that was found, at most one each.
 */
export function search(
  sought: readonly Sought[],
  space: SearchSpace,
  least: number,
): readonly Found[] {
  if (sought.length === 0) return [];
  const grid = new Grid(sought);
  const best = new Array<Found | undefined>(sought.length);
  const green = new Float64Array(PLANE);
  const squares = new Float64Array(PLANE);
  const numbers = new Float64Array(NUMBERS);
  const windows = new Map<number, Float64Array>();
  const { stored, layout, lessMean } = space;
  const greenAt = layout.subarray(PLANE, 2 * PLANE);
  const greenMean = Float64Array.from(greenAt, (k) => lessMean ? stored.mean[k] : 0);
  const count = space.images?.length ?? stored.count;
  for (let i = 0; i < count; i++) {
    const image = space.images?.[i] ?? i;
    const bytes = bytesOf(stored, image);
    for (let k = 0; k < PLANE; k++) green[k] = bytes[greenAt[k]] - greenMean[k];
    sumSquares(green, squares);
    windows.clear();
    for (let y = 0; y < POSITIONS; y++) {
      for (let x = 0; x < POSITIONS; x++) {
        if (!describe(squares, y, x, numbers)) continue;
        let entry = grid.first(numbers);
        if (entry >= 0) describeFurther(squares, y, x, numbers);
        for (; entry >= 0; entry = grid.next[entry]) {
          const which = grid.view[entry];
          const isAs = grid.isNear(which, numbers, 1), isMirrored = grid.isNear(which, numbers, -1);
          if (!isAs && !isMirrored) continue;
          const window = windowAt(windows, y, x, green);
          const view = grid.windowOf(which);
          const as = isAs ? correlation(view, 1, window, 0, false) : -1;
          const mirrored = isMirrored ? correlation(view, 1, window, 0, true) : -1;
          // Green stays where it is in all orders of the channels that are tried.
          if (Math.max(as, mirrored) < least) continue;
          const found = compare(view, windowOf(space, bytes, y, x), mirrored > as);
          if (found.score < least || found.score <= (best[which]?.score ?? 0)) continue;
          best[which] = { sought: which, image, y: y - MARGIN, x: x - MARGIN, ...found };
        }
      }
    }
  }
  return best.filter((found) => found !== undefined);
}

/** The green window at (y, x), made once for each image. */
function windowAt(
  windows: Map<number, Float64Array>,
  y: number,
  x: number,
  green: Float64Array,
): Float64Array {
  const at = y * POSITIONS + x;
  const known = windows.get(at);
  if (known !== undefined) return known;
  const window = new Float64Array(WINDOW * WINDOW);
  centre(green, 0, y, x, window, 0);
  windows.set(at, window);
  return window;
}

/** Sums over squares of {@linkcode SQUARE} pixels a side that begin at each position. */
function sumSquares(plane: Float64Array, squares: Float64Array): void {
  const last = SIDE - SQUARE;
  // Along the rows first, then down the columns, each by what comes in and what goes out.
  for (let y = 0; y < SIDE; y++) {
    const row = y * SIDE;
    let sum = 0;
    for (let x = 0; x < SQUARE; x++) sum += plane[row + x];
    squares[row] = sum;
    for (let x = 1; x <= last; x++) {
      sum += plane[row + x + SQUARE - 1] - plane[row + x - 1];
      squares[row + x] = sum;
    }
  }
  for (let x = 0; x <= last; x++) {
    let sum = 0;
    for (let y = 0; y < SQUARE; y++) sum += squares[y * SIDE + x];
    let out = squares[x];
    squares[x] = sum;
    for (let y = 1; y <= last; y++) {
      sum += squares[(y + SQUARE - 1) * SIDE + x] - out;
      out = squares[y * SIDE + x];
      squares[y * SIDE + x] = sum;
    }
  }
}

/** Of each window: those of the grid, the one that is left of those alike, those with a sign. */
const NUMBERS = 8, IN_GRID = 4, WITH_SIGN = 5;

/**
 * The grid's four numbers of the window at (y, x): rows against each other, and
 * the middle column against the outer ones, in units of the nine means' norm.
 *
 * @returns Whether the window has a shape to be known by.
 */
function describe(squares: Float64Array, y: number, x: number, numbers: Float64Array): boolean {
  const a = y * SIDE + x, b = a + SQUARE * SIDE, c = b + SQUARE * SIDE;
  const a0 = squares[a], a1 = squares[a + SQUARE], a2 = squares[a + 2 * SQUARE];
  const b0 = squares[b], b1 = squares[b + SQUARE], b2 = squares[b + 2 * SQUARE];
  const c0 = squares[c], c1 = squares[c + SQUARE], c2 = squares[c + 2 * SQUARE];
  const top = a0 + a1 + a2, middle = b0 + b1 + b2, bottom = c0 + c1 + c2;
  const mean = (top + middle + bottom) / 9;
  const norm = Math.sqrt(
    (a0 - mean) ** 2 + (a1 - mean) ** 2 + (a2 - mean) ** 2 +
      (b0 - mean) ** 2 + (b1 - mean) ** 2 + (b2 - mean) ** 2 +
      (c0 - mean) ** 2 + (c1 - mean) ** 2 + (c2 - mean) ** 2,
  );
  if (!(norm > LEAST_NORM)) return false;
  const above = a1 - (a0 + a2) / 2, within = b1 - (b0 + b2) / 2, below = c1 - (c0 + c2) / 2;
  numbers[0] = (bottom - top) / (norm * Math.sqrt(6));
  numbers[1] = (top + bottom - 2 * middle) / (norm * Math.sqrt(18));
  numbers[2] = (above + within + below) / (norm * Math.sqrt(4.5));
  numbers[3] = (above - below) / (norm * Math.sqrt(3));
  numbers[NUMBERS - 1] = norm;
  return true;
}

/** The other four numbers of a window that was described; the norm gives its place to the last. */
function describeFurther(squares: Float64Array, y: number, x: number, numbers: Float64Array): void {
  const a = y * SIDE + x, b = a + SQUARE * SIDE, c = b + SQUARE * SIDE;
  const a0 = squares[a], a1 = squares[a + SQUARE], a2 = squares[a + 2 * SQUARE];
  const b0 = squares[b], b1 = squares[b + SQUARE], b2 = squares[b + 2 * SQUARE];
  const c0 = squares[c], c1 = squares[c + SQUARE], c2 = squares[c + 2 * SQUARE];
  const norm = numbers[NUMBERS - 1];
  const above = a1 - (a0 + a2) / 2, within = b1 - (b0 + b2) / 2, below = c1 - (c0 + c2) / 2;
  numbers[IN_GRID] = (above + below - 2 * within) / (norm * 3);
  numbers[WITH_SIGN] = (a2 - a0) / (norm * Math.SQRT2);
  numbers[WITH_SIGN + 1] = (b2 - b0) / (norm * Math.SQRT2);
  numbers[WITH_SIGN + 2] = (c2 - c0) / (norm * Math.SQRT2);
}

/** Views in cells of their four numbers; each stands in all cells within the tolerance. */
class Grid {
  /** Which cells hold anything: small enough to stay in the processor's cache. */
  readonly #held = new Uint32Array(Math.ceil(CELLS ** 4 / 32));
  readonly #heads = new Map<number, number>();
  /** By entry: the next entry of the same cell, or -1. */
  readonly next: Int32Array;
  /** By entry: the position in `sought`. */
  readonly view: Int32Array;
  readonly #sought: readonly Sought[];
  readonly #windows: (Float64Array | undefined)[] = [];
  readonly #numbers: Float64Array;
  readonly #tolerances: Float64Array;

  constructor(sought: readonly Sought[]) {
    const squares = new Float64Array(PLANE);
    const next: number[] = [], view: number[] = [];
    this.#sought = sought;
    this.#tolerances = Float64Array.from(sought, ({ tolerance = TOLERANCE }) => tolerance);
    this.#numbers = new Float64Array(NUMBERS * sought.length);
    sought.forEach(({ pixels }, which) => {
      const green = new Float64Array(pixels.subarray(PLANE, 2 * PLANE));
      // Bytes, whatever the view's own range is, so that one bound on the norm serves.
      scaleToBytes(green);
      sumSquares(green, squares);
      const numbers = this.#numbers.subarray(NUMBERS * which, NUMBERS * (which + 1));
      if (!describe(squares, MARGIN, MARGIN, numbers)) return;
      describeFurther(squares, MARGIN, MARGIN, numbers);
      for (const cell of cellsNear(numbers, this.#tolerances[which])) {
        next.push(this.#heads.get(cell) ?? -1);
        view.push(which);
        this.#heads.set(cell, next.length - 1);
        this.#held[cell >> 5] |= 1 << (cell & 31);
      }
    });
    this.next = Int32Array.from(next);
    this.view = Int32Array.from(view);
  }

  first(numbers: Float64Array): number {
    const cell =
      ((cellOf(numbers[0]) * CELLS + cellOf(numbers[1])) * CELLS + cellOf(numbers[2])) * CELLS +
      cellOf(numbers[3]);
    return this.#held[cell >> 5] >> (cell & 31) & 1 ? this.#heads.get(cell)! : -1;
  }

  /** Whether a view's numbers are those of a window, as it is (1) or mirrored (-1). */
  isNear(which: number, numbers: Float64Array, sign: 1 | -1): boolean {
    const own = this.#numbers, most = this.#tolerances[which];
    for (let i = 0, at = NUMBERS * which; i < NUMBERS; i++, at++) {
      const number = i < WITH_SIGN ? numbers[i] : sign * numbers[i];
      if (!(Math.abs(own[at] - number) < (i < IN_GRID ? most : 2 * most))) return false;
    }
    return true;
  }

  /** Its window, centred and scaled; few views ever come to it. */
  windowOf(which: number): Float64Array {
    return this.#windows[which] ??= centred(this.#sought[which].pixels, MARGIN, MARGIN);
  }
}

function cellOf(number: number): number {
  // From -1 to 1, and 1 itself in the last cell.
  const cell = (number + 1) * (CELLS / 2) | 0;
  return cell < CELLS ? cell : CELLS - 1;
}

function cellsNear(numbers: Float64Array, tolerance: number): number[] {
  let cells = [0];
  for (let i = 0; i < IN_GRID; i++) {
    const low = cellOf(Math.max(-1, numbers[i] - tolerance)), high = cellOf(numbers[i] + tolerance);
    const within: number[] = [];
    for (const cell of cells) {
      for (let at = low; at <= high; at++) within.push(cell * CELLS + at);
    }
    cells = within;
  }
  return cells;
}

function scaleToBytes(plane: Float64Array): void {
  let mean = 0, square = 0;
  for (const value of plane) mean += value / PLANE;
  for (const value of plane) square += (value - mean) ** 2 / PLANE;
  const scale = square > 0 ? 64 / Math.sqrt(square) : 0;
  for (let i = 0; i < PLANE; i++) plane[i] = (plane[i] - mean) * scale;
}

/** The window of an image at (y, x), centred and scaled by channel. */
function windowOf(
  { stored, layout, lessMean }: SearchSpace,
  bytes: Uint8Array,
  y: number,
  x: number,
): Float64Array {
  const pixels = new Float64Array(SIZE);
  for (let at = 0; at < SIZE; at++) {
    const k = layout[at];
    pixels[at] = bytes[k] - (lessMean ? stored.mean[k] : 0);
  }
  return centred(pixels, y, x);
}

/** [3, 24, 24] of [3, 32, 32], each channel with mean 0 and length 1. */
function centred(pixels: Float32Array | Float64Array, y: number, x: number): Float64Array {
  const window = new Float64Array(3 * WINDOW * WINDOW);
  for (let c = 0; c < 3; c++) centre(pixels, c, y, x, window, c);
  return window;
}

/** One channel's window at (y, x), with mean 0 and length 1. */
function centre(
  pixels: Float32Array | Float64Array,
  channel: number,
  y: number,
  x: number,
  window: Float64Array,
  to: number,
): void {
  const size = WINDOW * WINDOW, begin = to * size, end = begin + size;
  let sum = 0;
  for (let r = 0, at = begin; r < WINDOW; r++) {
    const from = channel * PLANE + (y + r) * SIDE + x;
    for (let s = 0; s < WINDOW; s++) sum += window[at++] = pixels[from + s];
  }
  let square = 0;
  for (let at = begin; at < end; at++) {
    window[at] -= sum / size;
    square += window[at] ** 2;
  }
  const scale = square > 0 ? 1 / Math.sqrt(square) : 0;
  for (let at = begin; at < end; at++) window[at] *= scale;
}

/** The better of the orders of channels. */
function compare(
  view: Float64Array,
  window: Float64Array,
  flip: boolean,
): Pick<Found, "flip" | "channels" | "score"> {
  let best = { flip, channels: ORDERS[0], score: -1 };
  for (const channels of ORDERS) {
    let score = 0;
    for (let c = 0; c < 3; c++) score += correlation(view, c, window, channels[c], flip) / 3;
    if (score > best.score) best = { flip, channels, score };
  }
  return best;
}

function correlation(
  view: Float64Array,
  channel: number,
  window: Float64Array,
  other: number,
  flip: boolean,
): number {
  const size = WINDOW * WINDOW;
  let sum = 0;
  for (let r = 0; r < WINDOW; r++) {
    const a = channel * size + r * WINDOW;
    const b = other * size + r * WINDOW + (flip ? WINDOW - 1 : 0);
    const step = flip ? -1 : 1;
    for (let s = 0; s < WINDOW; s++) sum += view[a + s] * window[b + step * s];
  }
  return sum;
}
