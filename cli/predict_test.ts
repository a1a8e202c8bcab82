import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { encode } from "fast-png";
import { architecture, initialise } from "../resnet/mod.ts";
import { encodeSafetensors } from "../weights/mod.ts";
import { freshState, PLAIN_SGD, wasmEngine } from "../engine/mod.ts";
import { paper } from "../recipes/mod.ts";

Deno.test("predict says what the network gives, as text, as JSON and as a page", async () => {
  const folder = await Deno.makeTempDir({ prefix: "cli-test-" });
  try {
    const run = async (...args: string[]) => {
      const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
        args: [
          ...["run", "--quiet", "--no-prompt", "--no-check", "-P=predict"],
          new URL("predict.ts", import.meta.url).href,
          ...args,
        ],
        ...{ stdin: "null", stdout: "piped", stderr: "piped" },
      }).output();
      const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
      return { code, stdout: text(stdout), stderr: text(stderr) };
    };
    const graph = architecture("resnet8");
    const weights = initialise(graph, 5, "in");
    await Deno.writeFile(`${folder}/net.safetensors`, encodeSafetensors(weights));
    const paths = [`${folder}/a.png`, `${folder}/b.png`];
    const pixels = paths.map((_, i) =>
      Uint8Array.from({ length: 3072 }, (_, at) => (at * (7 + i * 4) + (at >> 5) * 3) % 256)
    );
    for (const [i, path] of paths.entries()) {
      const image = { width: 32, height: 32, channels: 3, data: pixels[i] } as const;
      await Deno.writeFile(path, encode(image));
    }
    const constant = ["--weights", `${folder}/net.safetensors`, "--preprocess", "none"];
    const page = `${folder}/page.html`;
    const { code, stdout, stderr } = await run(...constant, "--json", "--html", page, ...paths);
    assertEquals(code, 0, stderr);
    const { predictions } = JSON.parse(stdout);

    const engine = await wasmEngine.create({
      ...{ graph, batchSize: 2, optimiser: PLAIN_SGD, cropPadding: 0, threads: 1 },
      batchNorm: paper("resnet20").batchNorm,
    });
    await engine.importState(freshState(graph, PLAIN_SGD, weights));
    const input = Float32Array.from([...pixels[0], ...pixels[1]], (byte) => byte / 255);
    const { output } = await engine.probe({ input, images: 2, mode: "inference" });
    engine.dispose();
    for (const i of [0, 1]) {
      const logits = [...output.subarray(10 * i, 10 * i + 10)];
      const sum = logits.reduce((sum, logit) => sum + Math.exp(logit), 0);
      const expected = logits.map((logit, label) => ({ label, probability: Math.exp(logit) / sum }))
        .toSorted((a, b) => b.probability - a.probability).slice(0, 5);
      const { image, top } = predictions[i];
      assertEquals(image, paths[i]);
      assertEquals(
        top.map(({ label }: { label: number }) => label),
        expected.map(({ label }) => label),
      );
      assert(Math.abs(top[0].probability - expected[0].probability) < 1e-5);
    }
    const html = await Deno.readTextFile(page);
    assertStringIncludes(html, predictions[0].top[0].class);
    assertEquals(html.match(/data:image\/png/g)?.length, 4);

    const wrong = await run(...constant, `${folder}/net.safetensors`);
    assertEquals(wrong.code, 1);
    assertStringIncludes(wrong.stderr, "JPEG, PNG and WebP can");
    assertEquals((await run(...constant)).code, 2);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
