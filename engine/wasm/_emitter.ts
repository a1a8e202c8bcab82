/**
 * What the emission of the program shares: functions that run over a thread's
 * images, the addresses of what they work on, and {@link Segments}.
 */
import type { EngineOptions } from "../engine.ts";
import type { PlanTensor } from "../plan.ts";
import { CONTROL } from "./_control.ts";
import type { Layout } from "./_layout.ts";
import type { Clock, KernelGroup } from "./_clock.ts";
import {
  advance,
  call,
  type Code,
  copyBytes,
  forRange,
  type FunctionReference,
  get,
  iadd,
  idiv,
  imul,
  int,
  isub,
  loadInt,
  type Local,
  minimum,
  type Module,
  type MultiplyAdd,
  repeat,
  set,
  storeInt,
} from "./assembler.ts";
import { range } from "./kernels/convolution.ts";
import { PLAN_WORDS } from "./kernels/input.ts";
import type { ImageShape } from "./kernels/normalise.ts";
import { tilesOf } from "./kernels/winograd.ts";

/** Variables of a function that works on images: which, and the thread's own memory. */
export interface Frame {
  readonly thread: Local;
  readonly image: Local;
  /** First image of the block that is worked on. */
  readonly block: Local;
  /** First image of the group that shares a product. */
  readonly group: Local;
  readonly scratch: Local;
  readonly coefficients: Local;
  readonly storage: Local;
}

export type ImageCode = (frame: Frame) => Code;

/** Where a plan's tensors are, of the image that is worked on; `stride` bytes to the next one's. */
export type Place = ((tensor: PlanTensor) => ImageCode) & { readonly stride: number };

/** Code for a group of so many images that share a product; `each` runs a body for each. */
export type GroupCode = (
  frame: Frame,
  each: (body: (slot: Code) => Code) => Code,
  count: Code,
) => Code;

/** Work on every image, one at a time or in groups. */
export type Work = ImageCode | { readonly images: number; readonly code: GroupCode };

/** A profile's clock, and the import through which the emitted code calls it. */
export interface Timing {
  readonly clock: Clock;
  readonly lap: FunctionReference;
}

/** Emits functions for one network into one module. */
export class Emitter {
  constructor(
    readonly module: Module,
    readonly multiplyAdd: MultiplyAdd,
    readonly options: EngineOptions,
    readonly layout: Layout,
    readonly timing?: Timing,
  ) {}

  /** Code whose time a profile adds to a group; `operations` are those of its products. */
  timed(group: KernelGroup, code: Code, operations = 0): Code {
    if (!this.timing) return code;
    const { clock, lap } = this.timing;
    return [code, call(lap, int(clock.counter(group, operations)))];
  }

  /**
   * A function (thread): `before` once, `work` on the thread's images, `after` once.
   *
   * @param backwards From the last image to the first.
   */
  overImages(
    name: string,
    before: readonly ImageCode[],
    work: readonly Work[],
    after: readonly ImageCode[] = [],
    backwards = false,
  ): FunctionReference {
    const { layout } = this;
    const step = Math.max(1, ...work.map(imagesOf));
    return this.module.function(name, ["i32"], (f, thread) => {
      const [image, block, scratch, coefficients, storage] = range(5).map(() => f.i32());
      const [first, end, lastBlock, turn, blockEnd, group, groupEnd] = range(7).map(() => f.i32());
      const [from, to] = range(2).map(() => f.i32());
      const frame = { thread, image, block, group, scratch, coefficients, storage };
      const own = (local: Local, base: number, stride: number) =>
        set(local, iadd(int(base), imul(thread, int(stride))));
      const share = (index: Code) =>
        idiv(imul(index, loadInt(int(CONTROL.images))), int(layout.threads));
      const inGroups = ({ images, code }: Exclude<Work, ImageCode>) => {
        const each = (body: (slot: Code) => Code) =>
          forRange(image, get(group), groupEnd, 1, body(isub(image, group)));
        return forRange(group, get(from), to, images, [
          set(groupEnd, minimum(iadd(group, int(images)), to)),
          code(frame, each, isub(groupEnd, group)),
        ]);
      };
      // Neighbours that work image by image share a loop: the image is in cache.
      const inTurn = (parts: readonly Work[]) => {
        const loops: Code[] = [];
        let single: Code[] = [];
        const flush = () => {
          if (single.length > 0) loops.push(forRange(image, get(from), to, 1, single));
          single = [];
        };
        for (const part of parts) {
          if (typeof part === "function") single.push(part(frame));
          else {
            flush();
            loops.push(inGroups(part));
          }
        }
        flush();
        return loops;
      };
      // Where large groups stand beside small ones, those work a part of the block at a time.
      const loops = runsOf(work).map(({ parts, images }) => [
        set(from, get(block)),
        images === step ? [set(to, get(blockEnd)), inTurn(parts)] : forRange(
          from,
          get(block),
          blockEnd,
          images,
          [set(to, minimum(iadd(from, int(images)), blockEnd)), inTurn(parts)],
        ),
      ]);
      return [
        own(scratch, layout.scratch, layout.scratchStride),
        own(coefficients, layout.coefficients, layout.coefficientStride),
        own(storage, layout.inferenceStorage, layout.inferenceStride * layout.inferenceImages),
        before.map((code) => code(frame)),
        work.length === 0 ? [] : [
          set(first, share(get(thread))),
          set(end, share(iadd(thread, int(1)))),
          set(lastBlock, isub(isub(end, first), int(1))),
          set(lastBlock, iadd(first, imul(idiv(lastBlock, int(step)), int(step)))),
          forRange(turn, get(first), end, step, [
            set(block, backwards ? iadd(first, isub(lastBlock, turn)) : get(turn)),
            set(blockEnd, minimum(iadd(block, int(step)), end)),
            loops,
          ]),
        ],
        after.map((code) => code(frame)),
      ];
    });
  }

  /** A tensor of the training plan, of the image that is worked on. */
  get at(): Place {
    const { storage, storageStride } = this.layout;
    const at = (tensor: PlanTensor): ImageCode => ({ image }) =>
      iadd(int(storage + 4 * tensor.offset), imul(image, int(storageStride)));
    return Object.assign(at, { stride: storageStride });
  }

  /** A batch-norm layer's coefficients of the thread. */
  coefficients(layer: string): ImageCode {
    const offset = this.layout.coefficientOffsets.get(layer)!;
    return ({ coefficients }) => iadd(coefficients, int(offset));
  }

  /** A batch-norm layer's sums over the image. */
  partials(layer: string, channels: number): ImageCode {
    const base = this.layout.partials.get(layer)!;
    return ({ image }) => iadd(int(base), imul(image, int(2 * channels * 4)));
  }

  /** A parameter or a running statistic. */
  address(parameter: string): number {
    return this.layout.parameters.get(parameter)!.address;
  }

  /** A parameter's gradient of the thread. */
  gradient(address: number): ImageCode {
    const { gradientOffset, gradientStride } = this.layout;
    return ({ thread }) => iadd(int(address + gradientOffset), imul(thread, int(gradientStride)));
  }

  /** Addresses of the thread's three sets of transformed tiles. */
  tileScratch(): ImageCode[] {
    return this.layout.tileScratch.map((offset) => ({ scratch }: Frame) =>
      iadd(scratch, int(offset))
    );
  }

  /** The image's entry of the batch plan. */
  planEntry({ image }: Frame): Code {
    return iadd(int(this.layout.planWords), imul(image, int(PLAN_WORDS * 4)));
  }
}

/** Images that are worked together. */
function imagesOf(work: Work): number {
  return typeof work === "function" ? 1 : work.images;
}

/** Groups up to this size may share a block. */
const SMALL_GROUP = 16;

/** Neighbours whose groups are all small or all large, and the largest of each. */
function runsOf(work: readonly Work[]): { parts: Work[]; images: number }[] {
  const runs: { parts: Work[]; images: number }[] = [];
  for (const part of work) {
    const [last, images] = [runs.at(-1), imagesOf(part)];
    if (last && images > SMALL_GROUP === last.images > SMALL_GROUP) {
      last.parts.push(part);
      last.images = Math.max(last.images, images);
    } else runs.push({ parts: [part], images });
  }
  return runs;
}

/** An address of a group's first image, where none is worked on. */
export function ofFirst(code: ImageCode): ImageCode {
  return (frame) => code({ ...frame, image: frame.group });
}

/** Splits per-image code at the points where a sum over the batch is needed. */
export class Segments {
  readonly functions: FunctionReference[] = [];
  #work: Work[] = [];
  #last: ImageCode[] = [];
  /** What every thread computes at the start of the next segment. */
  #start: ImageCode[] = [];
  #pending: { readonly layer: string; readonly code: ImageCode }[] = [];

  constructor(
    readonly emitter: Emitter,
    readonly name: string,
    readonly barrier: FunctionReference,
  ) {}

  /** Work on each image. */
  add(work: Work): void {
    this.#work.push(work);
  }

  /** Code for each thread after its images; at most once a segment. */
  last(code: ImageCode): void {
    this.#last.push(code);
  }

  /** Ends the segment if it has code for after the images. */
  beforeLast(): void {
    if (this.#last.length > 0) this.end();
  }

  /** A layer's sums that the images so far add to, and what to make of them once complete. */
  sum(layer: string, code: ImageCode): void {
    this.#pending.push({ layer, code });
  }

  /** What follows reads the layer's sums. */
  needs(layer: string): void {
    if (this.#pending.some((pending) => pending.layer === layer)) this.end();
  }

  end(): void {
    const ends = this.#pending.length > 0;
    if (this.#work.length > 0 || this.#start.length > 0) {
      const last = [...this.#last, ...(ends ? [() => call(this.barrier)] : [])];
      const name = `${this.name} ${this.functions.length}`;
      // To and fro: the images that come first are those that the segment before left in cache.
      const backwards = this.functions.length % 2 === 1;
      this.functions.push(
        this.emitter.overImages(name, this.#start, this.#work, last, backwards),
      );
    }
    this.#start = this.#pending.map(({ code }) => code);
    this.#work = [];
    this.#last = [];
    this.#pending = [];
  }

  /** The functions, in order; sums that nothing needed are completed too. */
  finish(): FunctionReference[] {
    this.end();
    this.end();
    return this.functions;
  }
}

/** Address of an image's tiles in a plane that several images share. */
export function tilesOfSlot(plane: Code, slot: Code, image: ImageShape): Code {
  return iadd(plane, imul(slot, int(tilesOf(image) * image.channels * 4)));
}

/** Kernel (from, to): copies rows of `bytes` to where rows are `row` bytes apart. */
export function padKernel(
  module: Module,
  height: number,
  bytes: number,
  row: number,
): FunctionReference {
  return module.function(`pad ${height} ${bytes} ${row}`, ["i32", "i32"], (f, from, to) => {
    const y = f.i32();
    return repeat(y, height, [
      copyBytes(to, from, int(bytes)),
      advance(from, bytes),
      advance(to, row),
    ]);
  });
}

/** Bytes that a processor fetches at a time, on most of them. */
const CACHE_LINE = 64;
const FETCHED_AT_ONCE = 8;

/**
 * Kernel (from): reads a word of each of an image's cache lines, for a kernel that goes on to
 * visit them in tiles. Lines that miss wait for each other there; here many are under way.
 */
export function fetchKernel(module: Module, image: ImageShape): FunctionReference {
  const bytes = image.height * image.width * image.channels * 4;
  const lines = Math.ceil(bytes / CACHE_LINE);
  return module.function(`fetch ${bytes}`, ["i32"], (f, from) => {
    const [i, sum] = [f.i32(), f.i32()];
    const read = (count: number) => [
      range(count).map((line) => set(sum, iadd(sum, loadInt(from, CACHE_LINE * line)))),
      advance(from, CACHE_LINE * count),
    ];
    const turns = Math.floor(lines / FETCHED_AT_ONCE);
    return [
      turns === 0 ? [] : repeat(i, turns, read(FETCHED_AT_ONCE)),
      read(lines % FETCHED_AT_ONCE),
      // What nobody needs would not be read at all.
      storeInt(int(CONTROL.fetched), get(sum)),
    ];
  });
}
