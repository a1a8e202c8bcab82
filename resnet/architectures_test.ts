import { assertEquals, assertThrows } from "@std/assert";
import { architecture, ArchitectureError } from "./architectures.ts";
import { inputsOf, type Node, parametersOf } from "./graph.ts";

const nodes = (name: string, options = {}) =>
  new Map(architecture(name, options).nodes.map((node) => [node.name, node]));

/** Kinds of a graph's nodes and how often each occurs. */
function census(name: string, options = {}): Partial<Record<Node["kind"], number>> {
  const counts: Partial<Record<Node["kind"], number>> = {};
  for (const { kind } of nodes(name, options).values()) counts[kind] = (counts[kind] ?? 0) + 1;
  return counts;
}

Deno.test("resnet20 has the nodes of section 4.2", () => {
  // n = 3: 6n + 1 convolutions, each with batch norm; 3n additions, of which
  // two change the width; ReLU after the first layer, twice in each block.
  assertEquals(census("resnet20"), {
    "convolution": 19,
    "batch-norm": 19,
    "relu": 1 + 2 * 9,
    "add": 9,
    "shortcut-a": 2,
    "global-average-pool": 1,
    "dense": 1,
  });
});

Deno.test("option B projects by a convolution with batch norm in place of option A", () => {
  assertEquals(census("resnet20", { shortcut: "B" }), {
    "convolution": 19 + 2,
    "batch-norm": 19 + 2,
    "relu": 1 + 2 * 9,
    "add": 9,
    "global-average-pool": 1,
    "dense": 1,
  });
  const projection = nodes("resnet20", { shortcut: "B" }).get("layer3.0.shortcut.0");
  assertEquals(projection?.kind === "convolution" && [projection.kernel, projection.stride], [
    1,
    2,
  ]);
});

Deno.test("plain nets have no shortcuts", () => {
  assertEquals(census("plain20"), {
    "convolution": 19,
    "batch-norm": 19,
    "relu": 1 + 2 * 9,
    "global-average-pool": 1,
    "dense": 1,
  });
});

Deno.test("a block adds its input to its second batch norm, and ReLU follows", () => {
  const graph = nodes("resnet20");
  assertEquals(inputsOf(graph.get("layer1.1.add")!), ["layer1.1.bn2", "layer1.0.relu2"]);
  assertEquals(inputsOf(graph.get("layer1.1.relu2")!), ["layer1.1.add"]);
  assertEquals(inputsOf(graph.get("layer1.1.conv2")!), ["layer1.1.relu1"]);
  assertEquals(inputsOf(graph.get("layer2.0.add")!), ["layer2.0.bn2", "layer2.0.shortcut"]);
  assertEquals(inputsOf(graph.get("layer2.0.shortcut")!), ["layer1.2.relu2"]);
});

Deno.test("the zero channels go where the option says", () => {
  for (const zeroChannels of ["append", "split"] as const) {
    const node = nodes("resnet20", { zeroChannels }).get("layer2.0.shortcut");
    assertEquals(node?.kind === "shortcut-a" && node.zeroChannels, zeroChannels);
  }
});

Deno.test("the ImageNet stem pools, the CIFAR stem does not", () => {
  assertEquals(census("resnet18")["max-pool"], 1);
  assertEquals(census("resnet18-cifar")["max-pool"], undefined);
  const stem = nodes("resnet18").get("conv1");
  assertEquals(
    stem?.kind === "convolution" && [stem.kernel, stem.stride, stem.padding],
    [7, 2, 3],
  );
});

Deno.test("parameters have PyTorch's names", () => {
  const names = parametersOf(architecture("resnet8", { shortcut: "B" })).map(({ name }) => name);
  assertEquals(names.slice(0, 6), [
    "conv1.weight",
    "bn1.weight",
    "bn1.bias",
    "bn1.running_mean",
    "bn1.running_var",
    "layer1.0.conv1.weight",
  ]);
  assertEquals(names.filter((name) => name.startsWith("layer2.0.shortcut")), [
    "layer2.0.shortcut.0.weight",
    "layer2.0.shortcut.1.weight",
    "layer2.0.shortcut.1.bias",
    "layer2.0.shortcut.1.running_mean",
    "layer2.0.shortcut.1.running_var",
  ]);
  assertEquals(names.slice(-2), ["linear.weight", "linear.bias"]);
});

Deno.test("the dense layer has as many units as classes", () => {
  assertEquals(nodes("resnet20", { classes: 100 }).get("linear")?.shape, [100]);
  assertEquals(nodes("resnet34", { classes: 1000 }).get("fc")?.shape, [1000]);
});

Deno.test("a depth that is not 6n+2 is refused with its neighbours", () => {
  assertThrows(() => architecture("resnet21"), ArchitectureError, "the nearest are 20 and 26");
  assertThrows(() => architecture("resnet6000002"), ArchitectureError, "up to 10000 layers");
  assertThrows(() => architecture("plain2"), ArchitectureError, "the nearest are 8 and 14");
  // No CIFAR net has 18 layers, and plain nets of the ImageNet layout are not built.
  assertThrows(() => architecture("plain18"), ArchitectureError, "the nearest are 14 and 20");
});

Deno.test("what was probably meant is named", () => {
  for (const name of ["ResNet-20", "resnet2O", "resnet_20", "RESNET20"]) {
    const refused = () => architecture(name);
    assertThrows(refused, ArchitectureError, `"${name}" (did you mean resnet20?)`);
  }
});

Deno.test("other names are refused with the legal forms", () => {
  for (const name of ["", "resnet", "ResNet20", "vgg16", "resnet20-cifar", "resnet20 "]) {
    assertThrows(() => architecture(name), ArchitectureError, "the legal forms are");
  }
});
