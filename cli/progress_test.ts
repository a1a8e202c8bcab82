import { assertEquals } from "@std/assert";
import { MemoryRun } from "../log/mod.ts";
import { tinyRun } from "../testing/runs/mod.ts";
import { train } from "../train/mod.ts";
import { columnsOf, ProgressPrinter, standardError } from "./_progress.ts";

function recorder(columns?: number) {
  const written: string[] = [];
  const output = { columns, write: (text: string) => void written.push(text) };
  return { written, output };
}

const STEP = {
  ...{ iterations: 1000, learningRate: 0.1, loss: 1.23456, error: 0.5 },
  ...{ steps: 5, images: 640, seconds: 2 },
};

Deno.test("ProgressPrinter: plain lines at the log's interval, and the duration once", () => {
  const { written, output } = recorder();
  const printer = new ProgressPrinter(output, () => 0);
  printer.progress({ ...STEP, iteration: 5, logged: false }); // warm-up: not measured
  printer.progress({ ...STEP, iteration: 10, logged: true });
  printer.progress({ ...STEP, iteration: 15, logged: false, validationError: 0.25 });
  assertEquals(written, [
    // 990 steps at 0.4 s.
    "6 min 36 s to go: 990 iterations at 400 ms, from 5 measured\n",
    "  1.0%  6 min 36 s left  iteration 10/1,000  error 50.00%  loss 1.235  rate 0.1  320 images/s\n",
    "iteration 15: validation error 25.00%\n",
  ]);
});

Deno.test("ProgressPrinter: the images that a run begins with are those that it uses", async () => {
  for (
    const [split, said] of [
      [{ training: 60, validation: 10 }, "60 images to train on, 10 to validate and 40 to test on"],
      [{ training: 100, validation: 0 }, "100 images to train on, 40 to test on"],
    ] as const
  ) {
    const { written, output } = recorder();
    await train({
      ...tinyRun("runs/tiny", { stopAfter: 1, open: new MemoryRun().open }, { data: { split } }),
      onStart: (start) => new ProgressPrinter(output).started(start, ""),
    });
    assertEquals(written[0], `resnet8 on shapes10: ${said}\n`);
  }
});

Deno.test("ProgressPrinter: a step of seconds is said in milliseconds, without an exponent", () => {
  const { written, output } = recorder();
  const printer = new ProgressPrinter(output);
  printer.progress({ ...STEP, iteration: 5, logged: false });
  printer.progress({ ...STEP, iteration: 10, seconds: 12.4, logged: false });
  assertEquals(written, ["40 min 55 s to go: 990 iterations at 2480 ms, from 5 measured\n"]);
});

Deno.test("ProgressPrinter: a pause is no part of the time that is left, a machine grown slow is", () => {
  const { written, output } = recorder();
  const printer = new ProgressPrinter(output);
  const left = (iteration: number, seconds: number) => {
    printer.progress({ ...STEP, iteration, seconds, logged: true });
    return written.at(-1)!.slice(8).split(" left")[0];
  };
  left(5, 99); // warm-up
  assertEquals(left(10, 2), "6 min 36 s"); // 990 steps at 0.4 s
  // Ctrl-Z for eight hours.
  assertEquals(left(15, 8 * 3600), "6 min 34 s");
  assertEquals(left(20, 2), "6 min 32 s");
  // From here on steps take 20 s: 15 that were measured took 104 s.
  left(25, 100);
  assertEquals(left(30, 100), "1 h 52 min");
});

Deno.test("ProgressPrinter: on a terminal one line is overwritten and never wraps", () => {
  const { written, output } = recorder(20);
  let now = 0;
  const printer = new ProgressPrinter(output, () => now);
  printer.progress({ ...STEP, iteration: 1, logged: true });
  now = 100; // too soon for another
  printer.progress({ ...STEP, steps: 1, iteration: 2, logged: true });
  printer.line("a line");
  assertEquals(written, ["\r\x1b[K  0.1%  iteration 1", "\r\x1b[K", "a line\n"]);
});

Deno.test("a terminal without a size is none that a line is fitted to", () => {
  const { consoleSize } = Deno;
  const terminal = { isTerminal: () => true };
  try {
    Deno.consoleSize = () => ({ columns: 0, rows: 0 });
    assertEquals(columnsOf(terminal), undefined);
    Deno.consoleSize = () => ({ columns: 60, rows: 20 });
    assertEquals(columnsOf(terminal), 60);
  } finally {
    Deno.consoleSize = consoleSize;
  }
});

Deno.test("who watched is gone: progress that can't be written ends nothing", () => {
  const { writeSync } = Deno.stderr;
  let tried = 0;
  try {
    Deno.stderr.writeSync = () => {
      tried++;
      throw new Deno.errors.BrokenPipe("Broken pipe (os error 32)");
    };
    new ProgressPrinter(standardError()).line("a line");
  } finally {
    Deno.stderr.writeSync = writeSync;
  }
  assertEquals(tried, 1);
});
