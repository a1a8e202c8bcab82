/** Images of a run: the test images it is most wrongly sure of, and what augmentation made. */
import type { ImageSample } from "../../log/mod.ts";
import { percent, short } from "../../text/mod.ts";
import { type Block, heading, type Line } from "../page/blocks.ts";
import { pngUri } from "./_image.ts";
import type { Subject } from "./subject.ts";

/** Larger images are photographs, and are shown as such. */
const SMALL = 64;

type SampleImage = ImageSample["images"][number];

/** The sections of the samples that the run has. */
export function samples({ run: { start, worstMistakes, augmentedSample } }: Subject): Block[] {
  const { classes, data } = start;
  const mistakes = worstMistakes && images(
    worstMistakes,
    ({ index, label, prediction, confidence, labelProbability }) => {
      const taken = prediction === undefined ? "unknown" : classes[prediction];
      return {
        alt: `Test image ${index}: ${classes[label]}, taken for ${taken}`,
        lines: mistakeLines(classes[label], taken, confidence, labelProbability),
      };
    },
  );
  const augmented = augmentedSample && images(
    augmentedSample,
    ({ index, label, cropY, cropX, flip }) => {
      const how = [
        cropY !== undefined && cropX !== undefined && `crop ${cropY}, ${cropX}`,
        flip && "mirrored",
      ].filter(Boolean).join("; ");
      return {
        alt: `Training image ${index}: ${classes[label]}${how && `, ${how}`}`,
        lines: [short(classes[label]), { muted: how }],
      };
    },
  );
  const onPurpose = data.errorFloor === undefined
    ? ""
    : ` The built-in set has ${
      percent(data.errorFloor)
    } of its test labels wrong on purpose: where a net is sure and the picture plainly shows its prediction, it is the label that is wrong.`;
  return [
    ...(mistakes
      ? [
        heading(2, "Worst mistakes"),
        {
          kind: "text" as const,
          muted: true,
          text:
            `Test images that were misclassified with the highest confidence: label → prediction, with the softmax probability of the prediction.${onPurpose}`,
        },
        mistakes,
      ]
      : []),
    ...(augmented
      ? [
        heading(2, "Augmented training images"),
        {
          kind: "text" as const,
          muted: true,
          text: "As the network saw them: the crop's top and left edge in pixels.",
        },
        augmented,
      ]
      : []),
  ];
}

/** What is said of a mistake: what was taken for what, how surely, and how likely it was itself. */
export function mistakeLines(
  label: string,
  taken: string,
  confidence: number | undefined,
  labelProbability: number | undefined,
): Line[] {
  return [
    [
      `${short(label)} → ${short(taken)}`,
      ...(confidence === undefined ? [] : [{ muted: ` (${percent(confidence, 1)})` }]),
    ],
    ...(labelProbability === undefined
      ? []
      : [{ muted: `${short(label)}: ${percent(labelProbability, 1)}` }]),
  ];
}

function images(
  sample: ImageSample,
  say: (image: SampleImage) => { readonly alt: string; readonly lines: readonly Line[] },
): Block {
  return {
    kind: "images",
    large: sample.height > SMALL,
    images: sample.images.map((image) => ({
      source: pngUri(sample, image.pixels),
      ...say(image),
    })),
  };
}
