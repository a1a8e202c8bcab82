/**
 * Says which class a network takes images for.
 *
 * `deno task predict --weights runs/resnet20-cifar10-seed0/weights.safetensors photo.jpg`
 */
import { PREPROCESSINGS } from "../audit/mod.ts";
import { attempt, writeWhole } from "../files/mod.ts";
import { predict as predicted } from "../reports/predict/mod.ts";
import { cacheOption } from "./_arguments.ts";
import { choice, COMMON, type FlagValues, text, UsageError } from "./_flags.ts";
import { main, type Outcome } from "./_main.ts";
import { requireApart, requirePlaces } from "./_place.ts";
import { DATA_FLAGS, PADDING_FLAG } from "./_training_flags.ts";

const FLAGS = {
  weights: text("FILE", "the network: any file that audit reads, or a run's weights.safetensors"),
  preprocess: choice(
    PREPROCESSINGS,
    "what the weights were trained on; a run's own says, else per-pixel",
  ),
  html: text("FILE", "write a page with the images as well"),
  ...PADDING_FLAG,
  ...DATA_FLAGS,
  data: text(
    "PATH",
    "folder or .tar.gz archive of the data set's binary version; the cache's by default",
  ),
  ...COMMON,
} as const;

const command = {
  usage: "deno task predict",
  summary:
    "Says which class a network takes images for: the five likeliest, with their probabilities.\n" +
    "JPEG, PNG and WebP files are read. Of each the largest square in its middle is taken and made as\n" +
    "small as the network's input by a weighted mean (Pillow's BILINEAR). A preprocessing that is\n" +
    "measured on training images needs the data set that the network was trained on.",
  positional: "IMAGE...",
  flags: FLAGS,
} as const;

async function predict(flags: FlagValues<typeof FLAGS>, ...paths: string[]): Promise<Outcome> {
  const { weights, preprocess, dataset, data, html } = flags;
  if (weights === undefined || paths.length === 0) {
    throw new UsageError(
      `${command.usage} needs --weights FILE and an image. See ${command.usage} --help`,
    );
  }
  await requirePlaces(html);
  await requireApart([weights, ...paths], html);
  const { text, json, page } = await predicted(weights, paths, {
    ...{ preprocess, dataset, zeroChannels: flags["shortcut-padding"] },
    from: data === undefined ? cacheOption() : { path: data },
  });
  if (html !== undefined) await attempt("write", html, () => writeWhole(html, page()));
  return { text, json };
}

if (import.meta.main) await main(command, predict);
