/** A recipe's schedule in words, each length in iterations and in epochs. */
import { number, significant } from "../text/mod.ts";
import { Epochs } from "./epochs.ts";
import type { PlateauSchedule, Recipe, ScheduleUnit, Watch } from "./recipe.ts";
import { modeOf } from "./watch.ts";

/**
 * How the learning rate goes, and how long.
 *
 * @param recipe Any recipe.
 * @returns Two sentences.
 *
 * @example
 * ```ts
 * import { scheduleInWords } from "./words.ts";
 * import { paper } from "./recipes.ts";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(
 *   scheduleInWords(paper("resnet20")),
 *   "Rate 0.1, times 0.1 after 32,000 iterations (91.02 epochs) and 48,000 iterations " +
 *     "(136.53 epochs). 64,000 iterations (182.04 epochs).",
 * );
 * ```
 */
export function scheduleInWords(recipe: Recipe): string {
  const { schedule } = recipe;
  const epochs = new Epochs(recipe);
  const both = (count: number, unit: ScheduleUnit = "iteration") =>
    lengths(epochs, count, unit).join(" ");
  const { rate, iterations } = schedule;
  const length = `${schedule.kind === "plateau" ? "At most " : ""}${both(iterations)}.`;
  switch (schedule.kind) {
    case "steps": {
      const { boundaries, factor, unit, warmUp } = schedule;
      const places = boundaries.map((place) => both(place, unit)).join(" and ");
      const start = warmUp
        ? `, ${significant(warmUp.rate)} until the training error is below ${
          number(100 * warmUp.untilTrainingErrorBelow, 6)
        }%`
        : "";
      const falls = places ? `, times ${significant(factor)} after ${places}` : "";
      return `Rate ${significant(rate)}${start}${falls}. ${length}`;
    }
    case "exponential":
      return `Rate ${significant(rate)}, times ${schedule.factor} after each ${
        schedule.unit ?? "iteration"
      }. ${length}`;
    case "cosine":
      return `Rate ${significant(rate)}, half a cosine down to ${
        significant(schedule.minimumRate)
      } after ${both(schedule.period, schedule.unit)}. ${length}`;
    case "restarts":
      return `Rate ${significant(rate)}, half cosines down to ${
        significant(schedule.minimumRate)
      }, the first in ${both(schedule.period, schedule.unit)}, each next ${
        schedule.periodFactor === 1 ? "as long" : `${schedule.periodFactor} times as long`
      }. ${length}`;
    case "plateau":
      return `Rate ${significant(rate)}, ${plateauInWords(schedule, epochs)}. ${length}`;
  }
}

/**
 * Which weights are kept beside the last, and when a training ends early.
 *
 * @param recipe Any recipe.
 * @returns A sentence; undefined of a recipe that keeps the last alone.
 */
export function bestInWords(recipe: Recipe): string | undefined {
  const { best } = recipe;
  if (!best) return undefined;
  const looks = everyInWords(best, new Epochs(recipe));
  const ends = best.stopAfter === undefined
    ? "it never ends early"
    : `it ends after ${number(best.stopAfter)} looks without a better value`;
  return `The best weights by ${watchInWords(best)} are kept, by a look ${looks}; ${ends}.`;
}

function plateauInWords(schedule: PlateauSchedule, epochs: Epochs): string {
  const { factor, patience, cooldown = 0, minimumRate } = schedule;
  return [
    `times ${significant(factor)} where ${watchInWords(schedule)} was no better in more than ${
      number(patience)
    } looks, ${everyInWords(schedule, epochs)}`,
    ...(cooldown > 0 ? [`${number(cooldown)} looks after a fall not counted`] : []),
    ...(minimumRate > 0 ? [`never below ${significant(minimumRate)}`] : []),
  ].join(", ");
}

function watchInWords({ watched, mode, threshold, thresholdKind }: Watch): string {
  const better = modeOf({ watched, ...(mode && { mode }) }) === "min" ? "lower" : "higher";
  const by = threshold === 0
    ? ""
    : thresholdKind === "absolute"
    ? ` by more than ${threshold}`
    : ` by more than ${number(threshold * 100, 6)}%`;
  return `the ${watched.replace("-", " ")} (better: ${better}${by})`;
}

function everyInWords({ every }: Watch, epochs: Epochs): string {
  if (!every || (every.unit === "epoch" && every.count === 1)) {
    return `at the end of each epoch (${number(1 / epochs.of(1), 2)} iterations)`;
  }
  return `every ${lengths(epochs, every.count, every.unit).join(" ")}`;
}

function counted(figure: string, unit: string): string {
  return `${figure} ${unit}${figure === "1" ? "" : "s"}`;
}

/** A length in its own unit, and in the other in brackets. */
function lengths(epochs: Epochs, count: number, unit: ScheduleUnit): [string, string] {
  const inEpochs = (length: number) => counted(number(length, 2), "epoch");
  const inIterations = (length: number) => counted(number(length), "iteration");
  return unit === "iteration"
    ? [inIterations(count), `(${inEpochs(epochs.of(count))})`]
    : [inEpochs(count), `(${inIterations(epochs.end(count))})`];
}
