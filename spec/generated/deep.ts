/**
 * Draws nets, recipes, logs and sets of runs, right ones and wrong ones, and holds the rules
 * against them: `deno task test:deep`, or with `--seed N --count N --first N --kind NAME`.
 */
import { parseArgs } from "@std/cli";
import { KINDS } from "./kinds.ts";
import { tryRules } from "./trial.ts";

/** Of a kind that may be left undecided. */
const MOST_UNDECIDED = 0.05;

if (import.meta.main) {
  const flags = parseArgs(Deno.args, { string: ["seed", "count", "first", "kind"] });
  const { seed = "1", count = "2000", first = "0", kind: only } = flags;
  let wrong = 0;
  for (const [part, kind] of KINDS.entries()) {
    if (only !== undefined && kind.name !== only) continue;
    const trial = tryRules<unknown>(kind, part, {
      ...{ seed: Number(seed), count: Number(count), first: Number(first) },
    });
    const { mistakes, undecided, drawn } = trial;
    const left = [...undecided.values()].reduce((sum, one) => sum + one, 0);
    const share = left / (2 * trial.count);
    console.log(
      `${kind.name}: ${trial.count} right and ${trial.count} wrong of ${drawn.size} kinds, seed ${seed}: ` +
        `${mistakes.length} mistakes, ${left} undecided (${(100 * share).toFixed(1)}%)`,
    );
    for (const [what, times] of undecided) {
      console.log(`  undecided: ${what}: ${times} of ${drawn.get(what)}`);
    }
    for (const mistake of mistakes.slice(0, 40)) console.log(`  ${mistake}`);
    wrong += mistakes.length + (share > MOST_UNDECIDED ? 1 : 0);
  }
  if (wrong > 0) Deno.exit(1);
}
