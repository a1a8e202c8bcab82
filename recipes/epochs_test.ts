import { assertEquals } from "@std/assert";
import { BatchSource } from "../data/mod.ts";
import { Epochs } from "./epochs.ts";
import { paper } from "./recipes.ts";

const recipeOf = (
  training: number,
  batchSize: number,
  epochEnd: "run-on" | "keep-partial" | "drop-partial",
) => paper("resnet20", { data: { split: { training, validation: 0 }, epochEnd }, batchSize });

Deno.test("Epochs: an epoch ends with the step that shows its last image", () => {
  for (const epochEnd of ["run-on", "keep-partial", "drop-partial"] as const) {
    for (const [images, batch] of [[90, 8], [64, 8], [10, 3], [7, 7], [5, 8]]) {
      if (epochEnd === "drop-partial" && batch > images) continue;
      const recipe = recipeOf(images, batch, epochEnd);
      const source = new BatchSource({
        ...recipe.data,
        ...{ seed: 0, indices: Uint32Array.from({ length: images }, (_, i) => i) },
        batchSize: batch,
      });
      const epochs = new Epochs(recipe);
      let seen = 0, dropped = 0;
      for (let step = 1; step <= 60; step++) {
        seen += source.plan(step).indices.length;
        if (epochEnd === "drop-partial" && step % Math.floor(images / batch) === 0) {
          dropped += images % batch;
        }
        const full = Math.floor((seen + dropped) / images);
        assertEquals(epochs.before(step + 1), full, `${epochEnd} ${images}/${batch} step ${step}`);
        // Where steps are larger than epochs, several may end with one.
        if (full > 0) assertEquals(epochs.end(full) <= step, true);
        assertEquals(epochs.end(full + 1) > step, true);
      }
    }
  }
});

Deno.test("Epochs: the next place is the first full count after a step", () => {
  const epochs = new Epochs(recipeOf(90, 8, "run-on")); // 11.25 steps: ends 12, 23, 34, 45
  const places = (every: { count: number; unit: "iteration" | "epoch" }) => {
    const found = [];
    for (let at = 0; at < 40;) found.push(at = epochs.next(at, every));
    return found;
  };
  assertEquals(places({ count: 1, unit: "epoch" }), [12, 23, 34, 45]);
  assertEquals(places({ count: 2, unit: "epoch" }), [23, 45]);
  assertEquals(places({ count: 15, unit: "iteration" }), [15, 30, 45]);
  assertEquals(epochs.of(45), 4);
});
