// The page that trains, in real browsers: it comes to the weights that the command comes to.
import { assert, assertEquals, assertFalse, assertMatch } from "@std/assert";
import { networkOf, readModel } from "../../audit/mod.ts";
import { loadDataset } from "../../data/mod.ts";
import { wasmEngine } from "../../engine/mod.ts";
import { sha256 } from "../../files/mod.ts";
import { MemoryRun } from "../../log/mod.ts";
import {
  type BrowserPage,
  hasChromium,
  hasFirefox,
  inChromium,
  inFirefox,
  seriousFaults,
} from "../../testing/browser/mod.ts";
import { train } from "../../train/mod.ts";
import { assertOneFile, canBundle, CATCH, serving } from "../_site_fixtures.ts";
import { recipeFor } from "./session.ts";

/** `deno test ... -- 300 FOLDER`: more steps, and pictures; each step's rounding is in all later. */
const [STEPS = 12, PICTURES] = [Number(Deno.args[0] ?? 12), Deno.args[1]];

/** The hash of the weights that the command's loop comes to. */
async function weightsHere(threads: number): Promise<string> {
  const recipe = recipeFor({
    set: "shapes10",
    architecture: "resnet8",
    iterations: STEPS,
    seed: 0,
  });
  const result = await train({
    ...{ recipe, seed: 0, dataset: () => loadDataset("shapes10"), engine: wasmEngine },
    ...{ engineReason: "a test", threads, out: "runs/here", open: new MemoryRun().open },
    ...{ logEvery: 100, evalEvery: 1000, checkpointEvery: 1000, versions: {}, revision: null },
    command: [],
  });
  assert(result.outcome === "finished");
  return result.weights.sha256;
}

const TEXT = "document.body.innerText";
const button = (name: string) =>
  `[...document.querySelectorAll("button:enabled")].find((b) => b.textContent.startsWith("${name}"))`;

/** What holds after a longer time than a page's patience. */
async function atLast(page: BrowserPage, expression: string): Promise<void> {
  for (let more = 15; more > 0; more--) {
    try {
      return await page.until(expression);
    } catch {
      if (await page.evaluate(`${TEXT}.includes("It can’t go on")`)) break;
    }
  }
  throw new Error(
    `${expression} never holds: ${(await page.evaluate<string>(TEXT)).slice(0, 900)}`,
  );
}

/** Fills the form in and begins. */
async function begin(page: BrowserPage, threads: number): Promise<void> {
  await page.until(button("Train this"));
  await page.evaluate(`(() => {
    const form = document.querySelector("form");
    form.closest("details").open = true;
    form.elements.iterations.value = ${STEPS};
    if (!form.elements.threads.disabled) form.elements.threads.value = ${threads};
    ${button("Train this")}.click();
  })()`);
}

/** Presses the button once a step was taken, and waits until what was learned is kept. */
async function pause(page: BrowserPage): Promise<void> {
  await page.evaluate(`(() => {
    const timer = setInterval(() => {
      const pause = ${button("Pause")};
      if (!pause || !/step [1-9]/.test(${TEXT})) return;
      clearInterval(timer);
      pause.click();
    }, 5);
  })()`);
  await atLast(page, `${TEXT}.includes("paused: what was learned is kept")`);
}

/** As after a closed tab, where nothing is left but what was kept; returns what the button says. */
async function goOn(page: BrowserPage, url: string): Promise<string> {
  await page.open(`${url}?again`);
  await page.until(button("Go on from step"));
  const from = await page.evaluate<string>(`${button("Go on from step")}.textContent`);
  await page.evaluate(`${button("Go on from step")}.click()`);
  return from;
}

/** A file that the page saves. */
async function savedBy(page: BrowserPage, name: string): Promise<Uint8Array<ArrayBuffer>> {
  await page.evaluate(`(window.saved = undefined, ${button(name)}.click())`);
  await page.until("window.saved");
  return Uint8Array.fromBase64(
    await page.evaluate<string>(
      `new Promise((resolve) => {
      const reader = new FileReader();
      reader.onload = () => resolve(reader.result.slice(reader.result.indexOf(",") + 1));
      reader.readAsDataURL(saved);
    })`,
    ),
  );
}

/** The hash that the page shows when it is over. */
async function weightsThere(page: BrowserPage): Promise<string> {
  await atLast(page, `document.querySelector(".hash code")`);
  return await page.evaluate<string>(`document.querySelector(".hash code").textContent`);
}

async function picture(page: BrowserPage, name: string): Promise<void> {
  if (PICTURES) await Deno.writeFile(`${PICTURES}/${name}.png`, await page.picture());
}

Deno.test({
  name:
    "the page that trains, in Chromium on two threads, paused, closed and gone on with, comes " +
    "to the same weights as here; nothing moves meanwhile, and axe finds nothing serious " +
    "(needs deno bundle, chromium)",
  ignore: !canBundle || !await hasChromium(),
  fn: () =>
    serving(true, async (origin) => {
      const url = `${origin}/train.html`;
      const expected = await weightsHere(2);
      await inChromium(async (page) => {
        await page.look(1280, 900, "light");
        await page.open(url);
        await begin(page, 2);
        await page.evaluate(`(() => {
          window.moved = [];
          const name = ({ node }) => (node?.nodeName ?? "?") + "." + (node?.className ?? "");
          const observer = new PerformanceObserver((list) => {
            for (const { value, sources } of list.getEntries()) {
              moved.push(value.toFixed(4) + " " + sources.map(name).join(" "));
            }
          });
          // The form that was opened has moved what is below it.
          const frame = requestAnimationFrame;
          frame(() => frame(() => observer.observe({ type: "layout-shift" })));
        })()`);
        await pause(page);
        // What a label of an axis moves by is less than this.
        const moved = await page.evaluate<string[]>("moved");
        assertEquals(moved.filter((line) => parseFloat(line) >= 0.0005), []);
        await picture(page, "paused-1280");

        const from = await goOn(page, url);
        const found = await weightsThere(page);
        if (PICTURES) console.log(STEPS, "Chromium", from, found, expected);
        assertEquals(found, expected);
        assertMatch(await page.evaluate<string>(TEXT), /2 threads of the CPU/);
        assertMatch(
          await page.evaluate<string>(TEXT),
          /1\d of \d+ rules are kept so far/,
        );

        for (const width of [1280, 390]) {
          for (const scheme of ["light", "dark"] as const) {
            await page.look(width, 900, scheme);
            assertEquals(await seriousFaults(page), [], `${width} ${scheme}`);
            const wide = await page.evaluate<number>("document.documentElement.scrollWidth");
            assert(wide <= width, `the page is ${wide} pixels wide in a window of ${width}`);
            await picture(page, `finished-${width}-${scheme}`);
          }
        }
        // What it saves is what the commands read.
        await page.evaluate(`(() => { ${CATCH}; })()`);
        const report = new TextDecoder().decode(await savedBy(page, "report"));
        assertMatch(report, /^<!DOCTYPE html>/);
        const folder = await Deno.makeTempDir();
        try {
          for (const [name, file] of [["safetensors", "a.safetensors"], ["ONNX", "a.onnx"]]) {
            const bytes = await savedBy(page, `weights (${name})`);
            if (file === "a.safetensors") assertEquals(sha256(bytes), found);
            await Deno.writeFile(`${folder}/${file}`, bytes);
            if (PICTURES) await Deno.writeFile(`${PICTURES}/${file}`, bytes);
            const model = await readModel(`${folder}/${file}`);
            assertEquals(networkOf(model, "append").graph.name, "resnet8");
          }
        } finally {
          await Deno.remove(folder, { recursive: true });
        }
        const outside = page.requests.filter((to) =>
          !to.startsWith(url) && !/^(blob|data|about):/.test(to)
        );
        assertEquals(outside, []);
        assertEquals(page.errors, []);
      });
    }),
});

Deno.test({
  name: "the page that trains, in Firefox without isolation, says that it has one thread, and, " +
    "paused, closed and gone on with, comes to the same weights as here where it has relaxed SIMD (needs deno bundle, firefox-esr)",
  ignore: !canBundle || !await hasFirefox(),
  fn: () =>
    serving(false, (origin) =>
      inFirefox(async (page) => {
        await page.open(`${origin}/train.html`);
        await begin(page, 1);
        await pause(page);
        const from = await goOn(page, `${origin}/train.html`);
        const found = await weightsThere(page);
        await picture(page, "firefox");
        const text = await page.evaluate<string>(TEXT);
        assertMatch(text, /1 thread of the CPU/);
        assertMatch(text, /without the headers that isolate it/);
        const expected = await weightsHere(1);
        if (PICTURES) {
          console.log(STEPS, "Firefox", from, found, expected, /wasm: .*/.exec(text)?.[0]);
        }
        if (/no relaxed SIMD/.test(text)) {
          assertFalse(found === expected);
        } else assertEquals(found, expected);
        assertEquals(page.errors, []);
      })),
});

Deno.test({
  name: "the page that trains is one file of at most 1 MB, packed (needs deno bundle)",
  ignore: !canBundle,
  fn: () => assertOneFile("train", 1e6),
});
