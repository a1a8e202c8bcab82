/**
 * Writes `shapes10` in CIFAR-10's binary format, so that programs in other
 * languages can read it:
 *
 *     deno run --allow-write=FOLDER bench/peers/export_shapes10.ts FOLDER
 *
 * `FOLDER/train.bin` and `FOLDER/test.bin`: a label byte and 3072 planar bytes an image.
 */
import { loadDataset } from "../../data/mod.ts";

const [folder] = Deno.args;
if (folder === undefined) {
  console.error("export_shapes10: which folder to write to? Give it as the only argument.");
  Deno.exit(1);
}
const { train, test } = await loadDataset("shapes10");
Deno.mkdirSync(folder, { recursive: true });
for (const [name, images] of Object.entries({ train, test })) {
  const plane = images.height * images.width;
  const record = 1 + plane * images.channels;
  const bytes = new Uint8Array(images.count * record);
  for (let i = 0; i < images.count; i++) {
    bytes[i * record] = images.labels[i];
    for (let p = 0; p < plane; p++) {
      for (let c = 0; c < images.channels; c++) {
        bytes[i * record + 1 + c * plane + p] =
          images.pixels[(i * plane + p) * images.channels + c];
      }
    }
  }
  Deno.writeFileSync(`${folder}/${name}.bin`, bytes);
}
