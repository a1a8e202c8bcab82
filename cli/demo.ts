/**
 * A whole training on built-in images in minutes, with its report.
 *
 * `deno task demo`
 */
import { COMMON } from "./_flags.ts";
import { main } from "./_main.ts";
import { runTraining } from "./_run.ts";
import { ENGINE_FLAGS, recipeOf, RUN_FLAGS } from "./_training_flags.ts";

const { seed, out, iterations } = RUN_FLAGS;

const command = {
  usage: "deno task demo",
  summary: "Trains a small network on built-in images in minutes, and writes its report.",
  flags: { ...ENGINE_FLAGS, seed, out, iterations, ...COMMON },
} as const;

if (import.meta.main) {
  await main(
    command,
    (flags) =>
      runTraining(command.usage, recipeOf({ ...flags, recipe: "demo" }), {
        ...flags,
        out: flags.out ?? `runs/demo-seed${flags.seed ?? 0}`,
        "log-every": 20,
        "eval-every": 100,
        "checkpoint-every": 100,
      }),
  );
}
