/** Which classes a run confuses. */
import { number, percent, short } from "../../text/mod.ts";
import { type Block, heading, NONE, numbers, table } from "../page/blocks.ts";
import type { Subject } from "./subject.ts";
import type { ClassError } from "./result.ts";

/** Larger matrices are shown by their most frequent confusions alone. */
const LARGEST_MATRIX = 20;

/** The section, where there are predictions. */
export function classes({ result: { confusion, perClass } }: Subject): Block[] {
  if (!confusion || !perClass) return [];
  return [
    heading(2, "Classes"),
    confusion.length <= LARGEST_MATRIX
      ? confusionMatrix(confusion, perClass)
      : topConfusions(confusion, perClass),
    errorByClass(perClass),
  ];
}

type Matrix = readonly (readonly number[])[];

function confusionMatrix(confusion: Matrix, perClass: readonly ClassError[]): Block {
  const most = Math.max(1, ...confusion.flatMap((row, i) => row.filter((_, j) => i !== j)));
  return table(
    "confusion",
    "Confusion matrix, in test images: a row is a label, a column a prediction. Wrong predictions are shaded against the most frequent confusion.",
    ["", ...perClass.map(({ name }) => short(name))],
    confusion.map((row, label) => [
      short(perClass[label].name),
      ...row.map((count, prediction) => {
        const right = label === prediction;
        const full = right ? Math.max(1, perClass[label].images) : most;
        return {
          figure: number(count),
          share: (right ? 0.25 : 0.45) * count / full,
          tone: right ? "right" as const : "wrong" as const,
        };
      }),
    ]),
    "confusion",
  );
}

function topConfusions(confusion: Matrix, perClass: readonly ClassError[]): Block {
  const pairs = confusion
    .flatMap((row, label) => row.map((count, prediction) => ({ label, prediction, count })))
    .filter(({ label, prediction, count }) => label !== prediction && count > 0)
    .sort((a, b) => b.count - a.count)
    .slice(0, LARGEST_MATRIX);
  return pairsTable(
    pairs.map(({ label, prediction, count }) => ({
      ...{ label: perClass[label].name, taken: perClass[prediction].name, count },
    })),
    "The most frequent confusions; result.json holds the whole matrix.",
    "Images",
  );
}

/** How often images of a class were taken for another. */
export interface ConfusedPair {
  /** The class. */
  readonly label: string;
  /** The other. */
  readonly taken: string;
  /** Images. */
  readonly count: number;
}

/** Confusions, the most frequent first. */
export function pairsTable(
  pairs: readonly ConfusedPair[],
  caption: string,
  counted: string,
): Block {
  return table(
    "confusion",
    caption,
    ["Label", "Prediction", numbers(counted)],
    pairs.map(({ label, taken, count }) => [short(label), short(taken), number(count)]),
  );
}

function errorByClass(perClass: readonly ClassError[]): Block {
  const most = Math.max(...perClass.map(({ error }) => error ?? 0)) || 1;
  return table(
    "per-class",
    "Test error by class, with bars against the class of the highest error",
    ["Class", numbers("Error"), numbers("Wrong"), numbers("Images"), ""],
    perClass.map(({ name, error, errors, images }) => [
      short(name),
      error === null ? NONE : percent(error),
      number(errors),
      number(images),
      { figure: "", share: (error ?? 0) / most, tone: "bar" as const },
    ]),
    "wide-table",
  );
}
