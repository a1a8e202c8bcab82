import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { encode } from "fast-png";
import { architecture, initialise } from "../resnet/mod.ts";
import { encodeSafetensors } from "../weights/mod.ts";

Deno.test("evaluate --view tests on a folder of photographs", async () => {
  const folder = await Deno.makeTempDir({ prefix: "cli-test-" });
  try {
    const run = async (...args: string[]) => {
      const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
        args: [
          ...["run", "--quiet", "--no-prompt", "--no-check", "-P=evaluate"],
          new URL("evaluate.ts", import.meta.url).href,
          ...["--weights", `${folder}/net.safetensors`, "--index", `${folder}/index.jsonl`],
          ...["--data", `${folder}/set`, ...args],
        ],
        ...{ stdin: "null", stdout: "piped", stderr: "piped" },
      }).output();
      const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
      return { code, stdout: text(stdout), stderr: text(stderr) };
    };
    const weights = initialise(architecture("resnet8", { classes: 7 }), 5, "in");
    // The network takes everything for the sixth of its seven classes.
    weights.get("linear.bias")!.data[5] = 1000;
    await Deno.writeFile(`${folder}/net.safetensors`, encodeSafetensors(weights));
    const classes = ["g", "f", "e", "d", "c", "b", "a"];
    for (const [i, path] of ["a/1", "b/1", "b/2", "c/1"].entries()) {
      await Deno.mkdir(`${folder}/set/val/${path[0]}`, { recursive: true });
      const data = new Uint8Array(40 * 30 * 3).fill(50 * i);
      await Deno.writeFile(
        `${folder}/set/val/${path}.png`,
        encode({ width: 40, height: 30, channels: 3, data }),
      );
    }
    const unnamed = await run("--view", "1-crop");
    assertEquals(unnamed.code, 1);
    assertStringIncludes(unnamed.stderr, "tells 7 classes apart, and");
    assertStringIncludes(unnamed.stderr, "--classes FILE");

    await Deno.writeTextFile(
      `${folder}/classes.txt`,
      classes.map((c) => `${c} is a class\n`).join(""),
    );
    const named = ["--view", "1-crop", "--classes", `${folder}/classes.txt`];
    const page = `${folder}/page.html`;
    const { code, stdout, stderr } = await run(...named, "--json", "--html", page, "--verbose");
    assertEquals(code, 0, stderr);
    assertStringIncludes(stderr, "chosen by auto");
    const { error, errors, errors5, images, confused, skipped } = JSON.parse(stdout);
    assertEquals([error, errors, images, skipped], [0.5, 2, 4, []]);
    const html = await Deno.readTextFile(page);
    for (const said of ["50.00%", `: ${errors5} of 4 without`, "a → b", "c → b", "a/1.png"]) {
      assertStringIncludes(html, said);
    }
    assertEquals(confused, [{ pair: "a as b", count: 1 }, { pair: "c as b", count: 1 }]);

    // Nothing is computed for a page that can't be written.
    for (const place of [`${folder}/none/page.html`, folder]) {
      const { code, stderr } = await run(...named, "--html", place);
      assertEquals(code, 1);
      assertStringIncludes(stderr, `can't write ${place}`);
      assert(!stderr.includes("ImageNet's channel means"), stderr);
    }

    // Two of ImageNet's classes are both called crane: which of them is meant nobody can tell.
    await Deno.writeTextFile(`${folder}/twice.txt`, "g\nc\ne\nd\nc\nb\na\n");
    const twice = await run("--view", "1-crop", "--classes", `${folder}/twice.txt`);
    assertEquals(twice.code, 1);
    assertStringIncludes(twice.stderr, `names "c", a folder of ${folder}/set/val, 2 times: as`);

    await Deno.writeTextFile(`${folder}/set/val/a/2.jpg`, "no image");
    const refused = await run(...named);
    assertEquals(refused.code, 1);
    assertStringIncludes(refused.stderr, `"a/2.jpg" (JPEG, PNG and WebP can`);
    const skipping = await run(...named, "--broken", "skip");
    assertEquals(skipping.code, 0, skipping.stderr);
    assertStringIncludes(skipping.stdout, "50.00% (2 of 4 wrong)");
    assertStringIncludes(skipping.stdout, `skipped, 1 file: "a/2.jpg"`);

    for (
      const [args, word] of [
        [["--broken", "skip"], "--broken goes with --view"],
        [["--html", "page.html"], "--html goes with --view"],
        [["--view", "1-crop", "--dataset", "cifar10"], "leave out --dataset"],
        [["--view", "1-crop", "--preprocess", "per-pixel"], "ImageNet's channel means"],
      ] as const
    ) {
      const wrong = await run(...args);
      assertEquals(wrong.code, 2, wrong.stderr);
      assertStringIncludes(wrong.stderr, word);
    }
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
