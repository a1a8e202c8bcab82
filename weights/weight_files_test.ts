import { assert, assertAlmostEquals, assertEquals, assertThrows } from "@std/assert";
import { FILES } from "../testing/files/mod.ts";
import {
  architecture,
  countParameters,
  fitWeights,
  initialise,
  WeightFileError,
} from "../resnet/mod.ts";
import { encodeSafetensors } from "./safetensors.ts";
import { decodeWeights } from "./weight_files.ts";

Deno.test("the form is told by the content, whatever the name", () => {
  const formatOf = (name: keyof typeof FILES) =>
    decodeWeights(Uint8Array.fromBase64(FILES[name]), "model.bin").format;
  assertEquals(formatOf("safetensors"), "safetensors");
  assertEquals(formatOf("pytorchZip"), "pytorch-zip");
  assertEquals(formatOf("pytorchLegacyNested"), "pytorch-legacy");
});

Deno.test("a refusal names the file", () => {
  for (const content of ["", "hello", "a text that is no file of weights", "PK\x03\x04"]) {
    const error = assertThrows(
      () => decodeWeights(new TextEncoder().encode(content), "runs/a/model.bin"),
      WeightFileError,
    );
    assert(error.message.startsWith("runs/a/model.bin: "), error.message);
  }
});

Deno.test("a network's weights survive a file", () => {
  const graph = architecture("resnet20", { shortcut: "B" });
  const weights = initialise(graph, 1, "in");
  const { tensors, metadata } = decodeWeights(encodeSafetensors(weights, { seed: "1" }), "w");
  assertEquals(fitWeights(graph, tensors, "w"), weights);
  assertEquals(metadata, { seed: "1" });
});

const PRETRAINED = new URL("../../shared/pretrained", import.meta.url);

function isPresent(file: URL): boolean {
  try {
    return Deno.statSync(file).isFile;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotCapable) {
      return false;
    }
    throw error;
  }
}

// Computed by PyTorch 2.13.0: torch.load(file, "cpu", weights_only=False), then
// the sum and the sum of squares over the 64-bit copies of all arrays of
// "state_dict", the first values of linear.bias and element 1000 of
// layer2.0.conv1.weight.
const CHECKPOINTS = [
  {
    file: "resnet20-12fca82f.th",
    name: "resnet20",
    arrays: 97,
    sum: 139.7826495598208,
    squares: 10987.817166808309,
    bias: [0.19355906546115875, -0.3431008756160736, 0.11120541393756866],
    element: -0.055274203419685364,
  },
  {
    file: "resnet32-d509ac18.th",
    name: "resnet32",
    arrays: 157,
    sum: 721.5178900284966,
    squares: 18430.39608765589,
    bias: [0.1762789636850357, -0.3966769874095917, 0.09322787821292877],
    element: -0.012151636183261871,
  },
];

for (const { file, name, arrays, sum, squares, bias, element } of CHECKPOINTS) {
  const url = new URL(file, PRETRAINED);
  Deno.test({
    name: `a checkpoint of PyTorch 0.4's time is read (needs ../shared/pretrained/${file})`,
    ignore: !isPresent(url),
    fn: () => {
      const graph = architecture(name);
      const { tensors, format } = decodeWeights(Deno.readFileSync(url), file);
      assertEquals(format, "pytorch-legacy");
      assertEquals(tensors.size, arrays);
      const weights = fitWeights(graph, tensors, file);
      assertEquals(weights.size, arrays);

      const trainable = [...weights].filter(([name]) => !name.includes(".running_"));
      assertEquals(
        trainable.reduce((count, [, { data }]) => count + data.length, 0),
        countParameters(graph),
      );
      let actualSum = 0, actualSquares = 0;
      for (const { data } of weights.values()) {
        for (const value of data) {
          actualSum += value;
          actualSquares += value ** 2;
        }
      }
      // Exact values in another order of 64-bit addition.
      assertAlmostEquals(actualSum, sum, 1e-9);
      assertAlmostEquals(actualSquares, squares, 1e-7);
      assertEquals([...weights.get("linear.bias")!.data.slice(0, 3)], bias);
      assertEquals(weights.get("layer2.0.conv1.weight")!.data[1000], element);
    },
  });
}
