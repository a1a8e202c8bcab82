import { assertEquals } from "@std/assert";
import { architecture } from "./architectures.ts";
import { formatSummary, summarise } from "./summary.ts";

Deno.test("a row holds a node's shape, trainable parameters and multiply-adds", () => {
  const { rows } = summarise(architecture("resnet20"));
  const row = (name: string) => rows.find((row) => row.name === name);
  assertEquals(row("layer2.0.conv1"), {
    name: "layer2.0.conv1",
    kind: "convolution",
    shape: [16, 16, 32],
    parameters: 3 * 3 * 16 * 32,
    multiplyAdds: 16 * 16 * 3 * 3 * 16 * 32,
  });
  // Running mean and variance are not counted.
  assertEquals(row("layer2.0.bn1")?.parameters, 2 * 32);
  assertEquals(row("layer2.0.shortcut"), {
    name: "layer2.0.shortcut",
    kind: "shortcut-a",
    shape: [16, 16, 32],
    parameters: 0,
    multiplyAdds: 0,
  });
});

Deno.test("rows add up to the totals", () => {
  const { rows, parameters, multiplyAdds } = summarise(architecture("resnet34"));
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
    "layer              kind                   output  parameters  multiply-adds",
  );
  assertEquals(
    lines[0],
    "conv1              convolution          32x32x16         432        442,368",
  );
  assertEquals(
    lines.at(-1),
    "total                                                269,722     40,551,040",
  );
  assertEquals(new Set(lines.map((line) => line.length)), new Set([header.length]));
});
