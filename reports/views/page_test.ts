import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { decode, encode } from "fast-png";
import { AS_TORCHVISION, indexPhotographs } from "../../data/photographs/mod.ts";
import { viewsPage } from "./page.ts";

Deno.test("a test's page has its errors, the confused pairs, and its mistakes as thumbnails", async () => {
  const folder = await Deno.makeTempDir({ prefix: "views-test-" });
  try {
    const sizes = {
      "a/tall": [50, 200],
      "a/small": [40, 30],
      "b/wide": [300, 150],
      "b/gone": [9, 9],
    };
    for (const [path, [width, height]] of Object.entries(sizes)) {
      await Deno.mkdir(`${folder}/${path[0]}`, { recursive: true });
      const data = new Uint8Array(width * height * 3).fill(70);
      await Deno.writeFile(`${folder}/${path}.png`, encode({ width, height, channels: 3, data }));
    }
    const index = await indexPhotographs(folder, { index: `${folder}.index` });
    await Deno.remove(`${folder}/b/gone.png`);
    const hostile = '<b>"&';
    const tested = {
      ...{ network: "net", view: "1-crop", index, rules: AS_TORCHVISION, images: 40, errors: 10 },
      confused: [{ label: "cat", taken: hostile, count: 7 }],
      mistakes: index.photographs.map((_, place) => ({
        ...{ place, label: "cat", taken: hostile, confidence: 0.9, labelProbability: 0.05 },
      })),
      facts: [["Weights", "ff"]] as const,
    };
    const html = await viewsPage({ ...tested, errors5: 4 });
    const text = html.slice(html.indexOf("<body>")).replace(/<[^>]*>/g, " ").replace(/\s+/g, " ");
    for (
      const said of [
        // Wilson's intervals, of 10 and of 4 in 40, by Python's floats.
        "25.00% test error (top-1), 1-crop, 95% interval 14.19% to 40.19%",
        "10.00%, 95% interval 3.96% to 23.05%: 4 of 40 without their class",
        "cat &lt;b",
        "(90.0%)",
        "cat: 5.0%",
      ]
    ) assertStringIncludes(text, said);
    assertStringIncludes(text, "b/gone.png");
    assertStringIncludes(text, "can't be shown");
    // [width, height], no larger than 96 a side, in their own shape, and never enlarged.
    const pictures = [...html.matchAll(/src="data:image\/png;base64,([^"]+)"/g)]
      .map(([, data]) => decode(Uint8Array.fromBase64(data)));
    assertEquals(pictures.map(({ width, height }) => [width, height]), [[40, 30], [24, 96], [
      96,
      48,
    ]]);
    assert(pictures.every(({ data }) => data.every((byte) => byte === 70)));
    assert(!/<script|<b>|https?:(?!\/\/www\.w3\.org)/.test(html));
    const few = await viewsPage({ ...tested, mistakes: [], confused: [], errors: 0 });
    const long = "n".repeat(200);
    const named = await viewsPage({
      ...tested,
      confused: [{ label: long, taken: `${long}-left`, count: 1 }],
      mistakes: [{ ...tested.mistakes[0], label: long, taken: `${long}-left` }],
    });
    const shown = named.slice(named.indexOf("<body>")).replace(/<[^>]*>/g, " ");
    assert(!shown.includes("n".repeat(50)) && shown.includes("nnn-left"));
    assert(!few.includes("op-5") && !few.includes("Surest"));
  } finally {
    await Deno.remove(folder, { recursive: true });
    await Deno.remove(`${folder}.index`).catch(() => {});
  }
});
