import { assertEquals } from "@std/assert";
import { systemC } from "../recipes/mod.ts";
import type { Run } from "../log/mod.ts";
import { differencesFromPaper } from "./_paper.ts";

Deno.test("an optimiser or a schedule of another kind is one difference, in words", () => {
  const recipe = systemC();
  const run = {
    start: { recipe },
    outcome: { type: "end", iteration: recipe.schedule.iterations },
  } as unknown as Run;
  const differences = differencesFromPaper(run);
  assertEquals(differences.filter((text) => /^(optimiser|schedule|best|data)\./.test(text)), []);
  assertEquals(differences.filter((text) => text.startsWith("the optimiser")), [
    "the optimiser adam (beta1 0.9, beta2 0.999, epsilon 1e-8, weightDecay 0) instead of SGD with momentum",
  ]);
  assertEquals(
    differences.filter((text) => text.startsWith("another schedule: rate 0.001")).length,
    1,
  );
  assertEquals(differences.includes("no augmentation"), true);
});
