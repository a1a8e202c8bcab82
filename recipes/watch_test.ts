import { assertEquals } from "@std/assert";
import { SCHEDULE_VALUES } from "./_schedule_values.ts";
import { Plateau, Watcher } from "./watch.ts";

Deno.test("Plateau: a state that was saved at any epoch, as JSON, goes on to the same rates", () => {
  for (const { name, schedule, values } of SCHEDULE_VALUES) {
    if (schedule.kind !== "plateau" || !values) continue;
    for (let stop = 0; stop < values.length; stop += 3) {
      let plateau = new Plateau(schedule);
      const whole = new Plateau(schedule);
      values.forEach((value, epoch) => {
        if (epoch === stop) {
          plateau = new Plateau(schedule, JSON.parse(JSON.stringify(plateau.state)));
        }
        assertEquals(plateau.observe(value), whole.observe(value), `${name}, ${stop}, ${epoch}`);
        assertEquals(plateau.state, whole.state);
      });
    }
  }
});

Deno.test("Watcher: what is no number is never better", () => {
  const watcher = new Watcher({ watched: "validation-loss", threshold: 0 });
  assertEquals([NaN, 2, NaN, 1].map((value) => watcher.observe(value)), [false, true, false, true]);
  assertEquals(watcher.state, { best: 1, bad: 0 });
});

Deno.test("Watcher: a value is better by more than the threshold", () => {
  const observe = (watch: Omit<ConstructorParameters<typeof Watcher>[0], "watched">) => {
    const watcher = new Watcher({ watched: "training-loss", ...watch });
    return [1, 0.75, 0.5].map((value) => watcher.observe(value));
  };
  assertEquals(observe({ threshold: 0 }), [true, true, true]);
  assertEquals(observe({ threshold: 0.25 }), [true, false, true]);
  assertEquals(observe({ threshold: 0.3, thresholdKind: "absolute" }), [true, false, true]);
  assertEquals(observe({ threshold: 0, mode: "max" }), [true, false, false]);
});
