/**
 * Prints what is known of what each departure from the paper costs, and how to measure the rest.
 *
 * `deno task costs`
 */
import { type Cost, COSTS } from "../audit/mod.ts";
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

function lines({ departure, known, training }: Cost): string {
  return [
    departure,
    `  ${known ?? "not known for a full training"}`,
    ...(training
      ? [
        `  deno task train ${training.flags}`,
        `  beside ${training.against}; not trained to its end here yet`,
      ]
      : []),
  ].join("\n");
}

function costs(_: FlagValues<typeof FLAGS>): Promise<Outcome> {
  return Promise.resolve({ text: COSTS.map(lines).join("\n\n"), json: COSTS });
}

if (import.meta.main) await main(command, costs);
