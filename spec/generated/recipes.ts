/**
 * Random recipes with their schedules, starts and batches: right ones by any reading of the paper,
 * also by code that is not the module's, and wrong ones by one change, which may come late.
 */
import type { BatchPlan } from "../../engine/mod.ts";
import {
  architecture,
  type Graph,
  initialise,
  parametersOf,
  sizeOf,
  type Weights,
} from "../../resnet/mod.ts";
import { departuresOf, learningRate, paper, type Recipe, vary } from "../../recipes/mod.ts";
import { STATIC_RULES } from "../checklist.ts";
import { judge } from "../rule.ts";
import { type StaticSubject, subjectOf } from "../subject.ts";
import { type EpochEnd, numbers, ownBatches } from "./batches.ts";
import type { Draw, Drawn } from "./draw.ts";
import { DEPARTURES, DEPTHS, openRecipe } from "./recipe_choices.ts";
import type { Kind } from "./trial.ts";

/** What each departure breaks. */
const BY_DEPARTURE: Readonly<Record<keyof typeof DEPARTURES, readonly string[]>> = {
  "batches of 64": ["batch-size"],
  "batches of 256": ["batch-size"],
  "statistics over 32 images": ["batch-norm-constants"],
  "an epsilon of 0.001": ["batch-norm-constants"],
  "statistics that move by 0.01": ["batch-norm-constants"],
  "a momentum of 0.95": ["momentum"],
  "no momentum": ["momentum"],
  "five times the decay": ["weight-decay"],
  "no decay": ["weight-decay"],
  "a rate of 0.05": ["learning-rate"],
  "a factor of 0.2": ["learning-rate"],
  "a boundary at 40,000": ["learning-rate"],
  "one boundary": ["learning-rate"],
  "channel means": ["mean"],
  "no mean": ["mean"],
  "a division by the deviation": ["mean"],
  "no augmentation": ["augmentation"],
  "a padding of 2": ["augmentation"],
  "images in their order": ["shuffled"],
  "47,500 images": ["split"],
};

/** Other changes of what a recipe says. */
const STATED: Readonly<Record<string, readonly string[]>> = {
  "an undeclared departure": ["declared"],
  "a departure without a reason": ["declared"],
  "a departure that is none": ["declared"],
  "a field that no recipe has": ["declared"],
  "a view for tests": ["test-view"],
  "the recipe of another depth": ["graph-stated"],
  "option B stated of option A": ["graph-stated"],
  "zero channels stated on the other side": ["graph-stated"],
  "40,000 iterations": ["iterations"],
  "96,000 iterations": ["iterations"],
  "Adam": ["momentum"],
  "CIFAR-100": ["data-set"],
  "a warm-up that is not due": ["warm-up"],
  "no warm-up of ResNet-110": ["warm-up"],
  "a warm-up until 20%": ["warm-up"],
};

/** Changes of what is done. */
const DONE: Readonly<Record<string, readonly string[]>> = {
  "a rate a step too early": ["learning-rate"],
  "another rate for 300 steps": ["learning-rate"],
  "a rate that is not a number": ["learning-rate"],
  "a warm-up by steps": ["warm-up"],
  "kernels of half the variance": ["initialisation"],
  "kernels of twice the variance": ["initialisation"],
  "uniform kernels": ["initialisation"],
  "cut normal kernels": ["initialisation"],
  "one kernel of zeros": ["initialisation"],
  "kernels by the other fan": ["initialisation"],
  "validation images that are trained on": ["split"],
  "an image twice in the split": ["split"],
  "images beyond the training part": ["split", "batches-from-training-images"],
};

/** Changes of the batches, for a part of the schedule that is long enough to be met for certain. */
const BATCHES: Readonly<Record<string, readonly string[]>> = {
  "no flip": ["augmentation"],
  "always flipped": ["augmentation"],
  "flipped once in four times": ["augmentation"],
  "offsets up to 7": ["augmentation"],
  "offsets from 1": ["augmentation"],
  "no crop": ["augmentation"],
  "one offset for both axes": ["augmentation"],
  "one view for a batch": ["augmentation"],
  "one view for each image": ["augmentation"],
  "the next batch's images": ["batches-from-training-images", "shuffled"],
  "a twentieth of validation images": ["batches-from-training-images"],
  "drawn with replacement": ["batches-from-training-images"],
  "an image twice in a batch": ["batches-from-training-images"],
  "one order for all epochs": ["shuffled", "batches-from-training-images"],
  "in the order of the list": ["shuffled", "batches-from-training-images"],
  "batches of 127": ["batch-size"],
  "batches of 256, repeated": ["batch-size"],
  "no batch at all": ["batches-from-training-images"],
};

/** Random recipes. */
export const RECIPE_SUBJECTS: Kind<StaticSubject> = {
  name: "recipes",
  draw: drawRecipe,
  breaks: [BY_DEPARTURE, STATED, DONE, BATCHES].flatMap((list) => Object.values(list).flat()),
  judge: (subject) => judge(STATIC_RULES, subject),
};

/** Graphs, starts and batches that several subjects share: they are looked at once. */
const made = new Map<string, unknown>();
function once<T>(key: string, make: () => T): T {
  if (!made.has(key)) made.set(key, make());
  return made.get(key) as T;
}

function drawRecipe(draw: Draw, right: boolean): Drawn<StaticSubject> {
  const group = right ? "right" : draw.pick(["departure", "stated", "done", "batches"]);
  const listed = { departure: BY_DEPARTURE, stated: STATED, done: DONE, batches: BATCHES };
  const list = group === "right" ? {} : listed[group as keyof typeof listed];
  const what = group === "right" ? "" : draw.pick(Object.keys(list));
  let depth: number = draw.chance(0.05) ? 110 : draw.pick(DEPTHS.slice(0, 3));
  let plain = draw.chance(0.2);
  if (what === "no warm-up of ResNet-110" || what === "a warm-up until 20%") {
    [depth, plain] = [110, false];
  }
  if (what === "a warm-up that is not due" || what === "a warm-up by steps") depth = 20;
  if (/option B|zero channels/.test(what)) plain = false;
  let recipe = openRecipe(draw, `${plain ? "plain" : "resnet"}${depth}`);
  if (/validation images/.test(what)) {
    recipe = vary(recipe, { data: { split: { training: 45_000, validation: 5_000 } } });
  }
  if (group === "departure") {
    recipe = vary(recipe, DEPARTURES[what], draw.chance(0.5) ? "a trial" : {});
  }
  const said = group === "stated" ? stated(draw, what, recipe) : recipe;
  const subject = subjectFor(draw, said, group === "stated" ? recipe : said);
  const spoilt = group === "done"
    ? done(draw, what, subject)
    : group === "batches"
    ? { ...subject, batchPlan: changed(draw, what, subject) }
    : subject;
  const readings = departuresOf(recipe).length;
  return {
    what: what || `${plain ? "plain" : "residual"}, ${readings} readings`,
    subject: spoilt,
    by: list[what] ?? [],
  };
}

/** The subject of a recipe; what is done follows from `done`, which says the same or is right. */
function subjectFor(draw: Draw, recipe: Recipe, done: Recipe): Required<StaticSubject> {
  const { name, ...options } = done.architecture;
  const graph = once(
    JSON.stringify(["graph", done.architecture]),
    () => architecture(name, options),
  );
  const fresh = draw.chance(0.02);
  const seed = fresh ? draw.below(2 ** 32) : draw.below(2);
  const { fan, lastLayer } = done.initialisation;
  const own = draw.chance(0.5);
  const { split, augmentation, cropPadding, order, epochEnd } = done.data;
  const key = JSON.stringify([
    split,
    augmentation,
    cropPadding,
    order,
    epochEnd,
    done.batchSize,
    seed,
  ]);
  const usual = () => subjectOf(done, seed);
  const made = once(`${fresh} ${key}`, () => {
    const { split, batchPlan } = usual();
    return { split, batchPlan, samplingSeed: draw.below(2 ** 32) };
  });
  const plain = augmentation === "pad-crop-flip" && order === "shuffled" && cropPadding === 4 &&
    done.batchSize === 128;
  // Of code that is not the module's.
  const batchPlan = own && plain
    ? once(
      `own ${fresh} ${key}`,
      () => ownBatches(made.split.training, epochEnd as EpochEnd, 1 + seed % 1_000_003),
    )
    : made.batchPlan;
  const weights = once(
    JSON.stringify(["weights", done.architecture, fan, lastLayer, own, seed]),
    () => own ? ownStart(graph, fan, lastLayer, seed) : initialise(graph, seed, fan, lastLayer),
  );
  const { schedule } = done;
  return {
    ...{ graph, recipe, split: made.split, samplingSeed: made.samplingSeed, batchPlan },
    initialWeights: () => weights,
    learningRate: own && departuresOf(done).every(({ field }) => !field.startsWith("schedule"))
      ? ownRate(depth(done) === 110 && name.startsWith("resnet"))
      : (iteration, ended) => learningRate(schedule, iteration, ended),
  };
}

const depth = ({ architecture: { name } }: Recipe) => Number(/\d+/.exec(name)![0]);

/** The paper's rates by another formula. */
const ownRate = (warmsUp: boolean) => (iteration: number, ended: boolean) => {
  const rate = 10 ** -(1 + Number(iteration > 32_000) + Number(iteration > 48_000));
  return warmsUp && !ended ? Math.min(0.01, rate) : rate;
};

/** He's initialisation by Box and Muller, the last layer as it is said to be. */
function ownStart(
  graph: Graph,
  fan: "in" | "out",
  last: string | undefined,
  seed: number,
): Weights {
  const next = numbers(seed + 17);
  const uniform = () => (next() + 0.5) / 2 ** 32;
  const normal = () => Math.sqrt(-2 * Math.log(uniform())) * Math.cos(2 * Math.PI * uniform());
  return new Map(
    parametersOf(graph).map(({ name, shape, role }) => {
      const data = new Float32Array(sizeOf(shape));
      if (role === "kernel") {
        const [outputs, inputs, ...window] = shape;
        const library = shape.length === 2 && last === "library";
        const std = Math.sqrt(2 / (sizeOf(window) * (fan === "in" ? inputs : outputs)));
        for (let i = 0; i < data.length; i++) {
          data[i] = library ? (2 * uniform() - 1) / Math.sqrt(inputs) : std * normal();
        }
      } else if (role === "bn-scale" || role === "bn-variance") data.fill(1);
      return [name, { shape, data }];
    }),
  );
}

/** A recipe that says something else. */
function stated(draw: Draw, what: string, recipe: Recipe): Recipe {
  const { architecture: stated, data, schedule } = recipe;
  const why = draw.chance(0.5) ? "a trial" : undefined;
  switch (what) {
    case "an undeclared departure": {
      const all = Object.keys(DEPARTURES);
      return { ...vary(recipe, DEPARTURES[draw.pick(all)]), departures: [] };
    }
    case "a departure without a reason":
      return vary({ ...recipe, departures: [] }, DEPARTURES[draw.pick(Object.keys(DEPARTURES))]);
    case "a departure that is none":
      return {
        ...recipe,
        departures: [...recipe.departures, {
          field: "batchSize",
          paper: "128",
          here: "64",
          reason: "memory",
        }],
      };
    case "a field that no recipe has":
      return { ...recipe, [draw.pick(["labelSmoothing", "clipNorm", "ema"])]: 0.1 } as Recipe;
    case "a view for tests":
      return { ...recipe, data: { ...data, testViews: "10-crop" } } as Recipe;
    case "the recipe of another depth": {
      const depths = DEPTHS.filter((one) => !stated.name.endsWith(String(one)));
      const name = stated.name.replace(/\d+/, String(draw.pick(depths)));
      return { ...recipe, architecture: { ...stated, name } };
    }
    case "option B stated of option A":
      return { ...recipe, architecture: { ...stated, shortcut: "B", zeroChannels: "none" } };
    case "zero channels stated on the other side":
      return {
        ...recipe,
        architecture: {
          ...stated,
          zeroChannels: stated.zeroChannels === "append" ? "split" : "append",
        },
      };
    case "40,000 iterations":
      return vary(recipe, { schedule: { iterations: 40_000, boundaries: [20_000, 30_000] } }, why);
    case "96,000 iterations":
      return vary(recipe, { schedule: { iterations: 96_000 } }, why);
    case "Adam":
      return {
        ...recipe,
        optimiser: { kind: "adam", beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 1e-4 },
      };
    case "CIFAR-100":
      return { ...recipe, data: { ...data, set: "cifar100" } };
    case "no warm-up of ResNet-110":
      return { ...recipe, schedule: paper("resnet56").schedule };
    default: {
      const untilTrainingErrorBelow = what === "a warm-up until 20%" ? 0.2 : 0.8;
      const warmUp = { rate: 0.01, untilTrainingErrorBelow };
      return { ...recipe, schedule: { ...schedule, warmUp } as Recipe["schedule"] };
    }
  }
}

/** A subject of which something else is done than its recipe says. */
function done(draw: Draw, what: string, good: Required<StaticSubject>): StaticSubject {
  const rate = good.learningRate;
  const from = draw.from(1_000, 63_000);
  const kernels = (
    change: (data: Float32Array, fan: number, other: number) => Float32Array,
    only?: string,
  ) => {
    const weights = new Map(good.initialWeights());
    for (const { name, shape, role } of parametersOf(good.graph)) {
      if (role !== "kernel" || shape.length !== 4 || (only !== undefined && name !== only)) {
        continue;
      }
      const [outputs, inputs, ...window] = shape, size = sizeOf(window);
      const fans = [inputs * size, outputs * size];
      if (good.recipe.initialisation.fan === "out") fans.reverse();
      weights.set(name, { shape, data: change(weights.get(name)!.data, fans[0], fans[1]) });
    }
    return { ...good, initialWeights: () => weights };
  };
  const scaled = (factor: number) => kernels((data) => data.map((w) => w * factor));
  const { training, validation } = good.split;
  switch (what) {
    case "a rate a step too early":
      return { ...good, learningRate: (i, ended) => rate(Math.min(64_000, i + 1), ended) };
    case "another rate for 300 steps":
      return {
        ...good,
        learningRate: (i, ended) => rate(i, ended) * (i >= from && i < from + 300 ? 1.5 : 1),
      };
    case "a rate that is not a number":
      return { ...good, learningRate: (i, ended) => i === from ? NaN : rate(i, ended) };
    case "a warm-up by steps":
      return { ...good, learningRate: (i, ended) => !ended && i < 500 ? 0.01 : rate(i, ended) };
    case "kernels of half the variance":
      return scaled(Math.SQRT1_2);
    case "kernels of twice the variance":
      return scaled(Math.SQRT2);
    case "uniform kernels": {
      const next = numbers(from);
      return kernels((data, fan) =>
        data.map(() => (2 * next() / 2 ** 32 - 1) * Math.sqrt(6 / fan))
      );
    }
    case "cut normal kernels":
      // At two deviations, and put to the same variance, as some libraries do.
      return kernels((data, fan) =>
        data.map((w, i) => {
          const std = Math.sqrt(2 / fan);
          const cut = Math.abs(w) > 2 * std ? w * ((i * 0.618) % 1) / 2 : w;
          return cut / 0.88;
        })
      );
    case "one kernel of zeros": {
      const names = parametersOf(good.graph).filter(({ role, shape }) =>
        role === "kernel" && shape.length === 4
      ).map(({ name }) => name);
      return kernels((data) => data.map(() => 0), draw.pick(names));
    }
    case "kernels by the other fan":
      return kernels((data, fan, other) => data.map((w) => w * Math.sqrt(fan / other)));
    case "validation images that are trained on":
      return { ...good, split: { training, validation: training.slice(0, validation.length) } };
    case "an image twice in the split":
      return { ...good, split: { training: training.with(1, training[0]), validation } };
    default:
      return { ...good, split: { training: training.map((i) => i + 9_999), validation } };
  }
}

/** Batches that are changed in a stretch of the schedule. */
function changed(
  draw: Draw,
  what: string,
  { batchPlan, split: { training, validation } }: Required<StaticSubject>,
): (iteration: number) => BatchPlan {
  const orders = /order|next batch/.test(what);
  const length = orders ? 24_000 : draw.pick([2_400, 8_000, 64_000]);
  const from = 1 + draw.below(64_000 - Math.min(63_999, length));
  const to = orders ? 64_000 : from + length;
  const others = validation.length > 0 ? validation : Uint32Array.of(55_555);
  return (iteration) => {
    const plan = batchPlan(iteration);
    if (iteration < from || iteration > to) return plan;
    const { indices, cropY, cropX, flip } = plan;
    const next = numbers(iteration);
    const of = (view: (image: number) => number) => Uint8Array.from(indices, view);
    switch (what) {
      case "no flip":
        return { ...plan, flip: flip.map(() => 0) };
      case "always flipped":
        return { ...plan, flip: flip.map(() => 1) };
      case "flipped once in four times":
        return { ...plan, flip: flip.map((one) => one & (next() >>> 9)) };
      case "offsets up to 7":
        return { ...plan, cropY: cropY.map((y) => y % 8), cropX: cropX.map((x) => x % 8) };
      case "offsets from 1":
        return { ...plan, cropY: cropY.map((y) => Math.max(1, y)) };
      case "no crop":
        return { ...plan, cropY: cropY.map(() => 4), cropX: cropX.map(() => 4) };
      case "one offset for both axes":
        return { ...plan, cropX: cropY };
      case "one view for a batch":
        return {
          ...{ indices, cropY: of(() => cropY[0]), cropX: of(() => cropX[0]) },
          flip: of(() => flip[0]),
        };
      case "one view for each image":
        return {
          ...{ indices, cropY: of((i) => (i * 31) % 9), cropX: of((i) => (i * 17 >> 3) % 9) },
          flip: of((i) => (i >> 4) % 2),
        };
      case "the next batch's images":
        return { ...plan, indices: batchPlan(iteration - iteration % 2 + 1).indices };
      case "a twentieth of validation images":
        return {
          ...plan,
          indices: indices.map((i, j) => j % 20 ? i : others[next() % others.length]),
        };
      case "drawn with replacement":
        return { ...plan, indices: indices.map(() => training[next() % training.length]) };
      case "an image twice in a batch":
        return { ...plan, indices: indices.with(1, indices[0]) };
      case "one order for all epochs": {
        const start = (iteration - 1) * 128;
        return {
          ...plan,
          indices: indices.map((_, j) => {
            const at = (start + j) % training.length;
            return training[(at * 7_919 + 13) % training.length];
          }),
        };
      }
      case "in the order of the list": {
        const start = (iteration - 1) * 128;
        return { ...plan, indices: indices.map((_, j) => training[(start + j) % training.length]) };
      }
      case "batches of 127":
        return {
          ...{ indices: indices.slice(1), cropY: cropY.slice(1), cropX: cropX.slice(1) },
          flip: flip.slice(1),
        };
      case "batches of 256, repeated": {
        const twice = (list: Uint8Array) => Uint8Array.from([...list, ...list]);
        return {
          ...{ indices: Uint32Array.from([...indices, ...indices]), cropY: twice(cropY) },
          ...{ cropX: twice(cropX), flip: twice(flip) },
        };
      }
      default:
        throw new RangeError("the data ends here");
    }
  };
}
