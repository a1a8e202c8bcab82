/**
 * The architectures against section 4.2 and Table 6: every layer's shape,
 * parameters and multiply-adds. What is expected is written out here from the
 * paper's description; nothing of it comes from the code under test.
 */
import { assert, assertEquals } from "@std/assert";
import {
  architecture,
  countMultiplyAdds,
  countParameters,
  type Graph,
  type Node,
} from "../resnet/mod.ts";

/** Feature-map size and filters of the three stages (section 4.2). */
const STAGES = [[32, 16], [16, 32], [8, 64]] as const;

/** Depth, Table 6's parameters, the exact count, exact multiply-adds. */
const TABLE_6 = [
  [20, "0.27M", 269_722, 40_551_040],
  [32, "0.46M", 464_154, 68_862_592],
  [44, "0.66M", 658_586, 97_174_144],
  [56, "0.85M", 853_018, 125_485_696],
  [110, "1.7M", 1_727_962, 252_887_680],
  [1202, "19.4M", 19_421_274, 2_829_238_912],
] as const;

/** Name, output shape, trainable parameters and multiply-adds of a node. */
type Row = readonly [string, readonly number[], number, number];

function convolution(name: string, size: number, inputs: number, filters: number, kernel = 3): Row {
  const weights = kernel * kernel * inputs * filters;
  return [name, [size, size, filters], weights, size * size * weights];
}

/** Section 4.2, node by node. */
function expectedRows(n: number, shortcut: "A" | "B" | "plain"): Row[] {
  const rows: Row[] = [];
  // Batch norm has a scale and a shift a channel.
  const batchNorm = (name: string, size: number, filters: number) =>
    rows.push([name, [size, size, filters], 2 * filters, 0]);
  const free = (name: string, size: number, filters: number) =>
    rows.push([name, [size, size, filters], 0, 0]);

  rows.push(convolution("conv1", 32, 3, 16));
  batchNorm("bn1", 32, 16);
  free("relu1", 32, 16);
  let inputs = 16;
  STAGES.forEach(([size, filters], stage) => {
    for (let block = 0; block < n; block++) {
      const name = `layer${stage + 1}.${block}`;
      rows.push(convolution(`${name}.conv1`, size, inputs, filters));
      batchNorm(`${name}.bn1`, size, filters);
      free(`${name}.relu1`, size, filters);
      rows.push(convolution(`${name}.conv2`, size, filters, filters));
      batchNorm(`${name}.bn2`, size, filters);
      if (inputs !== filters && shortcut === "A") free(`${name}.shortcut`, size, filters);
      if (inputs !== filters && shortcut === "B") {
        rows.push(convolution(`${name}.shortcut.0`, size, inputs, filters, 1));
        batchNorm(`${name}.shortcut.1`, size, filters);
      }
      if (shortcut !== "plain") free(`${name}.add`, size, filters);
      free(`${name}.relu2`, size, filters);
      inputs = filters;
    }
  });
  rows.push(["pool", [64], 0, 0], ["linear", [10], 64 * 10 + 10, 64 * 10]);
  return rows;
}

const rowOf = ({ name, shape, parameters, multiplyAdds }: Node): Row => [
  name,
  shape,
  parameters.filter(({ trainable }) => trainable)
    .reduce((sum, { shape }) => sum + shape.reduce((size, extent) => size * extent, 1), 0),
  multiplyAdds,
];

function convolutions(graph: Graph) {
  return graph.nodes.filter((node) => node.kind === "convolution");
}

for (const [depth, printed, parameters, multiplyAdds] of TABLE_6) {
  const n = (depth - 2) / 6;

  for (const shortcut of ["A", "B"] as const) {
    Deno.test(`ResNet-${depth}, option ${shortcut}: every layer`, () => {
      const graph = architecture(`resnet${depth}`, { shortcut });
      assertEquals(graph.nodes.map(rowOf), expectedRows(n, shortcut));
    });
  }

  Deno.test(`plain-${depth}: every layer`, () => {
    assertEquals(architecture(`plain${depth}`).nodes.map(rowOf), expectedRows(n, "plain"));
  });

  Deno.test(`ResNet-${depth} has the parameters of Table 6 and ${depth} weighted layers`, () => {
    const graph = architecture(`resnet${depth}`);
    assertEquals(countParameters(graph), parameters);
    const digits = printed.split(".")[1].length - 1;
    assertEquals(`${(parameters / 1e6).toFixed(digits)}M`, printed);
    assertEquals(countMultiplyAdds(graph), multiplyAdds);
    // 2n layers a stage, the first layer and the dense layer.
    assertEquals(convolutions(graph).length + 1, depth);
    assertEquals(graph.nodes.filter(({ kind }) => kind === "add").length, 3 * n);
  });

  Deno.test(`ResNet-${depth}: a plain net costs the same, option B 2,752 parameters more`, () => {
    const plain = architecture(`plain${depth}`);
    assertEquals(countParameters(plain), parameters);
    assertEquals(countMultiplyAdds(plain), multiplyAdds);
    const projected = architecture(`resnet${depth}`, { shortcut: "B" });
    // 16 x 32 and 32 x 64 weights, and batch norm's 2 x 32 and 2 x 64.
    assertEquals(countParameters(projected) - parameters, 512 + 2048 + 64 + 128);
    assertEquals(countParameters(projected) - parameters, 2752);
  });

  Deno.test(`ResNet-${depth}: only 3x3 kernels without bias, subsampling twice by stride 2`, () => {
    const layers = convolutions(architecture(`resnet${depth}`));
    assert(layers.every(({ kernel, padding, bias }) => kernel === 3 && padding === 1 && !bias));
    assertEquals(
      layers.filter(({ stride }) => stride !== 1).map(({ name, stride }) => [name, stride]),
      [["layer2.0.conv1", 2], ["layer3.0.conv1", 2]],
    );
  });
}

/** Name, image, classes, parameters, multiply-adds. */
const IMAGENET_LAYOUTS = [
  // torchvision's documentation states these parameters; the multiply-adds are
  // summed by hand from Table 1, and are its "FLOPs" of 3.6e9 and 1.8e9.
  ["resnet34", 224, 1000, 21_797_672, 3_663_761_408],
  ["resnet18", 224, 1000, 11_689_512, 1_814_073_344],
  ["resnet34", 32, 10, 21_289_802, 74_765_312],
  ["resnet34", 32, 100, 21_335_972, 74_811_392],
  // The well-known counts of the 3x3-stem variants for CIFAR-10.
  ["resnet18-cifar", 32, 10, 11_173_962, 555_422_720],
  ["resnet34-cifar", 32, 10, 21_282_122, 1_159_402_496],
] as const;

for (const [name, size, classes, parameters, multiplyAdds] of IMAGENET_LAYOUTS) {
  Deno.test(`${name} at ${size}x${size} with ${classes} classes`, () => {
    const graph = architecture(name, { classes, inputShape: [size, size, 3] });
    assertEquals(countParameters(graph), parameters);
    assertEquals(countMultiplyAdds(graph), multiplyAdds);
  });
}

Deno.test("resnet34 has the output sizes and the blocks of Table 1", () => {
  const graph = architecture("resnet34", { classes: 1000, inputShape: [224, 224, 3] });
  const shapes = new Map(graph.nodes.map(({ name, shape }) => [name, shape]));
  assertEquals(shapes.get("conv1"), [112, 112, 64]);
  assertEquals(shapes.get("maxpool"), [56, 56, 64]);
  const stages = [[3, 56, 64], [4, 28, 128], [6, 14, 256], [3, 7, 512]];
  stages.forEach(([blocks, extent, filters], stage) => {
    for (let block = 0; block < blocks; block++) {
      for (const part of ["conv1", "conv2", "relu2"]) {
        const name = `layer${stage + 1}.${block}.${part}`;
        assertEquals(shapes.get(name), [extent, extent, filters], name);
      }
    }
    assertEquals(shapes.has(`layer${stage + 1}.${blocks}.conv1`), false);
    // The first stage keeps the width, so it needs no projection.
    assertEquals(shapes.has(`layer${stage + 1}.0.shortcut.0`), stage > 0);
  });
  assertEquals(shapes.get("pool"), [512]);
  assertEquals(shapes.get("fc"), [1000]);
});

Deno.test("resnet34-cifar keeps 32x32 up to the second stage", () => {
  const shapes = new Map(
    architecture("resnet34-cifar").nodes.map((node) => [node.name, node.shape]),
  );
  assertEquals(shapes.get("relu1"), [32, 32, 64]);
  assertEquals(shapes.get("layer1.2.relu2"), [32, 32, 64]);
  assertEquals(shapes.get("layer2.3.relu2"), [16, 16, 128]);
  assertEquals(shapes.get("layer3.5.relu2"), [8, 8, 256]);
  assertEquals(shapes.get("layer4.2.relu2"), [4, 4, 512]);
});
