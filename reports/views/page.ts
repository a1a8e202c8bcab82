/** A test on a folder of photographs as a page: errors, confusions, and the surest mistakes. */
import {
  type PhotographIndex,
  type ReadingRules,
  readPhotograph,
  resample,
  type RgbImage,
} from "../../data/photographs/mod.ts";
import { number, quote, short } from "../../text/mod.ts";
import { type Block, heading, type Line, type Report } from "../page/blocks.ts";
import { renderHtml } from "../page/html.tsx";
import { pngUri } from "../run/_image.ts";
import { type ConfusedPair, pairsTable } from "../run/classes.ts";
import { errorBlock, topFiveInWords } from "../run/headline.ts";
import { testErrorOf } from "../run/result.ts";
import { mistakeLines } from "../run/samples.ts";

/** Sides of a thumbnail, at most, in pixels. */
const THUMBNAIL = 96;

/** How often photographs of a class were taken for another. */
export type Confusion = ConfusedPair;

/** A photograph that the network was sure of, and wrong. */
export interface SureMistake {
  /** Its place in the index's photographs. */
  readonly place: number;
  /** Its class, as people say it. */
  readonly label: string;
  /** What the network took it for. */
  readonly taken: string;
  /** The mean softmax score of what it was taken for, 0 to 1. */
  readonly confidence: number;
  /** That of its class. */
  readonly labelProbability: number;
}

/** What a test on photographs found. */
export interface TestedViews {
  /** The network's name. */
  readonly network: string;
  /** What was shown of each photograph. */
  readonly view: string;
  /** Which photographs. */
  readonly index: PhotographIndex;
  /** How they were read, and are again for their thumbnails. */
  readonly rules: ReadingRules;
  /** Photographs that were scored. */
  readonly images: number;
  /** Those of them that were wrong. */
  readonly errors: number;
  /** Without their class among the five likeliest; undefined where there are few classes. */
  readonly errors5?: number;
  /** The most frequent confusions, the most frequent first. */
  readonly confused: readonly Confusion[];
  /** The surest mistakes, the surest first. */
  readonly mistakes: readonly SureMistake[];
  /** What else one must know, by name. */
  readonly facts: readonly (readonly [name: string, value: Line])[];
}

/**
 * The page. Thumbnails are made for it out of the folder's files; of one that has gone or was
 * altered since the test it says so.
 *
 * @param tested What was found.
 * @returns HTML that requests nothing.
 */
export async function viewsPage(tested: TestedViews): Promise<string> {
  const { network, view, images, errors, errors5, confused, facts } = tested;
  const topFive = testErrorOf(errors5, images);
  const head: Block[] = [
    errorBlock(testErrorOf(errors, images)!, `test error (top-1), ${view}`, "photographs wrong"),
    {
      kind: "facts",
      facts: [
        ...(topFive ? [["Top-5 test error", topFiveInWords(topFive)] as const] : []),
        ...facts,
      ],
    },
  ];
  const report: Report = {
    ...{ eyebrow: "Test on photographs", title: network, head },
    body: [
      ...(confused.length > 0
        ? [
          heading(2, "Classes"),
          pairsTable(confused, "The most frequent confusions", "Photographs"),
        ]
        : []),
      ...await surest(tested),
    ],
  };
  return renderHtml(report);
}

async function surest({ mistakes, index, rules }: TestedViews): Promise<Block[]> {
  if (mistakes.length === 0) return [];
  const shown = [];
  const gone: string[] = [];
  for (const { place, label, taken, confidence, labelProbability } of mistakes) {
    const { path } = index.photographs[place];
    try {
      const image = thumbnail(await readPhotograph(index, place, rules));
      shown.push({
        source: pngUri(image, image.pixels),
        alt: `${path}: ${label}, taken for ${taken}`,
        lines: [...mistakeLines(label, taken, confidence, labelProbability), {
          muted: shortPath(path),
        }],
      });
    } catch (error) {
      if (error instanceof Deno.errors.NotCapable) throw error;
      gone.push(
        `${quote(path)} (${label}, taken for ${taken}) can't be shown: ${(error as Error).message}`,
      );
    }
  }
  return [
    heading(2, "Surest mistakes"),
    {
      kind: "text",
      muted: true,
      text: `The ${
        number(mistakes.length)
      } photographs that were wrong with the highest score: class → what it was taken for, with the softmax score of that, then that of the class.`,
    },
    ...(gone.length > 0 ? [{ kind: "list" as const, items: gone }] : []),
    { kind: "images", large: true, images: shown },
  ];
}

/** A path of which no part takes a page of its own. */
function shortPath(path: string): string {
  return path.split("/").map(short).join("/");
}

/** An image that is no larger than a thumbnail. */
function thumbnail(image: RgbImage): RgbImage {
  const share = THUMBNAIL / Math.max(image.height, image.width);
  if (share >= 1) return image;
  const scaled = (side: number) => Math.max(1, Math.round(side * share));
  return resample(image, scaled(image.height), scaled(image.width));
}
