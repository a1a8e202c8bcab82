/** Sets that are larger than memory: their images come a part at a time, as engines are fed them. */
import type { ByteImages } from "../engine/mod.ts";
import type { MeasuredNormalisation, NormalisationSettings } from "./normalisation.ts";

/** Images that were read together. */
export interface StreamedPart {
  /** Those that could be read, in the order in which they were asked for. */
  readonly images: ByteImages;
  /** Their positions in the set. */
  readonly indices: Uint32Array;
  /** [N, C], of pixels in 0..1: what is added to the channels of each; none where nothing is. */
  readonly shifts?: Float32Array;
  /** Files that could not be read, where that is let pass. */
  readonly faults: readonly StreamedFault[];
}

/** A file that was left out. */
export interface StreamedFault {
  /** Below the set's folder. */
  readonly path: string;
  /** What was wrong with it. */
  readonly reason: string;
}

/** Where images come from that are never all in memory. */
export interface ImageStream extends Disposable {
  /**
   * The images of a training step, cut and mirrored as the recipe has it: a pure function of the
   * seed, the iteration and the files. The batches after it are made while a step computes, as long
   * as no more than a few wait.
   *
   * @param iteration From 1.
   * @param plan Positions of the images of any iteration; undefined after the last.
   */
  batch(
    iteration: number,
    plan: (iteration: number) => Uint32Array | undefined,
  ): Promise<StreamedPart>;
  /**
   * Images as they are tested, in parts of {@linkcode ImageStream.window}; a part of which none can
   * be read is empty.
   */
  tested(set: "train" | "test", indices?: Uint32Array): AsyncIterable<StreamedPart>;
  /** Most images of a part that is tested. */
  readonly window: number;
  /** Images that it gave, made small for people to look at. */
  thumbnails(images: ByteImages): ByteImages;
  /**
   * What is subtracted and what divides; what is measured is measured on all training images, unless
   * it is known from an earlier time.
   *
   * @param signal Ends the measuring: its reason is thrown.
   */
  measure(settings: NormalisationSettings, signal?: AbortSignal): Promise<MeasuredNormalisation>;
}
