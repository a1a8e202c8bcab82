// Trainings in a browser come to the weights that the command comes to.
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { loadDataset } from "../../data/mod.ts";
import { wasmEngine } from "../../engine/mod.ts";
import { MemoryRun } from "../../log/mod.ts";
import { hasChromium, inChromium, type Page } from "../../testing/browser/mod.ts";
import { train } from "../../train/mod.ts";
import { recipeFor } from "./session.ts";
import type { Told, TrainAsked } from "./messages.ts";

/** More of them by hand: the rounding of each step is in all that follow. */
const STEPS = Number(Deno.args[0] ?? 12);
const WANTED = { set: "shapes10", architecture: "resnet8", iterations: STEPS, seed: 0 } as const;

/** The hash of the weights that the same loop comes to here. */
async function weightsHere(threads: number): Promise<string> {
  const result = await train({
    ...{ recipe: recipeFor(WANTED), seed: WANTED.seed, dataset: () => loadDataset("shapes10") },
    ...{ engine: wasmEngine, engineReason: "a test", threads, out: "runs/here" },
    ...{ open: new MemoryRun().open, logEvery: 100, evalEvery: 1000, checkpointEvery: 1000 },
    ...{ versions: {}, revision: null, command: [] },
  });
  assert(result.outcome === "finished");
  return result.weights.sha256;
}

/** What a page needs to talk to the worker; the worker's policy is the page's. */
const HTML = `<!DOCTYPE html><title>Training</title><script type="module">
  const program = await (await fetch("worker.js")).text();
  const worker = new Worker(
    URL.createObjectURL(new Blob([program], { type: "text/javascript" })), { type: "module" });
  window.told = [];
  worker.onmessage = ({ data }) => told.push(data);
  worker.onerror = (event) => told.push({ type: "refused", message: event.message });
  window.ask = (asked) => worker.postMessage(asked);
</script>`;
const POLICY = "default-src 'none'; connect-src 'self'; worker-src blob:; " +
  "script-src 'unsafe-inline' 'wasm-unsafe-eval' blob:";
const ISOLATED = {
  "Cross-Origin-Opener-Policy": "same-origin",
  "Cross-Origin-Embedder-Policy": "require-corp",
};

async function bundled(): Promise<string> {
  const { success, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["task", "-q", "web:bundle"],
    cwd: new URL("../../", import.meta.url),
  }).output();
  assert(success, new TextDecoder().decode(stderr));
  return await Deno.readTextFile(new URL("../bundle/train_worker.js", import.meta.url));
}

/** Answers with the page, isolated where the path says so. */
function serve(program: string): Deno.HttpServer<Deno.NetAddr> {
  return Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, ({ url }) => {
    const { pathname } = new URL(url);
    const isScript = pathname.endsWith(".js");
    return new Response(isScript ? program : HTML, {
      headers: {
        "Content-Type": isScript ? "text/javascript" : "text/html",
        "Content-Security-Policy": POLICY,
        ...(pathname.startsWith("/isolated/") ? ISOLATED : {}),
      },
    });
  });
}

const said = (type: Told["type"]) => `told.find(({ type }) => type === "${type}")`;

/** Trains on a page; returns what the worker said last. */
async function trainOn(page: Page, asked: Omit<TrainAsked, "type">): Promise<Told> {
  await page.until(`window.told && ${said("ready")}`);
  await page.evaluate(`ask(${JSON.stringify({ type: "train", ...asked })})`);
  const ends = `told.find(({ type }) => /^(stopped|finished|refused)$/.test(type))`;
  for (let waits = 0; waits < 30; waits++) {
    try {
      await page.until(ends);
      break;
    } catch {
      // Longer trainings than a page's patience.
    }
  }
  const told = await page.evaluate<Told>(ends);
  assert(told.type !== "refused", JSON.stringify(told));
  return told;
}

Deno.test({
  name:
    "a training in Chromium, on two threads and closed in the middle, and on one in a page that is " +
    "not isolated, comes to the weights of the same training here (needs chromium)",
  ignore: !await hasChromium(),
  async fn() {
    const server = serve(await bundled());
    const origin = `http://127.0.0.1:${server.addr.port}`;
    try {
      const expected = { 1: await weightsHere(1), 2: await weightsHere(2) };
      await inChromium(async (page) => {
        const asked = { run: "two-threads", wanted: WANTED, engine: "wasm", threads: 2 };
        await page.open(`${origin}/isolated/`);
        const half = await trainOn(page, { ...asked, stopAfter: STEPS >> 1 });
        assertEquals(half, { type: "stopped", iteration: STEPS >> 1 });
        await page.open(`${origin}/isolated/?again`);
        const whole = await trainOn(page, asked);
        assert(whole.type === "finished");
        assertEquals(whole.weightsSha256, expected[2]);
        const { iteration } = await page.evaluate<{ iteration: number }>(said("started"));
        assertEquals(iteration, STEPS >> 1, "it began anew");

        await page.open(`${origin}/`);
        const alone = await trainOn(page, { run: "alone", wanted: WANTED, engine: "wasm" });
        assert(alone.type === "finished");
        assertEquals(alone.weightsSha256, expected[1], "a page that is not isolated");
        const { device } = await page.evaluate<{ device: string }>(said("started"));
        assertStringIncludes(device, "1 thread of the CPU");
        if (Deno.args.length > 0) console.log(STEPS, expected, whole, alone, device);
        assertEquals(page.errors, []);
      });
    } finally {
      await server.shutdown();
    }
  },
});
