// Weights of committed runs: whoever clones them has the error that is claimed in seconds.
import { assert, assertEquals } from "@std/assert";
import { createHash } from "node:crypto";
import { fileURLToPath } from "node:url";
import { datasetNamed } from "../data/mod.ts";
import { foldersIn, isFile } from "../files/mod.ts";
import { finalTestOf, loggedRun, parseRunLog } from "../log/mod.ts";
import { testOnCifar10 } from "../testing/files/mod.ts";

const REFERENCE = fileURLToPath(new URL("../reports/reference", import.meta.url));
/** Other processors add in another order: an image whose two likeliest classes tie may turn over. */
const MOST_TURNED = 2;

for (const job of await foldersIn(REFERENCE)) {
  for (const folder of await foldersIn(`${job}/runs`)) {
    const weights = `${folder}/weights.safetensors`;
    if (!await isFile(weights)) continue;
    const { start, events } = parseRunLog(await Deno.readTextFile(`${folder}/events.jsonl`));
    const run = loggedRun(events);
    const { set } = start.recipe.data;
    assert(set !== "photographs", `${folder}: no data set that is named`);
    const body = async (data?: string) => {
      const sha256 = createHash("sha256").update(await Deno.readFile(weights)).digest("hex");
      assertEquals(sha256, run.end?.weightsSha256);
      const { images, errors } = await evaluated(weights, data);
      const said = finalTestOf(run)!;
      assertEquals(images, said.images);
      assert(
        Math.abs(errors - said.errors) <= MOST_TURNED,
        `${errors}, the log has ${said.errors}`,
      );
    };
    const name = `${folder.slice(REFERENCE.length + 1)}: its weights err as its log says`;
    if (datasetNamed(set).builtIn) Deno.test(name, () => body());
    else if (set === "cifar10") testOnCifar10(name, body);
  }
}

/** What the command says of a weight file. */
async function evaluated(
  weights: string,
  data?: string,
): Promise<{ readonly images: number; readonly errors: number }> {
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [
      ...["run", "--quiet", "--no-prompt", "--no-check", "-P=evaluate"],
      ...[new URL("evaluate.ts", import.meta.url).href, "--weights", weights, "--json"],
      ...(data === undefined ? [] : ["--data", data]),
    ],
    stdin: "null",
  }).output();
  assertEquals(code, 0, new TextDecoder().decode(stderr));
  return JSON.parse(new TextDecoder().decode(stdout));
}
