/**
 * Writes the initial weights of an architecture, so that programs in other
 * languages can start from them:
 *
 *     deno run --allow-write=FILE bench/peers/export_weights.ts resnet8 SEED FILE
 */
import { architecture, initialise } from "../../resnet/mod.ts";
import { encodeSafetensors } from "../../weights/mod.ts";

const [name, seed, file] = Deno.args;
if (file === undefined) {
  console.error("export_weights: needs an architecture, a seed and a file to write to.");
  Deno.exit(1);
}
const weights = initialise(architecture(name), Number(seed), "in");
Deno.writeFileSync(file, encodeSafetensors(weights));
