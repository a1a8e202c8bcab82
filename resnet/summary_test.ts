import { assertEquals } from "@std/assert";
import { architecture } from "./architectures.ts";
import { formatBlocks, formatSummary, summarise } from "./summary.ts";

Deno.test("a row holds a node's shape, trainable parameters and multiply-adds", () => {
  const { rows } = summarise(architecture("resnet20"));
  const row = (name: string) => rows.find((row) => row.name === name);
  assertEquals(row("layer2.0.conv1"), {
    name: "layer2.0.conv1",
    kind: "convolution",
    shape: [16, 16, 32],
    parameters: 3 * 3 * 16 * 32,
    multiplyAdds: 16 * 16 * 3 * 3 * 16 * 32,
    activations: 16 * 16 * 32,
  });
  // Running mean and variance are not counted.
  assertEquals(row("layer2.0.bn1")?.parameters, 2 * 32);
  assertEquals(row("layer2.0.shortcut"), {
    name: "layer2.0.shortcut",
    kind: "shortcut-a",
    shape: [16, 16, 32],
    parameters: 0,
    multiplyAdds: 0,
    activations: 16 * 16 * 32,
  });
});

Deno.test("rows add up to the totals", () => {
  const { rows, parameters, multiplyAdds, activations } = summarise(architecture("resnet34"));
  assertEquals(rows.reduce((sum, row) => sum + row.activations, 0), activations);
  assertEquals(rows.reduce((sum, row) => sum + row.parameters, 0), parameters);
  assertEquals(rows.reduce((sum, row) => sum + row.multiplyAdds, 0), multiplyAdds);
});

Deno.test("depth does not count projections", () => {
  const depth = (name: string, shortcut: "A" | "B") =>
    summarise(architecture(name, { shortcut })).weightedLayers;
  assertEquals(depth("resnet20", "A"), 20);
  assertEquals(depth("resnet20", "B"), 20);
  assertEquals(depth("plain56", "A"), 56);
  assertEquals(depth("resnet34", "B"), 34);
});

Deno.test("the table's columns are aligned and its numbers grouped", () => {
  const [title, blank, header, ...lines] = formatSummary(summarise(architecture("resnet20")))
    .split("\n");
  assertEquals(title, "resnet20: 20 weighted layers, input 32x32x3");
  assertEquals(blank, "");
  // The longest entries are "layer2.0.shortcut", "global-average-pool" and "multiply-adds".
  assertEquals(
    header,
    "layer              kind                   output  parameters  multiply-adds  activations",
  );
  assertEquals(
    lines[0],
    "conv1              convolution          32x32x16         432        442,368       16,384",
  );
  assertEquals(
    lines.at(-1),
    "total                                                269,722     40,551,040      663,626",
  );
  assertEquals(new Set(lines.map((line) => line.length)), new Set([header.length]));
});

Deno.test("equal blocks that follow each other are one line, which adds up what is in them", () => {
  const summary = summarise(architecture("resnet32"));
  const text = formatBlocks(summary, 2);
  const lines = text.split("\n").slice(3).map((line) => line.split(/\s{2,}/));
  assertEquals(lines.map(([name]) => name).slice(0, 9), [
    ...["conv1", "bn1", "relu1", "layer1.0 to layer1.4", "layer2.0", "layer2.1 to layer2.4"],
    ...["layer3.0", "layer3.1 to layer3.4", "pool"],
  ]);
  assertEquals(lines[3].slice(1), [
    ...["5 blocks of 7 layers", "32x32x16"],
    ...["23,360", "23,592,960", "573,440"],
  ]);
  // Two images of so many floats of four bytes.
  assertEquals(
    text.split("\n").at(-1)?.includes(`${Math.round(summary.activations * 8 / 1e6)} MB`),
    true,
  );
});
