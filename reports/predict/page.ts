/** What a network says of single images, as a page. */
import { percent } from "../../text/mod.ts";
import type { Block } from "../page/blocks.ts";
import { renderHtml } from "../page/html.tsx";
import { pngUri } from "../run/_image.ts";

/** An image of red, green and blue bytes, [H, W, 3]. */
export interface ShownImage {
  /** H, in pixels. */
  readonly height: number;
  /** W, in pixels. */
  readonly width: number;
  /** [H, W, 3], 0..255. */
  readonly pixels: Uint8Array;
}

/** What was predicted for one image. */
export interface Prediction {
  /** The file. */
  readonly image: string;
  /** The likeliest classes, the first first. */
  readonly top: readonly {
    readonly label: number;
    readonly class: string;
    /** 0 to 1. */
    readonly probability: number;
  }[];
  /** The part of it that the network looks at, in a size that people can see. */
  readonly shown: ShownImage;
  /** What the network looks at. */
  readonly input: ShownImage;
}

/**
 * A page with each image, what the network sees of it, and the likeliest classes.
 *
 * @param network Its name.
 * @param predictions In the order of the page.
 * @param notes What one must know of how they were made.
 * @returns HTML that requests nothing.
 */
export function predictionPage(
  network: string,
  predictions: readonly Prediction[],
  notes: readonly string[],
): string {
  const images = predictions.map(({ image, top, shown, input }) => ({
    ...{ source: pngUri(shown, shown.pixels), alt: `${image}, the part that is looked at` },
    beside: { source: pngUri(input, input.pixels), alt: "what the network sees" },
    lines: [
      { code: image },
      ...top.map(({ class: name, probability }) => `${percent(probability)} ${name}`),
    ],
  }));
  const head: Block[] = notes.map((text) => ({ kind: "text", text, muted: true }));
  return renderHtml({
    ...{ eyebrow: "Predictions of", title: network, head },
    body: [{ kind: "images", images }],
  });
}
