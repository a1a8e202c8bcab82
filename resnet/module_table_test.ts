import { assertEquals, assertStringIncludes } from "@std/assert";
import { architecture } from "./architectures.ts";
import { type CountingMode, formatModuleTable, moduleTable } from "./module_table.ts";

/** The first row of the table, as it is printed: parameters and FLOPs. */
function printed(classes: number, side: number, mode: CountingMode = {}): string[] {
  const graph = architecture("resnet34", { classes, inputShape: [side, side, 3] });
  const [, , model] = formatModuleTable(moduleTable(graph, mode)).split("\n");
  return model.split("|").slice(2, 4).map((cell) => cell.trim());
}

Deno.test("ResNet-34's figures are those that the counting tool printed", () => {
  assertEquals(printed(10, 32), ["21.29M", "74.918M"]);
  assertEquals(printed(100, 32)[0], "21.336M");
  assertEquals(printed(1000, 32, { images: 2, training: true }), ["21.798M", "0.151G"]);
  assertEquals(printed(1000, 224), ["21.798M", "3.671G"]);
});

Deno.test("a module's row is the sum of those within it", () => {
  for (const training of [false, true]) {
    const rows = moduleTable(architecture("resnet18-cifar"), { images: 3, training });
    const sum = (field: "parameters" | "flops", of: (name: string, depth: number) => boolean) =>
      rows.filter(({ name, depth }) => of(name, depth)).reduce((all, row) => all + row[field], 0);
    for (const field of ["parameters", "flops"] as const) {
      assertEquals(sum(field, (_, depth) => depth === 1), rows[0][field]);
      const inner = sum(field, (name, depth) => depth === 2 && name.startsWith("layer3."));
      assertEquals(inner, rows.find(({ name }) => name === "layer3")![field]);
    }
  }
});

Deno.test("in training batch norm counts five an element where it counts two in testing", () => {
  const flops = (training: boolean) =>
    moduleTable(architecture("resnet20"), { training }).find(({ name }) => name === "bn1")!.flops;
  assertEquals([flops(false), flops(true)], [2 * 32 * 32 * 16, 5 * 32 * 32 * 16]);
});

Deno.test("what has no parameters or no operations has an empty cell", () => {
  const table = formatModuleTable(moduleTable(architecture("resnet34")));
  assertStringIncludes(table, "|  conv1 ");
  assertEquals(/\| {2}relu1 +\| +\| +\|/.test(table), true);
});
