// The page that predicts, in real browsers: it says what the command says.
import { assertEquals, assertMatch } from "@std/assert";
import { encode } from "fast-png";
import { MEASURED_PREPROCESSINGS, PREPROCESSINGS } from "../../audit/mod.ts";
import { predict } from "../../reports/predict/mod.ts";
import { architecture, initialise } from "../../resnet/mod.ts";
import {
  assertEachLook,
  type BrowserPage,
  hasChromium,
  hasFirefox,
  inChromium,
  inFirefox,
} from "../../testing/browser/mod.ts";
import { printableJson } from "../../text/mod.ts";
import { encodeSafetensors } from "../../weights/mod.ts";
import { assertOneFile, canBundle, give, opened, serving } from "../_site_fixtures.ts";
import { PREPARATIONS } from "./app.tsx";

/** `deno test ... -- FOLDER`: pictures. */
const [PICTURES] = Deno.args;

// Pillow 13.0 of a ramp of 40 x 28: save(quality=60), as JPEG (optimize=True) and as WebP.
const JPEG =
  "/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDAA0JCgsKCA0LCgsODg0PEyAVExISEyccHhcgLikxMC4pLSwzOko+MzZG" +
  "NywtQFdBRkxOUlNSMj5aYVpQYEpRUk//2wBDAQ4ODhMREyYVFSZPNS01T09PT09PT09PT09PT09PT09PT09PT09P" +
  "T09PT09PT09PT09PT09PT09PT09PT09PT0//wAARCAAcACgDASIAAhEBAxEB/8QAFwABAQEBAAAAAAAAAAAAAAAA" +
  "BAUABv/EAB0QAAICAwADAAAAAAAAAAAAAAADBGEBAlERISL/xAAYAQEBAAMAAAAAAAAAAAAAAAAFBAADB//EABwR" +
  "AAIDAQADAAAAAAAAAAAAAAACAQMEEQUTIf/aAAwDAQACEQMRAD8A4FUWhaotFJUWhaotGI5po1k5UWhaotFFUWha" +
  "otFKOMUaycqLRi4qLRiiHFU1/CeqLQtUWhql68FqXrwFRjl1GiQSotC1RaGqXrwWpevClGGaNEglRaMU2a40X8+s" +
  "5z4MR7PLplf1yszPOjFVrMvT/9k=";
const WEBP =
  "UklGRqwAAABXRUJQVlA4IKAAAAAQBQCdASooABwAPq1Gm0mmPiwhNVQMA8AViWwArDLG8ABHPQyLycTcoxtY84DA" +
  "+ypAAP77eQDpr6DbW5gHtgODiNVKqpTH//CG7eX+eVCXzrw4Bocjvf5w3aL73x5rbAyss7GDsfAnVW6a5Z/updvO" +
  "tAz1ZPYxytXYKAEiNfl9VQWZngzKdykTiQrx/flu/2gAPq/yffnv9DkxKUOiv+AA";

const png = encode({
  ...{ width: 30, height: 50, channels: 3 },
  data: Uint8Array.from({ length: 4500 }, (_, i) => (i * 7 + (i >> 5) * 3) % 256),
});
const FILES: ReadonlyMap<string, Uint8Array> = new Map([
  ["net.safetensors", encodeSafetensors(initialise(architecture("resnet8"), 5, "in"))],
  ["pictures/a.jpg", Uint8Array.fromBase64(JPEG)],
  ["pictures/b.webp", Uint8Array.fromBase64(WEBP)],
  ["pictures/c.png", png],
]);
const PHOTOGRAPHS = [...FILES.keys()].filter((path) => path.startsWith("pictures/"));

/** What the command says. */
async function expected(preprocess: string): Promise<string> {
  const folder = await Deno.makeTempDir();
  const before = Deno.cwd();
  try {
    await Deno.mkdir(`${folder}/pictures`);
    for (const [path, bytes] of FILES) await Deno.writeFile(`${folder}/${path}`, bytes);
    Deno.chdir(folder);
    const { json } = await predict("net.safetensors", PHOTOGRAPHS, { preprocess });
    return `${printableJson(json)}\n`;
  } finally {
    Deno.chdir(before);
    await Deno.remove(folder, { recursive: true });
  }
}

/** Chooses what is done to images, and waits for what is said then. */
async function prepared(page: BrowserPage, id: string): Promise<void> {
  await page.evaluate(`(() => {
    document.querySelector("article")?.classList.add("old");
    const select = document.querySelector("select");
    select.value = ${JSON.stringify(id)};
    select.dispatchEvent(new Event("change", { bubbles: true }));
  })()`);
}

async function said(page: BrowserPage): Promise<string> {
  await page.until(`document.querySelector("article:not(.old)")`);
  return await page.evaluate<string>(`([...document.querySelectorAll(".save button")]
    .find((button) => button.textContent.endsWith(".json")).click(), saved.text())`);
}

Deno.test("what the page offers to be done to images is what the command takes", () => {
  for (const [id] of PREPARATIONS.slice(1)) {
    assertEquals([PREPROCESSINGS, MEASURED_PREPROCESSINGS].map((all) => all.includes(id)), [
      ...[true, false],
    ]);
  }
});

for (
  const [name, isThere, inBrowser] of [
    ["Chromium", await hasChromium(), inChromium],
    ["Firefox", await hasFirefox(), inFirefox],
  ] as const
) {
  Deno.test({
    name: `photographs of every format are taken in ${name} for what the command takes them for, ` +
      `and nothing is requested (needs ${name.toLowerCase()})`,
    ignore: !isThere || !canBundle,
    fn: () =>
      serving(true, (origin) =>
        inBrowser(async (page) => {
          await opened(page, `${origin}/predict.html`);
          const before = page.requests.length;
          // The mean of CIFAR-10 is asked for, which was not given: that is said, and mended.
          await give(page, FILES);
          await page.until(`document.querySelector(".why")`);
          assertMatch(
            await page.evaluate<string>(`document.querySelector(".why").textContent`),
            /give it CIFAR-10 as well/,
          );
          for (const id of ["imagenet", "none"]) {
            await prepared(page, id);
            assertEquals(await said(page), await expected(id));
          }
          // What can't be read is named, and the page goes on.
          const cut = new Map([["cut.jpg", Uint8Array.fromBase64(JPEG).subarray(0, 400)]]);
          await give(page, cut);
          await page.until(`document.querySelector(".why")`);
          assertMatch(
            await page.evaluate<string>(`document.querySelector(".why").textContent`),
            /"cut.jpg" can't be decoded: it ends early/,
          );
          await give(page, new Map([...FILES].filter(([path]) => path.startsWith("pictures"))));
          assertEquals(await said(page), await expected("none"));
          const outside = page.requests.slice(before).filter((url) => !/^(blob|data):/.test(url));
          assertEquals([outside, page.errors], [[], []]);
          if (PICTURES) {
            await Deno.writeFile(`${PICTURES}/predict-${name}.png`, await page.picture());
          }
          if ("look" in page) await assertEachLook(page as Parameters<typeof assertEachLook>[0]);
        })),
  });
}

Deno.test({
  name: "the page that predicts is one file of at most 1.5 MB, packed (needs deno bundle)",
  ignore: !canBundle,
  fn: () => assertOneFile("predict", 1.5e6),
});
