/**
 * Runs one command over and over in one process, with faults: a start of Deno
 * takes ten times as long as a short training. A process that a fault ends
 * throws, and is then kept from every file; its locks are freed.
 *
 * Arguments: the scenario, the folder, the folder of a finished training, and
 * the starts, as JSON. Prints a line of JSON for each.
 */
import { datasetNamed } from "../data/mod.ts";
import type { ByteImages } from "../engine/mod.ts";
import { RandomStream } from "../random/mod.ts";
import { RECIPES, vary } from "../recipes/mod.ts";
import { type Case, Ended, FaultyDisk, type Kind } from "./_faults.ts";
import { outcomeOf, prepare, SCENARIOS } from "./_scenarios.ts";

/** What a list of faults, one a start, and an undisturbed start behind them came to. */
export interface Result {
  /** The files' hashes; undefined where something is wrong. */
  readonly outcome?: string;
  readonly problem?: string;
  /** The operations of the last start. */
  readonly kinds: readonly Kind[];
}

/** How one start of the command ended. */
interface Start {
  /** The exit status; undefined where a fault ended it. */
  readonly code: number | undefined;
  readonly said: string;
}

/** A few images of noise in place of 12,000 drawn ones, which take longer than the training. */
function useFewImages(): void {
  const set = datasetNamed("shapes10");
  const images = (count: number, part: number): ByteImages => {
    const random = new RandomStream(0, "probe", 0, part);
    const pixels = Uint8Array.from({ length: count * 32 * 32 * 3 }, () => random.below(256));
    const labels = Uint8Array.from({ length: count }, (_, i) => i % 10);
    return { count, height: 32, width: 32, channels: 3, pixels, labels, classes: 10 };
  };
  const [train, test] = [images(10, 0), images(10, 1)];
  Object.assign(set, {
    ...{ trainingImages: train.count, testImages: test.count },
    split: { training: 6, validation: 4 },
    load: () => Promise.resolve({ train, test, hashes: set.hashes }),
  });
}

/**
 * Makes cheaper what touches no file: the same code is compiled once, the engine's self-test has
 * the one thread that the training has, and a job's batches are as small.
 */
function startSoon(): void {
  const { compile } = WebAssembly;
  const compiled = new WeakMap<object, Promise<WebAssembly.Module>>();
  WebAssembly.compile = (bytes) => {
    const module = compiled.get(bytes) ?? compile(bytes);
    compiled.set(bytes, module);
    return module;
  };
  Object.defineProperty(navigator, "hardwareConcurrency", { value: 1 });
  // A job takes a recipe by its name, and has no flag for a batch that fits the few images.
  const { demo } = RECIPES;
  const few = { batchSize: 2, batchNormImages: 2 };
  Object.assign(RECIPES, { demo: (name?: string) => vary(demo(name), few, "a start is cheaper") });
}

async function main([name, folder, finished, json]: readonly string[]): Promise<void> {
  const scenario = SCENARIOS[name];
  const cases: readonly (readonly Case[])[] = JSON.parse(json);
  Object.defineProperty(Deno, "args", { value: scenario.args(folder) });
  useFewImages();
  const say = console.log;
  let said = "";
  let code: number | undefined;
  Object.assign(console, {
    log: () => {},
    error: (text: string) => said += `${text}\n`,
  });
  Object.assign(Deno, {
    exit: (status = 0) => {
      code ??= status;
      throw new Ended();
    },
  });
  startSoon();
  const disk = new FaultyDisk();
  const { start } = await import(new URL(`../cli/${scenario.program}`, import.meta.url).href);

  const run = async (fault: Case): Promise<Start> => {
    [said, code] = ["", undefined];
    disk.begin(fault);
    await start().catch((error: unknown) => {
      if (!(error instanceof Ended)) throw error;
    });
    const killed = disk.isDead;
    disk.end();
    return { code: killed ? undefined : code, said };
  };
  for (const faults of cases) {
    prepare(scenario, folder, finished);
    let problem: string | undefined;
    let last: Start | undefined;
    for (const fault of [...faults, { fault: "before", k: 0 } as const]) {
      last = await run(fault);
      if (last.code === undefined || last.code === 0) {
        if (last.code === 0) break;
        continue;
      }
      if (last.said.includes("unexpected, please report it")) problem = `called a defect: ${said}`;
      else if (fault.k === 0 || last.code !== 1) problem = `status ${last.code}: ${last.said}`;
      if (problem) break;
    }
    let outcome: string | undefined;
    try {
      if (!problem) outcome = outcomeOf(scenario, folder);
    } catch (error) {
      problem = String(error);
    }
    say(JSON.stringify({ outcome, problem: problem?.slice(-600), kinds: disk.kinds }));
  }
}

if (import.meta.main) await main(Deno.args);
