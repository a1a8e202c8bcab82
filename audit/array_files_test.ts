// What is read from the files of Keras and Flax, against what Keras and Flax compute.
import { assert, assertEquals } from "@std/assert";
import { arrayModel, type ArrayModelName, images, outputsOf } from "../testing/files/mod.ts";
import { assertTensorClose, inferenceOf } from "../testing/mod.ts";
import { decodeModel, type ModelFile } from "../weights/mod.ts";
import { WeightFileError } from "../resnet/mod.ts";
import { fileSubject } from "./targets.ts";

async function read(name: ArrayModelName): Promise<ModelFile> {
  const beside = () => Promise.reject(new WeightFileError("nothing lies beside it"));
  return await decodeModel({ name, bytes: await arrayModel(name), beside });
}

const TOLERANCE = { absolute: 1e-4, relative: 1e-5 } as const;

for (
  const name of [
    ...["kerasOptionA", "kerasOptionALegacy"] as const,
    ...["kerasNested", "kerasNestedLegacy"] as const,
  ]
) {
  Deno.test(`${name}: the network that is read computes what Keras does`, async () => {
    const file = await read(name);
    assertEquals(file.network?.epsilon, 1e-3);
    assert(file.network?.producer.startsWith("Keras 3."), file.network?.producer);
    const expected = outputsOf(name);
    assert(new Set(expected).size > 10, "outputs that could not tell nets apart");
    const actual = await inferenceOf(file.network!, images());
    assertTensorClose(actual, expected, TOLERANCE, "outputs");
  });
}

Deno.test("Keras: what the model was compiled with is evidence", async () => {
  for (const name of ["kerasOptionA", "kerasOptionALegacy"] as const) {
    const { evidence } = fileSubject(name, await read(name));
    assertEquals(
      evidence?.map(({ rule, outcome }) => [rule, outcome]),
      [["weight-decay", "pass"], ["momentum", "pass"]],
    );
  }
});

Deno.test("Keras: code of the user's own leaves the arrays, in the order of the layers", async () => {
  const file = await read("kerasCustom");
  assertEquals(file.network, undefined);
  assert(file.notes[0].includes("ZeroChannels"), file.notes.join());
  const kernels = [...file.tensors.keys()].filter((name) => name.endsWith("kernel"));
  assertEquals(kernels.map((name) => name.split("/").at(-2)), [
    ...["conv2d", "conv2d_1", "conv2d_2", "conv2d_3", "conv2d_4", "conv2d_5", "conv2d_6", "dense"],
  ]);
});

/** What the arrays compute in the net that their form admits, by its name. */
async function outputsOfArrays(file: ModelFile, net: RegExp) {
  const { candidates } = fileSubject("file", file);
  const { network } = candidates.find(({ name }) => net.test(name))!;
  return await inferenceOf({
    ...{ ...network!, executable: network!, notes: [], departures: [], producer: "" },
  }, images());
}

for (const name of ["flaxVariables", "flaxState", "flaxNpz"] as const) {
  Deno.test(`${name}: the arrays in a net of their form compute what Flax does`, async () => {
    const file = await read(name);
    // bench/peers/array_files.py pads it so, which is not Flax's default.
    const actual = await outputsOfArrays(file, /appended, padded as PyTorch/);
    assertTensorClose(actual, outputsOf(name), TOLERANCE, "logits");
  });
}

Deno.test("Keras: weights alone compute what Keras does, with its padding and its epsilon", async () => {
  const file = await read("kerasOptionAWeights");
  const logits = await outputsOfArrays(file, /both sides, padded as TensorFlow/);
  // The model ends in a softmax.
  const sums = [0, 1].map((i) =>
    logits.subarray(10 * i, 10 * i + 10).reduce((sum, logit) => sum + Math.exp(logit), 0)
  );
  const actual = logits.map((logit, i) => Math.exp(logit) / sums[Math.floor(i / 10)]);
  assertTensorClose(actual, outputsOf("kerasOptionAWeights"), TOLERANCE, "probabilities");
});

Deno.test("Keras: weights alone are those of the model, in the order of the layers", async () => {
  const { network } = await read("kerasOptionA");
  const { candidates, causes } = fileSubject("weights", await read("kerasOptionAWeights"));
  assertEquals(causes?.map(({ id }) => id), ["stem-filters", "widths"]);
  // Padded evenly, as is the network that is read before its windows are made larger.
  const found = candidates.find(({ name }) => name.endsWith("padded as PyTorch pads"))!
    .network!.weights;
  assertEquals([...found.keys()], [...network!.weights.keys()]);
  for (const [name, tensor] of found) {
    assertEquals([name, tensor], [name, network!.weights.get(name)]);
  }
});
