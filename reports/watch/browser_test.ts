// The page of `deno task watch` in a real browser.
import { assert, assertEquals, assertFalse, assertMatch } from "@std/assert";
import {
  assertEachLook,
  hasChromium,
  inChromium,
  seriousFaults,
} from "../../testing/browser/mod.ts";
import { fixtureFolder, textOf } from "../../testing/runs/mod.ts";
import { watchHandler } from "./mod.ts";

const RECORDED = [
  '{"type":"start","version":1,"script":{"name":"train.py"},"stopAfter":60}',
  '{"type":"step","iteration":10,"loss":2.3,"error":0.9,"imagesPerSecond":50}',
  '{"type":"step","iteration":20,"loss":2.2,"error":0.8,"imagesPerSecond":50}',
];

Deno.test({
  name: "three runs in Chromium: one running, one recording; curves grow, a filter works, axe " +
    "finds nothing serious, on a phone and in the dark (needs chromium)",
  ignore: !await hasChromium(),
  async fn() {
    const folder = await Deno.makeTempDir();
    const hosts: string[] = [];
    const server = Deno.serve(
      { hostname: "127.0.0.1", port: 0, onListen() {} },
      watchHandler(folder, hosts),
    );
    const origin = `http://127.0.0.1:${server.addr.port}`;
    hosts.push(`127.0.0.1:${server.addr.port}`);
    const path = async (run: string, name: string) => {
      await Deno.mkdir(`${folder}/${run}`, { recursive: true });
      return `${folder}/${run}/${name}`;
    };
    const short = { iterations: 400, logEvery: 20, samples: false } as const;
    const over = textOf(await fixtureFolder({ ...short, seed: 1 }), "events.jsonl");
    await Deno.writeTextFile(await path("over", "events.jsonl"), over);
    const all = textOf(
      await fixtureFolder({ ...short, seed: 2, architecture: "resnet20", ending: "none" }),
      "events.jsonl",
    );
    const lines = all.trimEnd().split("\n");
    const half = lines.length >> 1;
    const running = await path("under-way", "events.jsonl");
    await Deno.writeTextFile(running, `${lines.slice(0, half).join("\n")}\n`);
    const recording = await path("theirs", "recording.jsonl");
    await Deno.writeTextFile(recording, `${RECORDED.join("\n")}\n`);
    try {
      await inChromium(async (page) => {
        await page.look(1280, 900, "light");
        await page.open(`${origin}/`);
        await page.until(`document.querySelectorAll("#runs input").length === 3`);
        // What runs is drawn unasked, and stays when another is added.
        assertEquals(
          await page.evaluate(
            `[...document.querySelectorAll("#runs input:checked")].map(({ value }) => value).sort()`,
          ),
          ["theirs", "under-way"],
        );
        await page.evaluate(`document.querySelector('#runs input[value="over"]').click()`);
        await page.until(`new URLSearchParams(location.search).getAll("run").length === 3`);
        await page.until(`document.querySelector("#compared").textContent.includes("3 runs")`);
        const drawn = `[...document.querySelectorAll("#compared svg path")]
          .map((path) => path.getAttribute("d").length).reduce((sum, length) => sum + length, 0)`;
        await page.until(`document.querySelector("#compared").textContent.includes("80 at 20")`);
        const before = await page.evaluate<number>(drawn);
        assert(before > 0, "no curve is drawn");

        // Both go on, and the page shows it unasked.
        await Deno.writeTextFile(running, `${lines.slice(half).join("\n")}\n`, { append: true });
        await Deno.writeTextFile(
          recording,
          '{"type":"step","iteration":30,"loss":2.0,"error":0.7,"imagesPerSecond":50}\n',
          { append: true },
        );
        await page.until(`document.querySelector("#compared").textContent.includes("70 at 30")`);
        await page.until(`${drawn} > ${before}`);

        // Whoever reads a row, or has scrolled to one, is left there when the next line comes.
        await page.look(390, 900, "light");
        const link = `document.querySelector('#runs a[href="/file/over/events.jsonl"]')`;
        await page.evaluate(
          `${link}.focus(); document.querySelector("#runs .list").scrollTo(60, 0)`,
        );
        await Deno.writeTextFile(
          recording,
          '{"type":"step","iteration":40,"loss":2.0,"error":0.6,"imagesPerSecond":50}\n',
          { append: true },
        );
        await page.until(`document.querySelector("#compared").textContent.includes("60 at 40")`);
        assertEquals(
          await page.evaluate(
            `[document.activeElement === ${link}, document.querySelector("#runs .list").scrollLeft]`,
          ),
          [true, 60],
        );

        await assertEachLook(page);

        await page.evaluate(`(() => {
          const filter = document.querySelector("#filter");
          filter.value = "resnet20";
          filter.dispatchEvent(new Event("input", { bubbles: true }));
        })()`);
        await page.until(`document.querySelectorAll("#runs input").length === 1`);
        assertFalse(
          await page.evaluate(`document.querySelector("#runs").textContent.includes("theirs")`),
        );

        await page.evaluate(`document.body.append(document.createElement("button"))`);
        const [fault = ""] = await seriousFaults(page);
        assertMatch(fault, /^button-name/);

        const outside = page.requests.filter((url) =>
          !url.startsWith(`${origin}/`) && !/^(data|about):/.test(url)
        );
        assertEquals(outside, []);
        assertEquals(page.errors, []);
      });
    } finally {
      await server.shutdown();
      await Deno.remove(folder, { recursive: true });
    }
  },
});
