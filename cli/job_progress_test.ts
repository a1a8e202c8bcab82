import { assertEquals, assertStringIncludes } from "@std/assert";
import type { QueuedRun } from "../reproduce/mod.ts";
import { architecture } from "../resnet/mod.ts";
import type { Started } from "../train/mod.ts";
import { JobProgress } from "./_job_progress.ts";

const STEP = {
  iterations: 1000,
  learningRate: 0.1,
  loss: 1,
  error: 0.5,
  images: 640,
  logged: true,
};

const queueOf = (...states: QueuedRun["state"][]): QueuedRun[] =>
  states.map((state, index) => ({
    ...{ index, state, seed: index, name: `run${index}`, folder: "" },
    ...{ architecture: index === 0 ? "resnet20" : "resnet32", recipe: "paper" },
  }));

const STARTED = {
  ...{ iteration: 0, iterations: 1000, graph: architecture("resnet20") },
  engine: { name: "null", device: { summary: "none" } },
  dataset: { name: "shapes10", train: { count: 1 }, test: { count: 1 } },
  split: { training: 1, validation: 0 },
} as Started;

Deno.test("JobProgress: what is left is what was measured, a new network's by its multiply-adds", () => {
  const written: string[] = [];
  const progress = new JobProgress({ columns: undefined, write: (text) => written.push(text) });
  const queue = queueOf("running", "to do", "elsewhere", "diverged");
  progress.queue(queue);
  progress.started(queue[0], STARTED, "a test");
  assertEquals(progress.secondsLeft(), undefined);
  progress.progress(queue[0], { ...STEP, iteration: 5, steps: 5, seconds: 99 }); // warm-up
  assertEquals(progress.secondsLeft(), undefined);
  progress.progress(queue[0], { ...STEP, iteration: 10, steps: 5, seconds: 5 });
  // 990 steps at 1 s, and 1,000 of ResNet-32, which has 69 of 41 million multiply-adds.
  const left = progress.secondsLeft()!;
  assertEquals(Math.round((left - 990) / 1000 * 100) / 100, 1.7);
  progress.started(queue[1], STARTED, "a test");
  progress.queue(queueOf("finished", "running", "elsewhere", "diverged"));
  progress.progress(queue[1], { ...STEP, iteration: 5, steps: 5, seconds: 99 });
  progress.progress(queue[1], { ...STEP, iteration: 100, steps: 5, seconds: 10 });
  assertEquals(progress.secondsLeft(), 900 * 2);
  assertStringIncludes(written.at(-1)!, "run 2/4, 30 min 00 s to go for all  10.0%");
});

Deno.test("JobProgress: counts the runs when one begins or nothing is left", () => {
  const written: string[] = [];
  const progress = new JobProgress({ columns: undefined, write: (text) => written.push(text) });
  progress.queue(queueOf("to do", "begun", "to do"));
  progress.queue(queueOf("running", "begun", "to do"));
  progress.queue(queueOf("diverged", "begun", "to do"));
  progress.queue(queueOf("diverged", "elsewhere", "running"));
  progress.queue(queueOf("diverged", "elsewhere", "finished"));
  assertEquals(written, [
    "runs: 0 of 3 over, 1 running, 1 begun, 1 to do\n",
    "runs: 1 of 3 over (1 of them diverged), 1 running, 1 under way in another process\n",
    "runs: 2 of 3 over (1 of them diverged), 1 under way in another process\n",
  ]);
});
