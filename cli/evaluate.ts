/**
 * Measures the test error of a weight file: of a run of ours or of anybody's.
 *
 * `deno task evaluate --weights resnet20.th --preprocess imagenet --shortcut-padding split`
 */
import { PAPER_DATASET } from "../paper/mod.ts";
import { createHash } from "node:crypto";
import { loadDataset } from "../data/mod.ts";
import { chooseEngine, engineFactories, selfTest } from "../engine/mod.ts";
import { architecture, fitWeights, zeros } from "../resnet/mod.ts";
import { identityOf, weightsOf } from "../train/mod.ts";
import { paper } from "../recipes/mod.ts";
import { choice, COMMON, type FlagValues, text, UsageError } from "./_flags.ts";
import { CommandError, main, type Outcome } from "./_main.ts";
import { normalisationFor, PREPROCESS } from "./_preprocess.ts";
import { number as count, percent } from "../text/mod.ts";
import { ProgressPrinter } from "./_progress.ts";
import { DATA_FLAGS, ENGINE_FLAGS, PADDING_FLAG } from "./_training_flags.ts";
import { inferArchitecture, readWeights } from "./_weights.ts";

const FLAGS = {
  weights: text("FILE", "the weights: safetensors, or a file of torch.save"),
  arch: text("NAME", "the network; told from the file's names and shapes by default"),
  preprocess: choice(PREPROCESS, "what the weights were trained on; per-pixel by default"),
  ...PADDING_FLAG,
  ...DATA_FLAGS,
  ...ENGINE_FLAGS,
  ...COMMON,
} as const;

const command = {
  usage: "deno task evaluate",
  summary: "Measures the test error of a weight file. Files of our own runs say how they were\n" +
    "trained; for others, state the preprocessing and the shortcut's padding.",
  flags: FLAGS,
} as const;

async function evaluate(flags: FlagValues<typeof FLAGS>): Promise<Outcome> {
  if (flags.weights === undefined) {
    throw new UsageError(`${command.usage} needs --weights FILE. See ${command.usage} --help`);
  }
  const file = await readWeights(flags.weights);
  const tensors = weightsOf(file.tensors);
  const identity = identityOf(file.metadata);
  const { name, shortcut, classes } = identity
    ? { ...identity.recipe.architecture, classes: identity.classes }
    : inferArchitecture(tensors, flags.weights);
  const zeroChannels = flags["shortcut-padding"] ??
    (identity?.recipe ?? paper(name)).architecture.zeroChannels;

  const printer = new ProgressPrinter();
  const set = flags.dataset ?? identity?.recipe.data.set ?? PAPER_DATASET;
  const dataset = await loadDataset(set, {
    ...(flags.data === undefined ? {} : { path: flags.data }),
    onProgress: (progress) => printer.download(progress),
  });
  if (classes !== dataset.test.classes) {
    throw new CommandError(
      `${flags.weights} tells ${classes} classes apart, ${set} has ${dataset.test.classes}. Choose another --dataset`,
    );
  }
  const { height, width, channels } = dataset.test;
  const inputShape = [height, width, channels];
  const arch = flags.arch ?? name;
  const graph = architecture(arch, { shortcut, zeroChannels, classes, inputShape });
  const weights = fitWeights(graph, tensors, flags.weights);
  const measured = normalisationFor(dataset, identity, flags.preprocess);
  printer.line(`${arch} with ${measured.of}; zero channels: ${zeroChannels}`);
  if (identity && !flags.preprocess && measured.sha256 !== identity.meanSha256) {
    printer.line("warning: the mean measured on this data is not the one of the weights' training");
  }

  const { factory, reason } = await chooseEngine(flags.engine ?? "auto", engineFactories);
  await selfTest(factory);
  const { optimiser, batchNorm } = identity?.recipe ?? paper(name);
  if (optimiser.kind !== "sgd") {
    throw new CommandError(`engines know the optimiser "sgd", found "${optimiser.kind}"`);
  }
  const engine = await factory.create({
    ...{ graph, batchSize: 128, sgd: optimiser, batchNorm, cropPadding: 0 },
    ...(flags.threads === undefined ? {} : { threads: flags.threads }),
    ...(flags.convolution === undefined ? {} : { convolution: flags.convolution }),
  });
  try {
    printer.line(`engine ${engine.name} (${engine.device.summary}), ${reason}`);
    await engine.load({
      train: dataset.train,
      test: dataset.test,
      normalisation: measured.normalisation,
    });
    await engine.importState({ iteration: 0, weights, momentum: zeros(graph) });
    const { images, errors, loss } = await engine.evaluate("test");
    const error = errors / images;
    return {
      text: [
        ...(dataset.notice ? [dataset.notice] : []),
        `${percent(error)} (${count(errors)} of ${count(images)} wrong)`,
      ].join("\n"),
      json: {
        ...{ error, errors, images, loss, dataset: set, notice: dataset.notice },
        ...{ architecture: { name: arch, shortcut, zeroChannels, classes } },
        ...{ preprocess: measured.of, engine: engine.name, device: engine.device },
        weights: {
          path: flags.weights,
          format: file.format,
          sha256: createHash("sha256").update(file.bytes).digest("hex"),
        },
      },
    };
  } finally {
    engine.dispose();
  }
}

if (import.meta.main) await main(command, evaluate);
