/**
 * Winograd's minimal filtering F(4x4, 3x3) for 3x3 convolutions of stride 1
 * (Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks", 2015).
 *
 * An image is cut into tiles of 4x4 outputs, each from 6x6 inputs d that overlap; where the last
 * ones reach beyond it, they read zeros, and what they compute there is not written:
 *
 *     V = B^T d B     U = G w G^T     M[i] = sum over c of V[i] U[i]     y = A^T M A
 *
 * with i one of the 36 places of the transformed tile: 36 matrix products
 * [tiles, C] x [C, K] in place of 144 multiplications an output tile. The input
 * gradient is the same on the padded gradient with the kernels turned by 180
 * degrees and c and k exchanged. The weight gradient goes the other way:
 *
 *     dM = A dy A^T     dU[i] += V[i]^T dM[i]     dw = G^T dU G
 *
 * Layout: V[36][tiles][C] and M[36][tiles][K], the planes 64 bytes further apart
 * than their size, so that a tile's 36 stores do not meet in one cache set, as are
 * those of U and dU; U[36][K/16][C/4][4][16], the stream that the direct kernel reads for a 1x1
 * convolution, which is what each matrix product is; dU[36][C][K].
 *
 * Tiles take an image's lines in an order that no processor foresees: an image that comes
 * from memory is fetched first, by `fetchKernel` in `_emitter.ts`, which is twice as fast.
 *
 * The transforms work on 4 channels at a time, on 8 where vectors are joined, with 36
 * vectors in local variables; V8 keeps what fits in registers and the rest on its stack.
 */
import {
  add,
  advance,
  call,
  type Code,
  fillZero,
  float4,
  type FunctionBuilder,
  type FunctionReference,
  get,
  iadd,
  int,
  inTurn,
  load,
  type Local,
  type Module,
  mul,
  type MultiplyAdd,
  repeat,
  set,
  store,
  sub,
} from "../assembler.ts";
import { convolutionKernel, range, TILE_CHANNELS, transposed } from "./convolution.ts";
import { type ImageShape, loadMaskCoefficients, type MaskParts, maskVector } from "./normalise.ts";
import { weightGradientKernel } from "./weight_gradient.ts";

/** Places of a transformed tile. */
export const PLACES = 36;
const INPUT_TILE = 6;
const OUTPUT_TILE = 4;

/** Tiles of one image; the last of a row or column may reach beyond it. */
export function tilesOf({ height, width }: { height: number; width: number }): number {
  return Math.ceil(height / OUTPUT_TILE) * Math.ceil(width / OUTPUT_TILE);
}

/** Pixels by which tiles reach beyond an image. */
export function overhang({ height, width }: { height: number; width: number }): number {
  const along = (extent: number) => Math.ceil(extent / OUTPUT_TILE) * OUTPUT_TILE - extent;
  return Math.max(along(height), along(width));
}

/** Bytes from one of the 36 planes to the next. */
export function planeBytes(tiles: number, channels: number): number {
  return tiles * channels * 4 + 64;
}

/** A linear map of vectors, as statements and then expressions that may be used more than once. */
type Transform = (f: FunctionBuilder, multiplyAdd: MultiplyAdd, x: readonly Local[]) => {
  readonly prepare: readonly Code[];
  readonly results: readonly Code[];
};

/** B^T: 6 inputs to 6 places. */
const toPlaces: Transform = (f, madd, [d0, d1, d2, d3, d4, d5]) => {
  const [a, b, c, e] = f.vectors(4);
  return {
    prepare: [
      set(a, madd(get(d2), float4(-4), get(d4))),
      set(b, madd(get(d1), float4(-4), get(d3))),
      set(c, sub(get(d4), get(d2))),
      set(e, sub(get(d3), get(d1))),
    ],
    results: [
      madd(get(d0), float4(4), madd(get(d2), float4(-5), get(d4))),
      add(get(a), get(b)),
      sub(get(a), get(b)),
      madd(get(e), float4(2), get(c)),
      madd(get(e), float4(-2), get(c)),
      madd(get(d1), float4(4), madd(get(d3), float4(-5), get(d5))),
    ],
  };
};

/** A^T: 6 places to 4 outputs. */
const toOutputs: Transform = (f, madd, [m0, m1, m2, m3, m4, m5]) => {
  const [a, b, c, e] = f.vectors(4);
  return {
    prepare: [
      set(a, add(get(m1), get(m2))),
      set(b, sub(get(m1), get(m2))),
      set(c, add(get(m3), get(m4))),
      set(e, sub(get(m3), get(m4))),
    ],
    results: [
      add(get(m0), add(get(a), get(c))),
      madd(get(e), float4(2), get(b)),
      madd(get(c), float4(4), get(a)),
      add(madd(get(e), float4(8), get(b)), get(m5)),
    ],
  };
};

/** A: 4 output gradients to 6 places. */
const gradientToPlaces: Transform = (f, madd, [y0, y1, y2, y3]) => {
  const [a, b, c, e] = f.vectors(4);
  return {
    prepare: [
      set(a, add(get(y0), get(y2))),
      set(b, add(get(y1), get(y3))),
      set(c, madd(get(y2), float4(4), get(y0))),
      set(e, madd(get(y3), float4(8), mul(get(y1), float4(2)))),
    ],
    results: [
      get(y0),
      add(get(a), get(b)),
      sub(get(a), get(b)),
      add(get(c), get(e)),
      sub(get(c), get(e)),
      get(y3),
    ],
  };
};

/** G: 3 weights to 6 places. */
const weightsToPlaces: Transform = (f, madd, [w0, w1, w2]) => {
  const [a, b, c, e] = f.vectors(4);
  return {
    prepare: [
      set(a, mul(add(get(w0), get(w2)), float4(-1 / 6))),
      set(b, mul(get(w1), float4(1 / 6))),
      set(c, madd(get(w0), float4(1 / 24), mul(get(w2), float4(1 / 6)))),
      set(e, mul(get(w1), float4(1 / 12))),
    ],
    results: [
      mul(get(w0), float4(1 / 4)),
      sub(get(a), get(b)),
      add(get(a), get(b)),
      add(get(c), get(e)),
      sub(get(c), get(e)),
      get(w2),
    ],
  };
};

/** G^T: 6 places to 3 weight gradients. */
const placesToWeights: Transform = (f, madd, [u0, u1, u2, u3, u4, u5]) => {
  const [a, b, c, e] = f.vectors(4);
  return {
    prepare: [
      set(a, add(get(u1), get(u2))),
      set(b, sub(get(u2), get(u1))),
      set(c, add(get(u3), get(u4))),
      set(e, sub(get(u3), get(u4))),
    ],
    results: [
      madd(get(c), float4(1 / 24), madd(get(a), float4(-1 / 6), mul(get(u0), float4(1 / 4)))),
      madd(get(e), float4(1 / 12), mul(get(b), float4(1 / 6))),
      add(mul(sub(get(c), get(a)), float4(1 / 6)), get(u5)),
    ],
  };
};

/** A square of vectors and what becomes of them: where each is read from, and statements. */
interface Square {
  readonly read: (row: number, column: number) => Code;
  readonly write: (row: number, column: number, value: Code) => readonly Code[];
}

/**
 * T x T^t of squares of vectors, side by side: the columns first, from `read`, then the rows,
 * to `write`. `inputs` and `outputs` are T's.
 */
function transform2d(
  f: FunctionBuilder,
  multiplyAdd: MultiplyAdd,
  transform: Transform,
  inputs: number,
  outputs: number,
  squares: readonly Square[],
): Code {
  const parts = squares.map(({ read, write }) => {
    const x = f.vectors(inputs);
    const between = range(outputs).map(() => f.vectors(inputs));
    const columns = transform(f, multiplyAdd, x);
    const rows = between.map((row) => transform(f, multiplyAdd, row));
    return {
      column: (column: number) => [
        ...x.map((local, row) => set(local, read(row, column))),
        ...columns.prepare,
        ...columns.results.map((result, row) => set(between[row][column], result)),
      ],
      row: (row: number) => [
        ...rows[row].prepare,
        ...rows[row].results.flatMap((result, column) => write(row, column, result)),
      ],
    };
  });
  return [
    range(inputs).map((column) => inTurn(parts.map((part) => part.column(column)))),
    range(outputs).map((row) => inTurn(parts.map((part) => part.row(row)))),
  ];
}

/** Writes what is inside of the image alone. */
function clipped({ rows, columns }: Inside, write: Square["write"]): Square["write"] {
  return (i, j, value) => i < rows && j < columns ? write(i, j, value) : [];
}

/** How many vectors of an image's channels a kernel transforms side by side. */
function sideBySide(module: Module, channels: number): number {
  return channels / 4 % module.joined === 0 ? module.joined : 1;
}

/** How much of a tile is inside of the image. */
interface Inside {
  readonly rows: number;
  readonly columns: number;
}

/**
 * Visits tiles, `vectors` vectors of channels at a time: each of `images` points at a tile's first
 * pixel, `plane` at its place in plane 0, and each of `channelwise` at the first of the tile's
 * channels. `clips` where the code depends on how much of a tile is inside of the image: then the
 * tiles that reach beyond it have code of their own.
 */
function forTiles(
  f: FunctionBuilder,
  { height, width, channels }: ImageShape,
  vectors: number,
  images: readonly Local[],
  plane: Local,
  row: number,
  body: (
    place: Local,
    pixels: readonly Local[],
    channels: readonly Local[],
    inside: Inside,
  ) => Code,
  { clips = false, channelwise = [] }: {
    readonly clips?: boolean;
    readonly channelwise?: readonly Local[];
  } = {},
): Code {
  const [y, x, vector, place] = [f.i32(), f.i32(), f.i32(), f.i32()];
  const [lines, pixels] = [images.map(() => f.i32()), images.map(() => f.i32())];
  const channelPointers = channelwise.map(() => f.i32());
  const all = (to: readonly Local[], from: readonly Local[]) =>
    to.map((local, i) => set(local, get(from[i])));
  const tile = (inside: Inside): Code => [
    all(channelPointers, channelwise),
    repeat(vector, channels / 4 / vectors, [
      body(place, pixels, channelPointers, inside),
      [place, ...pixels, ...channelPointers].map((pointer) => advance(pointer, 16 * vectors)),
    ]),
    // From the end of one pixel's channels to the next tile's first pixel.
    pixels.map((pixel) => advance(pixel, (OUTPUT_TILE - 1) * channels * 4)),
  ];
  const lineOfTiles = (rows: number): Code => [
    all(pixels, lines),
    alongTiles(width, clips).map(({ count, inside }) =>
      repeat(x, count, [tile({ rows, columns: inside })])
    ),
    lines.map((line) => advance(line, OUTPUT_TILE * row)),
  ];
  return [
    all(lines, images),
    set(place, get(plane)),
    alongTiles(height, clips).map(({ count, inside }) => repeat(y, count, [lineOfTiles(inside)])),
  ];
}

/** Runs of tiles along an axis, and how many pixels of each are inside of the image. */
function alongTiles(extent: number, clips: boolean): { count: number; inside: number }[] {
  const [whole, rest] = [Math.floor(extent / OUTPUT_TILE), extent % OUTPUT_TILE];
  if (rest === 0) return [{ count: whole, inside: OUTPUT_TILE }];
  if (!clips) return [{ count: whole + 1, inside: OUTPUT_TILE }];
  const runs = [{ count: whole, inside: OUTPUT_TILE }, { count: 1, inside: rest }];
  return runs.filter(({ count }) => count > 0);
}

/**
 * Kernel (x, V): one image inside its zeros, whose rows are `row` bytes apart;
 * V at the image's first tile. `tiles` is the number in all planes' rows.
 */
export function inputTransformKernel(
  module: Module,
  multiplyAdd: MultiplyAdd,
  shape: ImageShape,
  row: number,
  tiles: number,
): FunctionReference {
  const name = `winograd input ${JSON.stringify([shape, row, tiles])}`;
  const plane = planeBytes(tiles, shape.channels);
  const vectors = sideBySide(module, shape.channels);
  return module.function(
    name,
    ["i32", "i32"],
    (f, x, v) =>
      forTiles(f, shape, vectors, [x], v, row, (place, [pixel]) =>
        transform2d(
          f,
          multiplyAdd,
          toPlaces,
          INPUT_TILE,
          INPUT_TILE,
          range(vectors).map((v) => ({
            read: (i, j) => load(pixel, i * row + j * shape.channels * 4 + 16 * v),
            write: (i, j, value) => [
              store(place, value, (i * INPUT_TILE + j) * plane + 16 * v),
            ],
          })),
        )),
  );
}

/** Kernel (M, y): one image's outputs from its tiles, added to what is there if asked. */
export function outputTransformKernel(
  module: Module,
  multiplyAdd: MultiplyAdd,
  shape: ImageShape,
  tiles: number,
  accumulate: boolean,
): FunctionReference {
  const name = `winograd output ${JSON.stringify([shape, tiles, accumulate])}`;
  const plane = planeBytes(tiles, shape.channels);
  const row = shape.width * shape.channels * 4;
  const vectors = sideBySide(module, shape.channels);
  return module.function(name, ["i32", "i32"], (f, m, y) => {
    const results = f.vectors(vectors);
    return forTiles(f, shape, vectors, [y], m, row, (place, [pixel], _, inside) =>
      transform2d(
        f,
        multiplyAdd,
        toOutputs,
        INPUT_TILE,
        OUTPUT_TILE,
        results.map((result, v) => ({
          read: (i, j) => load(place, (i * INPUT_TILE + j) * plane + 16 * v),
          write: clipped(inside, (i, j, value) => {
            const offset = i * row + j * shape.channels * 4 + 16 * v;
            return [
              set(result, accumulate ? add(load(pixel, offset), value) : value),
              store(pixel, get(result), offset),
            ];
          }),
        })),
      ), { clips: true });
  });
}

/**
 * Kernel (M, dx, y, z, partials, coefficients): one image's input gradient as
 * {@linkcode outputTransformKernel} makes it, masked and summed up as `maskKernel` in
 * `normalise.ts` does, while it is in registers. A tile's sums are added to the image's.
 */
export function maskedOutputTransformKernel(
  module: Module,
  multiplyAdd: MultiplyAdd,
  shape: ImageShape,
  tiles: number,
  accumulate: boolean,
  mask: MaskParts,
): FunctionReference {
  const name = `winograd masked output ${JSON.stringify([shape, tiles, accumulate, mask])}`;
  const { channels } = shape;
  const plane = planeBytes(tiles, channels);
  const row = shape.width * channels * 4;
  const vectors = sideBySide(module, channels);
  const types = Array<"i32">(6).fill("i32");
  return module.function(name, types, (f, m, dx, y, z, partials, coefficients) => {
    const parts = range(vectors).map(() => {
      const [gradient, mean, scale, shift, sum, product] = f.vectors(6);
      return { gradient, mean, scale, shift, sum, product };
    });
    return [
      fillZero(partials, int(2 * channels * 4)),
      forTiles(
        f,
        shape,
        vectors,
        [dx, y, z],
        m,
        row,
        (place, [to, output, input], [partial, layer], inside) => [
          inTurn(parts.map(({ sum, product, ...coefficients }, v) => [
            loadMaskCoefficients(mask, channels, coefficients, layer, 16 * v),
            set(sum, load(partial, 16 * v)),
            set(product, load(partial, channels * 4 + 16 * v)),
          ])),
          transform2d(
            f,
            multiplyAdd,
            toOutputs,
            INPUT_TILE,
            OUTPUT_TILE,
            parts.map((part, v) => ({
              read: (i, j) => load(place, (i * INPUT_TILE + j) * plane + 16 * v),
              write: clipped(inside, (i, j, value) => {
                const offset = i * row + j * channels * 4 + 16 * v;
                return [
                  set(part.gradient, accumulate ? add(load(to, offset), value) : value),
                  ...maskVector(multiplyAdd, mask, {
                    ...part,
                    y: load(output, offset),
                    z: load(input, offset),
                  }),
                  store(to, get(part.gradient), offset),
                ];
              }),
            })),
          ),
          inTurn(parts.map(({ sum, product }, v) => [
            store(partial, get(sum), 16 * v),
            store(partial, get(product), channels * 4 + 16 * v),
          ])),
        ],
        { clips: true, channelwise: [partials, coefficients] },
      ),
    ];
  });
}

/** Kernel (dy, dM): one image's output gradient, with rows `row` bytes apart. */
export function gradientTransformKernel(
  module: Module,
  multiplyAdd: MultiplyAdd,
  shape: ImageShape,
  row: number,
  tiles: number,
): FunctionReference {
  const name = `winograd gradient ${JSON.stringify([shape, row, tiles])}`;
  const plane = planeBytes(tiles, shape.channels);
  const vectors = sideBySide(module, shape.channels);
  return module.function(
    name,
    ["i32", "i32"],
    (f, dy, dm) =>
      forTiles(f, shape, vectors, [dy], dm, row, (place, [pixel]) =>
        transform2d(
          f,
          multiplyAdd,
          gradientToPlaces,
          OUTPUT_TILE,
          INPUT_TILE,
          range(vectors).map((v) => ({
            read: (i, j) => load(pixel, i * row + j * shape.channels * 4 + 16 * v),
            write: (i, j, value) => [
              store(place, value, (i * INPUT_TILE + j) * plane + 16 * v),
            ],
          })),
        )),
  );
}

/** Bytes from one of the 36 planes of U or dU to the next: not a power of two either. */
export function weightPlaneBytes(channels: number, filters: number): number {
  return channels * filters * 4 + 64;
}

/** Kernel (V, M, U): M[i] = V[i] U[i] for the 36 places, over all tiles. */
export function productsKernel(
  module: Module,
  multiplyAdd: MultiplyAdd,
  tiles: number,
  channels: number,
  filters: number,
): FunctionReference {
  const product = convolutionKernel(module, multiplyAdd, {
    taps: [0],
    inputChannels: channels,
    outputChannels: filters,
    height: 1,
    width: tiles,
    inputRowStep: 0,
    inputStep: channels * 4,
    outputRowStep: 0,
    outputStep: filters * 4,
    accumulate: false,
    bias: false,
  });
  const name = `winograd products ${tiles} ${channels} ${filters}`;
  return module.function(name, ["i32", "i32", "i32"], (f, v, m, u) => {
    const place = f.i32();
    return repeat(place, PLACES, [
      call(product, get(v), get(m), get(u), int(0)),
      advance(v, planeBytes(tiles, channels)),
      advance(m, planeBytes(tiles, filters)),
      advance(u, weightPlaneBytes(channels, filters)),
    ]);
  });
}

/** Kernel (V, dM, dU): dU[i] += V[i]^T dM[i] for the 36 places, over all tiles. */
export function gradientProductsKernel(
  module: Module,
  multiplyAdd: MultiplyAdd,
  tiles: number,
  channels: number,
  filters: number,
): FunctionReference {
  // The tiles as an image of a width that divides them: only the loop depends on it.
  const width = [4, 2, 1].find((width) => tiles % width === 0)!;
  const product = weightGradientKernel(module, multiplyAdd, {
    kernel: 1,
    stride: 1,
    inputChannels: channels,
    outputChannels: filters,
    height: tiles / width,
    width,
    inputRow: width * channels * 4,
    gradientRow: width * filters * 4,
  });
  const name = `winograd gradient products ${tiles} ${channels} ${filters}`;
  return module.function(name, ["i32", "i32", "i32"], (f, v, dm, du) => {
    const place = f.i32();
    return repeat(place, PLACES, [
      call(product, get(v), get(dm), get(du)),
      advance(v, planeBytes(tiles, channels)),
      advance(dm, planeBytes(tiles, filters)),
      advance(du, weightPlaneBytes(channels, filters)),
    ]);
  });
}

/** Kernel (master, U): the weights [tap][C][K] transformed, as the forward products read them. */
export function packForwardWinogradKernel(
  module: Module,
  multiplyAdd: MultiplyAdd,
  channels: number,
  filters: number,
): FunctionReference {
  const name = `winograd pack forward ${channels} ${filters}`;
  const plane = channels * filters * 4;
  const packedPlane = weightPlaneBytes(channels, filters);
  return module.function(name, ["i32", "i32"], (f, master, packed) => {
    const [block, channel] = [f.i32(), f.i32()];
    // The stream of a plane: blocks of 16 filters, then channels, then the 16.
    const blocks = (count: number, vectors: number) =>
      count === 0 ? [] : repeat(block, count, [
        repeat(channel, channels, [
          range(vectors).map((v) =>
            transform2d(
              f,
              multiplyAdd,
              weightsToPlaces,
              3,
              INPUT_TILE,
              [{
                read: (i, j) => load(master, (i * 3 + j) * plane + 16 * v),
                write: (i, j, value) => [
                  store(packed, value, (i * INPUT_TILE + j) * packedPlane + 16 * v),
                ],
              }],
            )
          ),
          advance(master, filters * 4),
          advance(packed, 16 * vectors),
        ]),
        set(master, iadd(master, int(TILE_CHANNELS * 4 - plane))),
      ]);
    const rest = filters % TILE_CHANNELS;
    return [
      blocks(Math.floor(filters / TILE_CHANNELS), TILE_CHANNELS / 4),
      blocks(rest === 0 ? 0 : 1, rest / 4),
    ];
  });
}

/** Kernel (master, U): turned by 180 degrees, c and k exchanged, for the input gradient. */
export function packBackwardWinogradKernel(
  module: Module,
  multiplyAdd: MultiplyAdd,
  channels: number,
  filters: number,
): FunctionReference {
  const name = `winograd pack backward ${channels} ${filters}`;
  const plane = channels * filters * 4;
  const packedPlane = weightPlaneBytes(channels, filters);
  return module.function(name, ["i32", "i32"], (f, master, packed) => {
    const [block, row, channel, from] = [f.i32(), f.i32(), f.i32(), f.i32()];
    const rows = f.vectors(4);
    // A plane's stream: blocks of 16 channels c, then filters k, then the 16 channels.
    const blocks = (count: number, vectors: number) =>
      count === 0 ? [] : repeat(block, count, [
        repeat(row, filters / 4, [
          set(from, get(master)),
          repeat(channel, vectors, [
            range(4).map((k) =>
              transform2d(
                f,
                multiplyAdd,
                weightsToPlaces,
                3,
                INPUT_TILE,
                [{
                  read: (i, j) => {
                    const tap = 8 - (i * 3 + j);
                    return [
                      rows.map((lane, c) => set(lane, load(from, tap * plane + c * filters * 4))),
                      transposed(rows, k),
                    ];
                  },
                  write: (i, j, value) => [
                    store(packed, value, (i * INPUT_TILE + j) * packedPlane + 16 * vectors * k),
                  ],
                }],
              )
            ),
            advance(from, 4 * filters * 4),
            advance(packed, 16),
          ]),
          advance(packed, 64 * vectors - 16 * vectors),
          advance(master, 16),
        ]),
        set(master, iadd(master, int((TILE_CHANNELS * filters - filters) * 4))),
      ]);
    const rest = channels % TILE_CHANNELS;
    return [
      blocks(Math.floor(channels / TILE_CHANNELS), TILE_CHANNELS / 4),
      blocks(rest === 0 ? 0 : 1, rest / 4),
    ];
  });
}

/** Kernel (dU, dw): adds the weight gradient [tap][C][K] and leaves dU zero. */
export function weightGradientTransformKernel(
  module: Module,
  multiplyAdd: MultiplyAdd,
  channels: number,
  filters: number,
): FunctionReference {
  const name = `winograd weight gradient ${channels} ${filters}`;
  const plane = channels * filters * 4;
  const placePlane = weightPlaneBytes(channels, filters);
  return module.function(name, ["i32", "i32"], (f, du, dw) => {
    const i = f.i32();
    return repeat(i, channels * filters / 4, [
      transform2d(
        f,
        multiplyAdd,
        placesToWeights,
        INPUT_TILE,
        3,
        [{
          read: (i, j) => load(du, (i * INPUT_TILE + j) * placePlane),
          write: (i, j, value) => {
            const offset = (i * 3 + j) * plane;
            return [store(dw, add(load(dw, offset), value), offset)];
          },
        }],
      ),
      range(PLACES).map((place) => store(du, float4(0), place * placePlane)),
      advance(du, 16),
      advance(dw, 16),
    ]);
  });
}
