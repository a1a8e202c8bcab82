import { assert, assertEquals } from "@std/assert";
import { burstOf, median, timeInTurn, timeOfOne } from "./_rounds.ts";

Deno.test("contenders take turns, and warm-up rounds do not count", async () => {
  const calls: string[] = [];
  const times = await timeInTurn(["a", "b"], { counted: 2, warmUp: 1 }, (name) => {
    calls.push(name);
    return Promise.resolve(calls.length);
  });
  assertEquals(calls.join(""), "ababab");
  assertEquals(times, [[3, 5], [4, 6]]);
});

Deno.test("what takes the cap at once is timed once; what reaches it later, as often as it had", async () => {
  const calls = { slow: 0, middling: 0, fast: 0 };
  const milliseconds = { slow: 100, middling: 30, fast: 1 };
  const names = ["slow", "middling", "fast"] as const;
  const times = await timeInTurn(names, { counted: 9, warmUp: 2, cap: 100 }, (name) => {
    calls[name]++;
    return Promise.resolve(milliseconds[name]);
  });
  // Two warm-ups and two counted rounds of 30 make 120.
  assertEquals(calls, { slow: 1, middling: 4, fast: 11 });
  assertEquals(times, [[100], [30, 30], Array(9).fill(1)]);
});

Deno.test("a contender whose warm-up uses up the cap is still timed once", async () => {
  const times = await timeInTurn(["a"], { counted: 5, warmUp: 2, cap: 100 }, () => {
    return Promise.resolve(60);
  });
  assertEquals(times, [[60]]);
});

Deno.test("where time is up no round begins, once everyone has been timed", async () => {
  const rounds = { counted: 9, warmUp: 1, until: performance.now() };
  assertEquals(await timeInTurn(["a", "b"], rounds, () => Promise.resolve(1)), [[1], [1]]);
});

/** Runs of so many milliseconds on a GPU, for whose end Deno waits in sleeps of 10 ms. */
const queued = (each: number) => (count: number) => Promise.resolve(11 + each * count);

Deno.test("a burst on a GPU is as long as it is wanted, whatever the wait for its end", async () => {
  const steps = await burstOf(queued(0.7), 500);
  assert(0.7 * steps > 400 && 0.7 * steps <= 500, `${steps} steps`);
  assertEquals(await burstOf(queued(4000), 500), 1);
});

Deno.test("the wait for the end of a row is no part of one run's time", async () => {
  assert(Math.abs(await timeOfOne(queued(0.07), 100) / 0.07 - 1) < 1e-9);
});

Deno.test("the median of an even number of values is the mean of the middle two", () => {
  assertEquals(median([9, 1, 5]), 5);
  assertEquals(median([9, 1, 5, 6]), 5.5);
});
