/** `evaluate --view`: weights on a folder of photographs. */
import { classesOf, type Model, type Runnable } from "../audit/mod.ts";
import { cacheOption } from "./_arguments.ts";
import { hasTopFive, IMAGENET, isAmongFive, PHOTOGRAPHS, rankOf } from "../data/mod.ts";
import {
  AS_TORCHVISION,
  type BrokenFile,
  IMAGENET_CLASSES,
  indexPhotographs,
  namesOf,
  type PhotographIndex,
  SCALES,
  scorePhotographs,
  spokenClass,
  validationFolder,
  VIEWS,
  type ViewSizes,
} from "../data/photographs/mod.ts";
import { chooseEngine, engineFactories, selfTest } from "../engine/mod.ts";
import { attempt, readWholeText, writeWhole } from "../files/mod.ts";
import { paper, type Recipe } from "../recipes/mod.ts";
import { type Confusion, type SureMistake, viewsPage } from "../reports/views/mod.ts";
import { fitWeights } from "../resnet/mod.ts";
import { number, percent, quote, short } from "../text/mod.ts";
import { choice, type FlagValues, text, UsageError } from "./_flags.ts";
import { CommandError, type Outcome } from "./_main.ts";
import { TOLD_EVERY } from "./_photographs.ts";
import { ProgressPrinter } from "./_progress.ts";
import { type ENGINE_FLAGS, folderFlags } from "./_training_flags.ts";

/** Of a folder of photographs. */
export const VIEW_FLAGS = {
  view: choice(
    VIEWS,
    "test on a folder of photographs (--data), a folder for each class: what is shown of each",
  ),
  classes: text("FILE", "with --view: the classes' folders in the order of the network's outputs"),
  ...folderFlags("with --view"),
  html: text("FILE", "with --view: write errors, confusions and the surest mistakes as a page"),
} as const;

type Flags =
  & FlagValues<typeof VIEW_FLAGS>
  & FlagValues<typeof ENGINE_FLAGS>
  & {
    readonly data?: string;
    readonly preprocess?: string;
    readonly weights?: string;
    readonly mode?: string;
    readonly dataset?: string;
  };

/** How many pairs of classes, and how many skipped files, are told of. */
const TOLD = 5;
/** How many of the surest mistakes, and of the pairs, a page shows. */
const SHOWN = 24;

/** @throws {UsageError} If flags were given that `--view` has no use for, or needs. */
export function requireViewFlags(flags: Flags): void {
  if (flags.view === undefined) {
    const alone = ["classes", "broken", "links", "orientation", "html", "index"] as const;
    const stray = alone.find((name) => flags[name] !== undefined);
    if (stray) throw new UsageError(`--${stray} goes with --view ${VIEWS.join("|")}`);
    return;
  }
  if (flags.data === undefined) {
    throw new UsageError("--view needs --data FOLDER, with a folder of photographs for each class");
  }
  if (flags.dataset !== undefined || flags.mode === "train") {
    throw new UsageError(
      `--view tests on the photographs of --data, as a test does: leave out ${
        flags.dataset === undefined ? "--mode train" : "--dataset"
      }`,
    );
  }
  if (flags.preprocess !== undefined && flags.preprocess !== "imagenet") {
    throw new UsageError(
      `--view prepares photographs by ImageNet's channel means and deviations (imagenet), as torchvision's weights were trained; found --preprocess ${flags.preprocess}`,
    );
  }
}

/** Tests weights on photographs. */
export async function evaluateViews(
  flags: Flags,
  { sha256, identity, classes, preparation }: Model,
  { graph, weights, epsilon, inputTransform }: Runnable["network"],
): Promise<Outcome> {
  const printer = new ProgressPrinter();
  const { view = "1-crop", broken = "refuse", links } = flags;
  const folder = await validationFolder(flags.data!);
  if (inputTransform) {
    throw new CommandError(
      `${flags.weights} prepares its images by itself, which --view does not do twice. Give the weights alone, in PyTorch's format or as safetensors`,
    );
  }
  const trained = identity?.recipe.data;
  if (preparation && flags.preprocess !== undefined) {
    throw new CommandError(
      `${flags.weights} was trained with another preparation (${preparation.of}) than --preprocess ${flags.preprocess}, and holds it: leave out --preprocess`,
    );
  }
  if (trained && !preparation && !(trained.mean === "imagenet" && trained.std === "imagenet")) {
    throw new CommandError(
      `${flags.weights} was trained with another preparation (mean ${trained.mean}, deviation ${trained.std}) than ImageNet's published channel means and deviations, and does not hold it: figures of --view would be wrong. The run's own report has its error`,
    );
  }
  const index = await indexPhotographs(folder, {
    ...{ broken, links },
    ...(flags.index === undefined ? cacheOption() : { index: flags.index }),
    onProgress: (done, of) => {
      if (done % TOLD_EVERY === 0) printer.passing(`looked at ${number(done)} of ${number(of)}`);
    },
  });
  const labels = await labelsOf(index, classesOf(graph), flags, classes);
  const { factory, reason } = await chooseEngine(flags.engine ?? "auto", engineFactories);
  await selfTest(factory);
  const { mean, std } = IMAGENET;
  const prepared = preparation
    ? `prepared as in its training: ${preparation.of}${
      view === "multi-scale" && trained?.mean === "per-pixel"
        ? ", its channels' means at other sizes"
        : ""
    }`
    : `ImageNet's channel means (${mean.join(", ")}) and deviations (${std.join(", ")})`;
  printer.line(
    `${graph.name}, ${view}, ${
      number(index.photographs.length)
    } photographs of ${folder}, ${prepared}`,
  );
  if (flags.verbose) printer.line(reason);
  const { orientation = trained?.photographs?.orientation ?? AS_TORCHVISION.orientation } = flags;
  const sizes = sizesOf(trained?.photographs);
  if (sizes.cropped !== undefined) {
    printer.line(
      `in the sizes of its training: crops of ${sizes.cropped} from a shorter side of ${sizes.resized}`,
    );
  }
  const rules = { ...AS_TORCHVISION, orientation };
  const wrong = { first: 0, five: 0 };
  const pairs = new Map<string, Confusion>();
  const mistakes: SureMistake[] = [];
  const skipped: BrokenFile[] = [...index.broken];
  let [images, waited, computed] = [0, 0, 0];
  const { batchNorm } = paper("resnet20");
  const scored = scorePhotographs(index, {
    ...{ graph, weights: fitWeights(graph, weights, flags.weights!) },
    normalisation: preparation?.normalisation ?? IMAGENET,
    ...{ view, sizes, factory, broken, rules },
    batchNorm: { ...batchNorm, epsilon: epsilon ?? batchNorm.epsilon },
    engine: {
      ...(flags.threads === undefined ? {} : { threads: flags.threads }),
      ...(flags.convolution === undefined ? {} : { convolution: flags.convolution }),
      ...(flags.precision === undefined ? {} : { precision: flags.precision }),
    },
  }, (read, ran) => {
    waited += read;
    computed += ran;
  });
  for await (const { place, scores, fault } of scored) {
    const { path, label } = index.photographs[place];
    printer.passing(`tested ${number(place + 1)} of ${number(index.photographs.length)}`);
    if (fault !== undefined) {
      skipped.push({ path, reason: fault });
      continue;
    }
    images++;
    const right = labels[label];
    if (!scores.every(Number.isFinite)) {
      throw new CommandError(`${flags.weights} gives scores of ${path} that are no numbers`);
    }
    const rank = rankOf(scores, right);
    if (!isAmongFive(rank)) wrong.five++;
    if (rank === 0) continue;
    wrong.first++;
    const confidence = scores.reduce((a, b) => Math.max(a, b));
    const pair = {
      label: spokenClass(index.classNames[label]),
      taken: nameOf(labels, index, scores.indexOf(confidence)),
    };
    const key = `${pair.label} as ${pair.taken}`;
    pairs.set(key, { ...pair, count: (pairs.get(key)?.count ?? 0) + 1 });
    mistakes.push({ ...pair, place, confidence, labelProbability: scores[right] });
    mistakes.sort((a, b) => b.confidence - a.confidence).splice(SHOWN);
  }
  printer.clear();
  if (images === 0) {
    throw new CommandError(
      `none of the ${number(skipped.length)} photographs of ${folder} can be read: ${
        namesOf(skipped)
      }`,
    );
  }
  const error = wrong.first / images;
  const errors5 = hasTopFive(PHOTOGRAPHS, classesOf(graph)) ? wrong.five : undefined;
  const top5 = errors5 === undefined ? {} : { errors5, error5: errors5 / images };
  const frequent = [...pairs.values()].sort((a, b) => b.count - a.count);
  const confused = frequent.slice(0, TOLD)
    .map(({ label, taken, count }) => ({ pair: `${label} as ${taken}`, count }));
  const seconds = (milliseconds: number) => `${(milliseconds / 1000).toFixed(1)} s`;
  if (flags.html !== undefined) {
    const page = await viewsPage({
      ...{ network: graph.name, view, index, rules, images, errors: wrong.first, mistakes },
      ...(errors5 === undefined ? {} : { errors5 }),
      confused: frequent.slice(0, SHOWN),
      facts: [
        ["Photographs", `${number(images)} of ${number(index.classNames.length)} classes`],
        ...(skipped.length > 0
          ? [["Skipped", `${number(skipped.length)}: ${namesOf(skipped)}`] as const]
          : []),
        ["Preparation", prepared],
        ["Engine", factory.name],
        ["Time", `reading ${seconds(waited)}, computing ${seconds(computed)}`],
        ["Hash of the photographs", { code: index.sha256 }],
        ["Hash of the weights", { code: sha256 }],
      ],
    });
    await writeWhole(flags.html, page);
  }
  return {
    text: [
      `${percent(error)} (${number(wrong.first)} of ${number(images)} wrong)${
        errors5 === undefined ? "" : `, ${percent(errors5 / images)} not among the first five`
      }`,
      ...(confused.length > 0
        ? [
          `most often: ${
            frequent.slice(0, TOLD).map(({ label, taken, count }) =>
              `${short(label)} as ${short(taken)} (${count})`
            ).join(", ")
          }`,
        ]
        : []),
      ...(skipped.length > 0
        ? [
          `skipped, ${number(skipped.length)} ${skipped.length === 1 ? "file" : "files"}: ${
            namesOf(skipped)
          }`,
        ]
        : []),
      `reading ${seconds(waited)}, computing ${seconds(computed)}`,
      ...(flags.html === undefined ? [] : [`page: ${flags.html}`]),
    ].join("\n"),
    json: {
      ...{ error, errors: wrong.first, ...top5, images, view },
      ...{ folder, classes: index.classNames.length, photographs: index.sha256 },
      ...{ passedOver: Object.fromEntries(index.passedOver), skipped },
      confused,
      ...{ architecture: graph.name, preprocess: prepared, engine: factory.name },
      milliseconds: { reading: Math.round(waited), computing: Math.round(computed) },
      weights: { path: flags.weights, sha256 },
    },
  };
}

/** The views' sizes for weights of another size of image than the paper's: in its proportions. */
function sizesOf(photographs: Recipe["data"]["photographs"] | undefined): ViewSizes {
  if (!photographs || photographs.size === SCALES[0]) return {};
  const { size, testShorterSide } = photographs;
  return {
    cropped: size,
    resized: testShorterSide,
    scales: SCALES.map((scale) => Math.round(scale * size / SCALES[0])),
  };
}

/** The network's output for each of the folder's classes. */
async function labelsOf(
  { classNames, folder }: PhotographIndex,
  outputs: number,
  { classes: path, weights }: Flags,
  trained: readonly string[] | undefined,
): Promise<readonly number[]> {
  if (path === undefined && trained?.length === outputs) {
    const strange = classNames.find((name) => !trained.includes(name));
    if (strange === undefined) return classNames.map((name) => trained.indexOf(name));
    throw new CommandError(
      `${weights} was trained on ${listed(trained)}, and ${folder} has a folder ${
        quote(strange)
      }. ` +
        `Say which is which: --classes FILE, a folder's name a line, in the order of the outputs`,
    );
  }
  if (path === undefined) {
    if (classNames.length === outputs) return classNames.map((_, label) => label);
    const known = IMAGENET_CLASSES.map(({ wnid }) => wnid);
    const places = classNames.map((name) => known.indexOf(name));
    if (outputs === known.length && !places.includes(-1)) return places;
    throw new CommandError(
      `${weights} tells ${outputs} classes apart, and ${folder} has folders of ${classNames.length}. ` +
        `Say which is which: --classes FILE, a folder's name a line, in the order of the outputs`,
    );
  }
  const lines = (await attempt("read", path, () => readWholeText(path))).split(/\r?\n/);
  // What follows the name, as in "n01440764 tench", is for people.
  const names = lines.map((line) => line.trim()).filter((line) => line !== "");
  if (names.length !== outputs) {
    throw new CommandError(
      `${path} names ${names.length} classes, and ${weights} tells ${outputs} apart`,
    );
  }
  return classNames.map((name) => {
    const whole = names.flatMap((line, place) => line === name ? [place] : []);
    const places = whole.length > 0
      ? whole
      : names.flatMap((line, place) => line.split(/\s/)[0] === name ? [place] : []);
    if (places.length === 1) return places[0];
    throw new CommandError(
      places.length === 0
        ? `${path} does not name ${quote(name)}, a folder of ${folder}`
        : `${path} names ${
          quote(name)
        }, a folder of ${folder}, ${places.length} times: as outputs ${
          places.join(", ")
        }, counted from 0. Give each class a name of its own`,
    );
  });
}

/** Some names of many. */
function listed(names: readonly string[]): string {
  const more = names.length - 5;
  return names.slice(0, 5).map(quote).join(", ") + (more > 0 ? ` and ${number(more)} more` : "");
}

function nameOf(labels: readonly number[], { classNames }: PhotographIndex, output: number) {
  const folder = classNames[labels.indexOf(output)];
  if (folder !== undefined) return spokenClass(folder);
  // A part of ImageNet's classes lies in the folder, and the network knows them all.
  return isOfImagenet(labels, classNames)
    ? spokenClass(IMAGENET_CLASSES[output].wnid)
    : `output ${output}`;
}

/** Whether the outputs are ImageNet's classes in their order. */
function isOfImagenet(labels: readonly number[], classNames: readonly string[]): boolean {
  return classNames.every((name, i) => IMAGENET_CLASSES[labels[i]]?.wnid === name);
}
