/** TensorFlow.js's recorder under Node, as a bundle: the same lines, and the same training. */
import { assert, assertEquals } from "@std/assert";
import { packageFolder } from "../engine/tfjs/packages/mod.ts";
import { linesOf, readRecording } from "../log/mod.ts";
import { runProgram } from "../testing/mod.ts";

/** The oldest that it is tried on. */
const OLDEST = 20;

/** Why Node can't run here; undefined if it can. */
function obstacle(): string | undefined {
  for (const command of ["node", Deno.execPath()]) {
    if (Deno.permissions.querySync({ name: "run", command }).state !== "granted") {
      return `${command === "node" ? command : "deno"} may not be run`;
    }
  }
  try {
    const { stdout } = new Deno.Command("node", { args: ["--version"] }).outputSync();
    const version = new TextDecoder().decode(stdout).trim();
    return Number(version.slice(1).split(".")[0]) >= OLDEST
      ? undefined
      : `node ${OLDEST} or newer is needed, and this is ${version}`;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return "there is no node";
    throw error;
  }
}

const here = (name: string) => decodeURIComponent(new URL(name, import.meta.url).pathname);

const why = obstacle();
Deno.test({
  name: `under Node fit, fitDataset and evaluate are recorded, and not changed${
    why === undefined ? "" : ` (not run: ${why})`
  }`,
  ignore: why !== undefined,
  async fn() {
    const folder = await Deno.makeTempDir();
    try {
      const bundled = await runProgram(Deno.execPath(), [
        ...["bundle", "-q", "--no-lock", "-o", `${folder}/recorder.mjs`, here("mod.ts")],
      ], here(".."));
      assertEquals(bundled.code, 0, bundled.errors);
      const library = `${await packageFolder("@tensorflow/tfjs")}/dist/tf.min.js`;
      const train = async (...recorder: readonly string[]) => {
        const args = [here("_fixtures/node.mjs"), library, ...recorder];
        const { code, output, errors } = await runProgram("node", args, folder);
        assertEquals(code, 0, errors);
        assertEquals(errors.includes("tfjs recorder"), false, errors);
        return output;
      };
      const unseen = await train();
      assertEquals(await train(`${folder}/recorder.mjs`, `${folder}/recording`), unseen);

      const { start, lines, notes } = await readRecording(`${folder}/recording`);
      assertEquals(notes, []);
      assertEquals(linesOf(lines, "warning").map(({ message }) => message), []);
      assertEquals([start.recorder.name, start.framework.name], ["tfjs", "tensorflow.js"]);
      assertEquals(Object.keys(start.versions), ["node"]);
      const batches = linesOf(lines, "batch").filter(({ phase }) => phase === "training");
      assertEquals(batches.map(({ loader, epoch, images }) => [loader, epoch, images]), [
        ...[[1, 1, 4], [1, 1, 4]], // fit
        ...[[2, 1, 2], [2, 1, 2], [2, 1, 2]], // fitDataset
        ...[[2, 2, 2], [2, 2, 2], [2, 2, 2]],
      ]);
      assertEquals(batches.flatMap(({ labels }) => [...labels!]), [
        ...[0, 1, 2, 3, 4, 5, 6, 7],
        ...[0, 1, 2, 3, 4, 5],
        ...[0, 1, 2, 3, 4, 5],
      ]);
      // The same images in the second epoch of the data set.
      const hashes = batches.slice(2).flatMap((batch) => [...batch.hashes!]);
      assertEquals(hashes.slice(6), hashes.slice(0, 6));
      const steps = linesOf(lines, "step");
      assertEquals(steps.length, 8);
      const { losses } = JSON.parse(unseen) as { losses: readonly number[] };
      for (const [epoch, [begin, end]] of [[0, 2], [2, 5], [5, 8]].entries()) {
        const mean = steps.slice(begin, end).reduce((sum, { loss }) => sum + loss!, 0) /
          (end - begin);
        assert(
          Math.abs(mean - losses[epoch]) < 1e-4,
          `epoch ${epoch}: ${mean}, not ${losses[epoch]}`,
        );
      }
      assertEquals(linesOf(lines, "evaluation").map(({ images, mode }) => [images, mode]), [
        [5, "evaluation"],
      ]);
      assertEquals(linesOf(lines, "end").map(({ optimizerSteps }) => optimizerSteps), [{ 1: 8 }]);
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  },
});
