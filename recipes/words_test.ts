import { assertEquals } from "@std/assert";
import { paper } from "./recipes.ts";
import { bestInWords, scheduleInWords } from "./words.ts";

const wordsOf = (changes: Parameters<typeof paper>[1]) => {
  const recipe = paper("resnet20", changes);
  return [scheduleInWords(recipe), bestInWords(recipe)];
};

Deno.test("a schedule in words says iterations and epochs, and which is which", () => {
  const length = "64,000 iterations (182.04 epochs).";
  const unit = "epoch";
  assertEquals(
    wordsOf({
      schedule: { boundaries: [1], unit, iterations: 1 },
      data: { split: { training: 128, validation: 0 } },
    })[0],
    "Rate 0.1, times 0.1 after 1 epoch (1 iteration). 1 iteration (1 epoch).",
  );
  assertEquals(wordsOf({ schedule: { boundaries: [100, 150], unit } }), [
    `Rate 0.1, times 0.1 after 100 epochs (35,157 iterations) and 150 epochs (52,735 iterations). ${length}`,
    undefined,
  ]);
  const warmUp = { rate: 0.01, untilTrainingErrorBelow: 0.55 };
  assertEquals(
    wordsOf({ schedule: { boundaries: [], warmUp } })[0],
    `Rate 0.1, 0.01 until the training error is below 55%. ${length}`,
  );
  const iterations = 64_000;
  assertEquals(
    wordsOf({ schedule: { kind: "exponential", rate: 0.1, factor: 0.95, unit, iterations } })[0],
    `Rate 0.1, times 0.95 after each epoch. ${length}`,
  );
  const cosine = { kind: "cosine", rate: 0.1, minimumRate: 0, period: 1000, iterations } as const;
  assertEquals(
    wordsOf({ schedule: cosine })[0],
    `Rate 0.1, half a cosine down to 0 after 1,000 iterations (2.84 epochs). ${length}`,
  );
  assertEquals(
    wordsOf({ schedule: { ...cosine, kind: "restarts", unit, periodFactor: 2 } })[0],
    `Rate 0.1, half cosines down to 0, the first in 1,000 epochs (351,563 iterations), each next 2 times as long. ${length}`,
  );
});

Deno.test("a plateau and early stopping in words say what is watched, and how often", () => {
  const watched = { watched: "validation-loss", threshold: 1e-4 } as const;
  assertEquals(
    wordsOf({
      schedule: {
        ...{ kind: "plateau", ...watched, rate: 0.1, factor: 0.1, patience: 10, cooldown: 2 },
        ...{ minimumRate: 1e-5, iterations: 64_000 },
      },
      best: {
        ...{ watched: "validation-accuracy", threshold: 0, stopAfter: 500 },
        every: { count: 100, unit: "iteration" },
      },
    }),
    [
      "Rate 0.1, times 0.1 where the validation loss (better: lower by more than 0.01%) was no " +
      "better in more than 10 looks, at the end of each epoch (351.56 iterations), 2 looks after " +
      "a fall not counted, never below 0.00001. At most 64,000 iterations (182.04 epochs).",
      "The best weights by the validation accuracy (better: higher) are kept, by a look every " +
      "100 iterations (0.28 epochs); it ends after 500 looks without a better value.",
    ],
  );
});
