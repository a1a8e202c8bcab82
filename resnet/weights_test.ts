import { assert, assertEquals, assertThrows } from "@std/assert";
import { architecture } from "./architectures.ts";
import { type Graph, parametersOf, sizeOf } from "./graph.ts";
import {
  fitWeights,
  type Tensor,
  underTorchvisionsNames,
  WeightFileError,
  type Weights,
  withNewHead,
} from "./weights.ts";

/** Arrays of a graph's names and shapes, each filled with its own number. */
const arraysOf = (graph: Graph): Weights =>
  new Map(
    parametersOf(graph).map(({ name, shape }, i) => [
      name,
      { shape, data: new Float32Array(sizeOf(shape)).fill(i) },
    ]),
  );

const graph = architecture("resnet20");
const weights = arraysOf(graph);

/** The same arrays under other names. */
const renamed = (weights: Weights, rename: (name: string) => string): Map<string, Tensor> =>
  new Map([...weights].map(([name, tensor]) => [rename(name), tensor]));

const scalar: Tensor = { shape: [], data: Float32Array.of(1) };

function refusal(found: Weights, network = graph): string {
  return assertThrows(() => fitWeights(network, found, "some.th"), WeightFileError).message;
}

Deno.test("the graph's arrays come in its order, whatever the file's", () => {
  const fitted = fitWeights(graph, new Map([...weights].reverse()), "some.th");
  assertEquals([...fitted.keys()], [...weights.keys()]);
  assertEquals(fitted, weights);
});

Deno.test("wrappers' prefixes are removed", () => {
  for (const prefix of ["module.", "_orig_mod.", "model.", "module._orig_mod.", "model.module."]) {
    const found = renamed(weights, (name) => prefix + name);
    assertEquals([...fitWeights(graph, found, "some.th").keys()], [...weights.keys()]);
  }
});

Deno.test("torchvision's and the CIFAR nets' names fit each other", () => {
  const torchvision = (name: string) =>
    name.replace(".shortcut.", ".downsample.").replace("linear.", "fc.");
  const cifar = (name: string) =>
    name.replace(".downsample.", ".shortcut.").replace("fc.", "linear.");
  for (const name of ["resnet18-cifar", "resnet18"]) {
    const network = architecture(name);
    const original = arraysOf(network);
    for (const rename of [torchvision, cifar]) {
      const fitted = fitWeights(network, renamed(original, rename), "some.th");
      assertEquals([...fitted.keys()], [...original.keys()]);
      for (const [name, { data }] of fitted) assertEquals(data[0], original.get(name)!.data[0]);
    }
  }
});

Deno.test("num_batches_tracked is ignored", () => {
  const found = new Map(weights).set("bn1.num_batches_tracked", scalar)
    .set("module.layer1.0.bn1.num_batches_tracked", scalar);
  assertEquals(fitWeights(graph, found, "some.th").size, weights.size);
});

Deno.test("missing, unexpected and misshapen arrays are named", () => {
  const found = new Map(weights).set("fc2.weight", scalar)
    .set("conv1.weight", { shape: [16, 1, 3, 3], data: new Float32Array(144) });
  found.delete("layer3.2.bn2.running_var");
  assertEquals(
    refusal(found),
    'some.th does not fit resnet20: 1 array missing: "layer3.2.bn2.running_var"; ' +
      '1 array unexpected: "fc2.weight"; ' +
      '1 array of another shape: "conv1.weight" (expected [16, 3, 3, 3], found [16, 1, 3, 3]). ' +
      "Its arrays are those of no architecture here: choose the file or --arch that belongs to it",
  );
});

Deno.test("long lists are cut, and the architecture that fits is named", () => {
  assertEquals(
    refusal(arraysOf(architecture("resnet32"))),
    'some.th does not fit resnet20: 60 arrays unexpected: "layer1.3.conv1.weight", ' +
      '"layer1.3.bn1.weight", "layer1.3.bn1.bias" and 57 more. ' +
      "Its arrays are those of resnet32 or plain32 with 10 classes: choose that by --arch",
  );
});

Deno.test("the advice knows option B, classes and the ImageNet layouts", () => {
  const advice = (name: string, options: Parameters<typeof architecture>[1]) =>
    refusal(arraysOf(architecture(name, options)), architecture("resnet8"))
      .split("Its arrays are those of ")[1];
  assertEquals(
    advice("resnet20", { shortcut: "B" }),
    "resnet20 with shortcut B with 10 classes: choose that by --arch",
  );
  assertEquals(
    advice("resnet18-cifar", { classes: 100 }),
    "resnet18-cifar with 100 classes: choose that by --arch",
  );
  assertEquals(advice("resnet18", {}), "resnet18 with 10 classes: choose that by --arch");
});

Deno.test("two names of one array are refused", () => {
  const found = new Map(weights).set("module.conv1.weight", weights.get("conv1.weight")!);
  const message = refusal(found);
  assert(message.includes('"conv1.weight" and "module.conv1.weight" are two names'), message);
});

Deno.test("values that are not finite are refused by name", () => {
  for (const value of [NaN, Infinity, -Infinity]) {
    const data = new Float32Array(16);
    data[5] = value;
    const message = refusal(new Map(weights).set("bn1.bias", { shape: [16], data }));
    assert(message.includes(`element 5 of "bn1.bias" is ${value}`), message);
  }
});

Deno.test("an empty file is missing everything", () => {
  const message = refusal(new Map());
  assert(message.includes('97 arrays missing: "conv1.weight", '), message);
});

Deno.test("withNewHead: torchvision's file but for its last layer, which is the training's own", () => {
  const thousand = architecture("resnet18", { classes: 1000 });
  const file = underTorchvisionsNames(thousand, arraysOf(thousand));
  const two = architecture("resnet18", { classes: 2 });
  const initial = renamed(arraysOf(two), (name) => name);
  initial.set("fc.bias", { shape: [2], data: Float32Array.of(-1, -2) });
  const start = withNewHead(two, file, initial, "resnet18.pth");
  for (const [name, tensor] of start) {
    const expected = name.startsWith("fc.")
      ? initial.get(name)
      : file.get(name.replace(".shortcut.", ".downsample."));
    assertEquals(tensor.data, expected?.data, name);
  }
  assertEquals([...start.keys()], parametersOf(two).map(({ name }) => name));
  const other = architecture("resnet34", { classes: 2 });
  const refused = assertThrows(
    () => withNewHead(other, file, arraysOf(other), "resnet18.pth"),
    WeightFileError,
  ).message;
  assert(refused.includes("resnet18.pth does not fit resnet34"), refused);
});

Deno.test("torchvision's names: projections alone, in ImageNet's layouts alone", () => {
  const cifar = architecture("resnet20", { shortcut: "B" });
  assertEquals(underTorchvisionsNames(cifar, arraysOf(cifar)), arraysOf(cifar));
  const graph34 = architecture("resnet34", { classes: 1000 });
  const names = [...underTorchvisionsNames(graph34, arraysOf(graph34)).keys()];
  // torchvision.models.resnet34().state_dict(): 218 keys, 36 of them num_batches_tracked.
  assertEquals(names.length, 182);
  assertEquals(names.filter((name) => name.includes("downsample")).length, 3 * 5);
  assertEquals(names.slice(-2), ["fc.weight", "fc.bias"]);
});
