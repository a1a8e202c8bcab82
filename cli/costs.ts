/**
 * Prints what is known of what each departure from the paper costs, and how to measure the rest.
 *
 * `deno task costs`
 */
import { type Cost, costliestFirst, COSTS } from "../audit/mod.ts";
import { COMMON, type FlagValues } from "./_flags.ts";
import { main, type Outcome } from "./_main.ts";

const FLAGS = { ...COMMON } as const;

const command = {
  usage: "deno task costs",
  summary:
    "Prints what is known of what each departure from the paper costs, with its source, and\n" +
    "the training that would measure it: each of one seed, so that differences below 0.5 points\n" +
    'are "within 0.5" of nothing.',
  flags: FLAGS,
} as const;

function lines({ departure, known, points, training }: Cost): string {
  return [
    points === undefined ? departure : `${departure}: ${pointsInWords(points)} points`,
    `  ${known ?? "not known for a full training"}`,
    ...(training
      ? [
        `  deno task train ${training.flags}`,
        `  beside ${training.against}; ${
          training.logs ? "trained to its end here" : "not trained to its end here yet"
        }`,
      ]
      : []),
  ].join("\n");
}

/** Points of test error with their sign; of one seed, less than half a point says nothing. */
export function pointsInWords(points: number): string {
  if (Math.abs(points) < 0.5) return "within 0.5";
  return `${points < 0 ? "" : "+"}${points.toFixed(2)}`;
}

function printCosts(_: FlagValues<typeof FLAGS>): Promise<Outcome> {
  const costs = costliestFirst(COSTS);
  return Promise.resolve({ text: costs.map(lines).join("\n\n"), json: costs });
}

if (import.meta.main) await main(command, printCosts);
