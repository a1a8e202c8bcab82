/**
 * The batches of a whole schedule, looked at by sampling: at places that are
 * drawn anew for each subject, so that nothing can be made to fit them. What
 * changes for 1/32 of the schedule or more is met for certain, and so is what
 * changes in its last epoch; what changes for less is met by chance.
 */
import type { BatchPlan } from "../../engine/mod.ts";
import { BATCH_SIZE, ITERATIONS, TRAINING_IMAGES } from "../../paper/mod.ts";
import { RandomStream } from "../../random/mod.ts";
import type { Recipe } from "../../recipes/mod.ts";
import { number } from "../../text/mod.ts";
import { Draws, MOST_IMAGES, note } from "./_draws.ts";
import { batchesOf, Epochs, type EpochSettings, OPENING } from "./_epochs.ts";
import type { StaticSubject } from "../subject.ts";

/** Parts of the schedule; in each, one epoch is looked at. */
const PARTS = 64;
/** Batches that are looked at in such an epoch, besides its first ones. */
const IN_PART = 16;

/** What is wrong with the batches of a schedule, by what it concerns. */
export interface BatchScan {
  /** Where it was looked, for evidence: the same for every scan of a schedule. */
  readonly looked: string;
  /** Batches of another size. */
  readonly sizes: readonly string[];
  /** Images that are not trained on, and plans that are none. */
  readonly foreign: readonly string[];
  /** Images that come twice in an epoch, or not at all. */
  readonly coverage: readonly string[];
  /** Crops and mirrorings that are not drawn as they should be. */
  readonly augmentation: readonly string[];
  /** Orders that are none of their own. */
  readonly order: readonly string[];
}

/** What a scan needs to know. */
type Scanned = Required<Pick<StaticSubject, "batchPlan">> & Pick<StaticSubject, "samplingSeed">;

const scans = new WeakMap<Scanned["batchPlan"], Map<string, BatchScan>>();

/**
 * Looks at the batches of a schedule; once for all rules that ask.
 *
 * @param subject The batches, and where to begin drawing places (anew where it does not say).
 * @param recipe Length and end of an epoch; the paper's where nothing says otherwise.
 * @param training The images that are trained on; any within the number of the recipe if unknown.
 */
export function scanBatches(
  { batchPlan, samplingSeed }: Scanned,
  recipe: Recipe | undefined,
  training: Uint32Array | undefined,
): BatchScan {
  const count = training?.length ?? recipe?.data.split.training ?? 45_000;
  const settings = {
    iterations: Math.min(recipe?.schedule.iterations ?? ITERATIONS, 0xffffffff),
    batch: recipe?.batchSize ?? BATCH_SIZE,
    epochEnd: recipe?.data.epochEnd ?? "run-on",
    ...{ count, training },
  };
  const key = JSON.stringify([settings.iterations, settings.epochEnd, count, samplingSeed]);
  const made = scans.get(batchPlan) ?? new Map<string, BatchScan>();
  scans.set(batchPlan, made);
  const found = made.get(key) ??
    scan(batchPlan, settings, samplingSeed ?? crypto.getRandomValues(new Uint32Array(1))[0]);
  made.set(key, found);
  return found;
}

interface Settings extends EpochSettings {
  /** Length of the schedule. */
  readonly iterations: number;
}

function scan(
  batchPlan: Scanned["batchPlan"],
  settings: Settings,
  seed: number,
): BatchScan {
  const { iterations, count, training } = settings;
  const problems = {
    ...{ sizes: [] as string[], foreign: [] as string[], coverage: [] as string[] },
    ...{ augmentation: [] as string[], order: [] as string[] },
  };
  const places = placesOf(settings, seed);
  const drawn = new Draws();
  const epochs = new Epochs(settings, places.whole);
  const allowed = new Uint8Array(MOST_IMAGES).fill(training ? 0 : 1, 0, TRAINING_IMAGES);
  training?.forEach((index) => allowed[index] = 1);
  for (const iteration of places.iterations) {
    const plan = planAt(batchPlan, iteration);
    if (typeof plan === "string") {
      note(problems.foreign, () => plan);
      continue;
    }
    const { indices } = plan;
    const expected = sizeAt(settings, iteration);
    if (indices.length !== expected) {
      note(
        problems.sizes,
        () => `batch ${number(iteration)} has ${number(indices.length)} images, not ${expected}`,
      );
    }
    for (let j = 0; j < indices.length; j++) {
      if (allowed[indices[j]] === 1) continue;
      note(
        problems.foreign,
        () => `batch ${number(iteration)} holds image ${indices[j]}, which is not trained on`,
      );
      break;
    }
    drawn.add(iteration, plan);
    epochs.add(iteration, indices);
  }
  problems.coverage.push(...epochs.coverage());
  problems.order.push(...epochs.order());
  problems.augmentation.push(...drawn.problems());
  return {
    looked: `${PARTS} parts of ${number(iterations)} steps, at places drawn anew: batches of an ` +
      `epoch of ${number(count)} images each, the beginnings of these epochs, and three whole ones`,
    ...problems,
  };
}

/** A plan whose lists fit each other, or what is wrong with it. */
function planAt(batchPlan: Scanned["batchPlan"], iteration: number): BatchPlan | string {
  let plan: BatchPlan;
  try {
    plan = batchPlan(iteration);
  } catch (error) {
    return `batch ${number(iteration)} can't be made: ${
      error instanceof Error ? error.message : error
    }`;
  }
  const { indices, cropY, cropX, flip } = plan;
  for (
    const [name, list, most] of [
      ["cropY", cropY, 2 * 127],
      ["cropX", cropX, 2 * 127],
      ["flip", flip, 1],
    ] as const
  ) {
    if (list.length !== indices.length) {
      return `batch ${
        number(iteration)
      } has ${indices.length} images and ${list.length} of ${name}`;
    }
    const strange = list.find((value) => !(value >= 0 && value <= most));
    if (strange !== undefined) return `batch ${number(iteration)} has a ${name} of ${strange}`;
  }
  return plan;
}

/** Images that a step takes, as the end of the epoch has it. */
function sizeAt({ epochEnd, count }: Settings, iteration: number): number {
  if (epochEnd !== "keep-partial") return BATCH_SIZE;
  const batches = Math.ceil(count / BATCH_SIZE);
  return iteration % batches === 0 ? count - (batches - 1) * BATCH_SIZE : BATCH_SIZE;
}

/** The steps that are looked at, in order, and the epochs that are looked at whole. */
function placesOf(settings: Settings, seed: number) {
  const { iterations, count, batch } = settings;
  const stream = new RandomStream(seed, "probe", 0);
  const random = { below: (bound: number) => stream.below(Math.min(bound, 2 ** 32)) };
  const chosen = new Set<number>();
  const add = (iteration: number) => {
    if (iteration >= 1 && iteration <= iterations) chosen.add(iteration);
  };
  // Where things change in the paper, and at both ends.
  for (const edge of [0, 32_000, 48_000, iterations]) [edge, edge + 1].forEach(add);
  const epochs = count > 0 ? Math.floor(iterations * batch / count) : 0;
  const whole = new Set<number>();
  if (epochs === 0) {
    for (let i = 0; i < Math.min(iterations, PARTS * IN_PART); i++) {
      add(1 + random.below(iterations));
    }
    return { iterations: [...chosen].sort((a, b) => a - b), whole };
  }
  // Two in a row, wherever they are, and the last.
  const some = random.below(Math.max(1, epochs - 1));
  for (const epoch of [some, some + 1, epochs - 1]) if (epoch < epochs) whole.add(epoch);
  const looked = new Set(whole);
  const parts = Math.min(PARTS, epochs);
  for (let part = 0; part < parts; part++) {
    const from = Math.floor(part * epochs / parts), to = Math.floor((part + 1) * epochs / parts);
    looked.add(from + random.below(to - from));
  }
  for (const epoch of looked) {
    const [first, end] = batchesOf(settings, epoch);
    const stop = whole.has(epoch) ? end : Math.min(end, first + OPENING);
    for (let iteration = first; iteration < stop; iteration++) add(iteration);
    for (let i = 0; i < IN_PART && end > first; i++) add(first + random.below(end - first));
  }
  return { iterations: [...chosen].sort((a, b) => a - b), whole };
}
