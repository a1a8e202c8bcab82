import { assert, assertEquals, assertThrows } from "@std/assert";
import { createHash } from "node:crypto";
import { sha256OfWords } from "../files/mod.ts";
import { RandomStream } from "../random/mod.ts";
import { architecture, initialise, WeightFileError, type Weights } from "../resnet/mod.ts";
import {
  type Checkpoint,
  decodeCheckpoint,
  encodeCheckpoint,
  identityOf,
  preparationIn,
  type RunIdentity,
  weightMetadata,
  weightsOf,
} from "./checkpoint.ts";
import { decodeSafetensors, encodeSafetensors } from "../weights/mod.ts";
import { imagenet, paper, withImageSize } from "../recipes/mod.ts";

const GRAPH = architecture("resnet8");
const IDENTITY: RunIdentity = {
  recipe: paper("resnet8"),
  seed: 1,
  classes: 10,
  dataHashes: { a: "b" },
  meanSha256: "c",
};

function example(): Checkpoint {
  const weights = initialise(GRAPH, 1, "in");
  const momentum: Weights = new Map(
    [...initialise(GRAPH, 2, "in")].filter(([name]) => !name.includes("running_")),
  );
  return {
    state: { iteration: 321, weights, slots: new Map([["velocity", momentum]]) },
    progress: {
      window: {
        steps: 21,
        images: 168,
        loss: 0.1 + 0.2,
        errors: 5,
        seconds: 1.5,
        learningRate: 0.1,
      },
      warmUp: { ended: true, errors: 0, images: 0 },
      trainingSeconds: 7.25,
      bestValidation: { iteration: 300, error: 1 / 3 },
    },
  };
}

Deno.test("a checkpoint comes back bit for bit", () => {
  const checkpoint = example();
  const bytes = encodeCheckpoint(checkpoint, IDENTITY);
  assertEquals(decodeCheckpoint(bytes, GRAPH, IDENTITY, "file"), checkpoint);
  // Of mixed precision.
  const state = { ...checkpoint.state, lossScaling: { scale: 32768, goodSteps: 1999 } };
  const scaled = encodeCheckpoint({ ...checkpoint, state }, IDENTITY);
  assertEquals(decodeCheckpoint(scaled, GRAPH, IDENTITY, "file").state, state);
});

Deno.test("every damaged byte is found, wherever it is", () => {
  const bytes = encodeCheckpoint(example(), IDENTITY);
  const random = new RandomStream(3, "probe", 0);
  const header = Number(new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true));
  for (let i = 0; i < 60; i++) {
    // Half of them in the header, which is a small part of the file.
    const at = i % 2 ? random.below(bytes.length) : 8 + random.below(header);
    const damaged = bytes.slice();
    damaged[at] ^= 1 << random.below(8);
    assertThrows(
      () => decodeCheckpoint(damaged, GRAPH, IDENTITY, "file"),
      WeightFileError,
      undefined,
      `byte ${at}`,
    );
  }
  for (const length of [0, 7, 100, header, bytes.length - 1]) {
    assertThrows(
      () => decodeCheckpoint(bytes.subarray(0, length), GRAPH, IDENTITY, "file"),
      WeightFileError,
    );
  }
});

/** The digest as its definition has it: names and contents, in order. */
function digestOf(tensors: Weights, metadata: Readonly<Record<string, string>>): string {
  const hash = createHash("sha256");
  for (const key of Object.keys(metadata).sort()) hash.update(`${key}\0${metadata[key]}\0`);
  for (const name of [...tensors.keys()].sort()) {
    const { data } = tensors.get(name)!;
    hash.update(`${name}\0`).update(new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
  }
  return hash.digest("hex");
}

Deno.test("a checkpoint from before there were slots gives the same state, bit for bit", () => {
  const checkpoint = example();
  const { tensors, metadata } = decodeSafetensors(encodeCheckpoint(checkpoint, IDENTITY));
  const { digest, ...described } = metadata;
  assertEquals(digestOf(tensors, described), digest);
  const slot = "optimiser.velocity.";
  const old = new Map(
    [...tensors].map(([name, tensor]) => [
      name.startsWith(slot) ? `momentum.${name.slice(slot.length)}` : name,
      tensor,
    ]),
  );
  assert(old.has("momentum.conv1.weight"));
  const bytes = encodeSafetensors(old, { ...described, digest: digestOf(old, described) });
  assertEquals(decodeCheckpoint(bytes, GRAPH, IDENTITY, "file"), checkpoint);
  assertEquals([...weightsOf(old).keys()], [...checkpoint.state.weights.keys()]);
  assertEquals([...weightsOf(tensors).keys()], [...checkpoint.state.weights.keys()]);
});

Deno.test("a checkpoint of another run or network is refused", () => {
  const bytes = encodeCheckpoint(example(), IDENTITY);
  assertThrows(
    () => decodeCheckpoint(bytes, GRAPH, { ...IDENTITY, seed: 2 }, "file"),
    WeightFileError,
    "file belongs to another run",
  );
  assertThrows(
    () => decodeCheckpoint(bytes, architecture("resnet14"), IDENTITY, "file"),
    WeightFileError,
  );
});

Deno.test("identityOf: what weightMetadata wrote, nothing for files of others, no guess", () => {
  const metadata = weightMetadata("weights", IDENTITY, 9);
  assertEquals(identityOf(metadata), IDENTITY);
  assertEquals(metadata.iteration, "9");
  assertEquals(identityOf({ format: "pt" }), undefined);
  const mean = Float32Array.of(1, 2, 3);
  const preparation = {
    normalisation: { scale: 1, beforePadding: true, mean, std: Float32Array.of(1, 1, 1) },
    ...{ sha256: sha256OfWords(mean), of: "a mean" },
  };
  const recipe = withImageSize(imagenet("resnet8"), 1, "small");
  const run = { ...IDENTITY, recipe, meanSha256: preparation.sha256 };
  const ofPhotographs = weightMetadata("weights", run, 9, { classes: ["a"], preparation });
  assertEquals(preparationIn(ofPhotographs, run), preparation);
  // Another mean than the run's is not believed, and nothing is guessed.
  assertEquals(preparationIn(ofPhotographs, { ...run, meanSha256: "c" }), undefined);
  const larger = { ...run, recipe: imagenet("resnet8") };
  assertEquals(preparationIn(ofPhotographs, larger), undefined);
  assertEquals(preparationIn({ ...ofPhotographs, preparation: "{" }, run), undefined);
  for (const identity of ["{", "{}", "null"]) {
    const error = assertThrows(() => identityOf({ kind: "weights", identity }), WeightFileError);
    assert(error.message.includes(`found "${identity}"`), error.message);
  }
});
