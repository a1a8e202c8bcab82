/**
 * What a departure from the paper costs, where that is known: measured here, or in the literature;
 * and the training that would measure what is not.
 */

/** What is known of one departure. */
export interface Cost {
  /** The kinds of cause or the rules that it belongs to; none where none judges it by itself. */
  readonly ids?: readonly string[];
  /** What departs, in few words. */
  readonly departure: string;
  /** What it costs, with its source; absent where it is not known. */
  readonly known?: string;
  /**
   * How many points of test error it adds at the end of a full training, the rest being equal;
   * below 0 where it takes some away. Absent where no training to its end shows it.
   */
  readonly points?: number;
  /**
   * The flags of `deno task train` that train with it to the end, and with what the result is
   * compared: the paper's recipe, or another of these departures.
   */
  readonly training?: {
    readonly flags: string;
    readonly against: string;
    /**
     * Once it is over: its log, and that of what it is compared to, as folders of
     * `reports/reference/costs/runs`; without the second it is compared to Table 6.
     */
    readonly logs?: readonly [run: string, against?: string];
  };
}

/** Of ResNet-110 on CIFAR-10, where the paper's own order of layers has 6.61%. */
const HE_2016 =
  "as printed in He et al. 2016, Identity Mappings, Table 2, and not measured here; ResNet-110 on CIFAR-10, the paper's order 6.61%";
/** Of weights that others trained to their end (akamaster/pytorch_resnet_cifar10). */
const PUBLISHED =
  "a published ResNet-20, which has 8.27% where it is tested as it was trained; deno task bench:testing";
const PAPER = "the paper's recipe";
const NET = "--arch resnet20";
const SYSTEM_C = "--recipe system-c --epochs 60";

/**
 * The departures of which something is known or planned. What tests alone depart in was measured
 * on finished weights (`deno task bench:testing`); the trainings were written down before any of
 * them began, each of one seed: differences below 0.5 points are "within 0.5", never none.
 */
export const COSTS: readonly Cost[] = [
  {
    ids: ["augmentation"],
    departure: "no augmentation",
    known:
      "ResNet-20 errs on 16.75% without (64,000 iterations, one seed; reports/reference/costs) and on 8.75% with it (the paper's Table 6); ResNet-110 errs on 13.63% without and 6.41% with it (Huang et al. 2016, arXiv 1603.09382, as arXiv 1608.06993 prints it in its Table 2, and not measured here)",
    points: 8,
    training: {
      flags: `${NET} --augment none`,
      against: PAPER,
      logs: ["resnet20-no-augmentation"],
    },
  },
  {
    ids: ["augmentation"],
    departure: "no augmentation, in system C: ImageNet's ResNet-34, per-image means, Adam",
    known:
      "system C errs on 27.71% without and 16.49% with it (60 epochs of each, one seed; reports/reference/costs)",
    points: 11.22,
    training: {
      flags: SYSTEM_C,
      against: "Adam at 0.001, in system C with augmentation",
      logs: ["c-as-it-was", "c-augmented"],
    },
  },
  {
    ids: ["optimiser"],
    departure: "Adam at 0.001, in system C with augmentation",
    known:
      "system C with augmentation errs on 16.49% by Adam at 0.001 and on 17.26% by the paper's optimiser, its schedule in proportion (60 epochs of each, one seed; reports/reference/costs)",
    points: -0.77,
    training: {
      flags: `${SYSTEM_C} --augment pad-crop-flip`,
      against: "the paper's optimiser, in system C with augmentation",
      logs: ["c-augmented", "c-paper-optimiser"],
    },
  },
  {
    departure: "the paper's optimiser, in system C with augmentation, its schedule in proportion",
    known:
      "17.26%, where Adam at 0.001 has 16.49% (60 epochs of each, one seed; reports/reference/costs)",
    training: {
      flags: `${SYSTEM_C} --augment pad-crop-flip --optimiser sgd --schedule steps`,
      against: "Adam at 0.001, in system C with augmentation",
      logs: ["c-paper-optimiser", "c-augmented"],
    },
  },
  {
    ids: ["learning-rate"],
    departure: "a constant rate of 0.1",
    training: { flags: `${NET} --factor 1`, against: PAPER },
  },
  {
    ids: ["split"],
    departure: "trained on all 50,000 images",
    training: { flags: `${NET} --split 50k`, against: PAPER },
  },
  {
    ids: ["mean"],
    departure: "the channels' mean and deviation",
    training: { flags: `${NET} --preparation channels`, against: PAPER },
  },
  {
    ids: ["projection"],
    departure: "option B, projections where the width changes",
    known:
      "on ImageNet projections are 0.51 points better (Table 3, 34 layers: A 25.03%, B 24.52%); on CIFAR-10 not known",
    training: { flags: `${NET} --shortcut B`, against: PAPER },
  },
  {
    ids: ["weight-decay"],
    departure: "no weight decay",
    training: { flags: `${NET} --decay 0`, against: PAPER },
  },
  {
    ids: ["optimiser"],
    departure: "Adam at its defaults",
    training: { flags: `${NET} --optimiser adam`, against: PAPER },
  },
  {
    ids: ["batch-size"],
    departure: "batches of 256 images",
    training: { flags: `${NET} --batch 256`, against: PAPER },
  },
  {
    ids: ["evaluation-mode"],
    departure: "tested in training mode",
    known: `11.67% by the statistics of each batch of 128 (${PUBLISHED})`,
    points: 3.4,
  },
  {
    ids: ["same-preparation"],
    departure: "tested without what was subtracted and divided in training",
    known: `60.27% (${PUBLISHED})`,
    points: 52,
  },
  {
    ids: ["test-view"],
    departure: "tested on images that are moved",
    known: `8.05 to 8.30% by one pixel, up to 9.53% by four (${PUBLISHED})`,
  },
  {
    departure: "ten views of the padded image, five offsets and their mirror images, averaged",
    known: `7.13%, which is better and not the paper's test (${PUBLISHED})`,
    points: -1.14,
  },
  {
    departure: "batch norm's statistics as strict averages over 100 batches",
    known: `8.32% (${PUBLISHED})`,
    points: 0.05,
  },
  {
    ids: ["batch-norm-after-addition"],
    departure: "batch normalisation behind the addition",
    known: `8.17% (${HE_2016})`,
    points: 1.56,
  },
  {
    ids: ["relu-before-addition"],
    departure: "ReLU before the addition",
    known: `7.84% (${HE_2016})`,
    points: 1.23,
  },
  {
    ids: ["pre-activation"],
    departure: "batch normalisation and ReLU before each convolution",
    known: `6.37%, which is better (${HE_2016})`,
    points: -0.24,
  },
];

/** The costliest first, and behind them those of which no points are known. */
export function costliestFirst(costs: readonly Cost[]): readonly Cost[] {
  return costs.toSorted((a, b) => (b.points ?? -Infinity) - (a.points ?? -Infinity) || 0);
}

/**
 * What a cause or a rule costs, with its sources, the most first; undefined where nothing is known.
 *
 * @example
 * ```ts
 * import { assert, assertEquals } from "@std/assert";
 * import { costOf } from "./costs.ts";
 *
 * assert(costOf("augmentation")?.includes("ResNet-110 errs on 13.63% without"));
 * assertEquals(costOf("depth"), undefined);
 * ```
 */
export function costOf(id: string): string | undefined {
  const known = costliestFirst(COSTS)
    .flatMap(({ ids, known }) => ids?.includes(id) && known ? [known] : []);
  return known.length === 0 ? undefined : known.join("; ");
}

/**
 * Puts what is to be changed into the order of its costs: where they are known, the costlier takes
 * the earlier of the places, and what is not known stays where it is.
 *
 * @param items In the order that holds where no cost is known.
 * @param idsOf The cause or rule of each, the more particular first.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { byCost } from "./costs.ts";
 *
 * const rules = ["evaluation-mode", "depth", "augmentation"];
 * assertEquals(byCost(rules, (rule) => [rule]), ["augmentation", "depth", "evaluation-mode"]);
 * ```
 */
export function byCost<T>(items: readonly T[], idsOf: (item: T) => readonly string[]): T[] {
  const points = new Map(items.map((item) => [item, pointsOf(idsOf(item))]));
  const known = items.filter((item) => points.get(item) !== undefined)
    .toSorted((a, b) => points.get(b)! - points.get(a)!).values();
  return items.map((item) => points.get(item) === undefined ? item : known.next().value!);
}

/** The most that is known of the first of these of which something is. */
function pointsOf(ids: readonly string[]): number | undefined {
  for (const id of ids) {
    const known = COSTS.flatMap(({ ids, points }) => ids?.includes(id) ? points ?? [] : []);
    if (known.length > 0) return Math.max(...known);
  }
}
