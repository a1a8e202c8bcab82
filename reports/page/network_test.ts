import { assertEquals } from "@std/assert";
import { architecture, inputsOf } from "../../resnet/mod.ts";
import { type DrawnNode, placed } from "./network.tsx";

const drawn = (name: string, shortcut?: "A" | "B"): DrawnNode[] =>
  architecture(name, shortcut && { shortcut }).nodes.map((node) => ({
    ...{ name: node.name, kind: node.kind },
    ...{ inputs: inputsOf(node), shape: node.shape },
  }));

Deno.test("no two layers of any net have one place, and inputs stand before their uses", () => {
  for (const name of ["resnet20", "plain20", "resnet110", "resnet34", "resnet18-cifar"]) {
    for (const shortcut of name.startsWith("plain") ? [undefined] : ["A", "B"] as const) {
      const nodes = drawn(name, shortcut);
      const places = placed(nodes);
      const keys = [...places.values()].map(({ row, column, lane }) => [row, column, lane].join());
      assertEquals(new Set(keys).size, nodes.length, `${name} ${shortcut}`);
      for (const node of nodes) {
        const to = places.get(node.name)!;
        for (const input of node.inputs) {
          const from = places.get(input);
          const before = from === undefined || from.row < to.row || from.column < to.column;
          assertEquals(before, true, `${name}: ${input} before ${node.name}`);
        }
      }
    }
  }
});

Deno.test("a CIFAR net has a row a size of its maps, projections stand below", () => {
  const nodes = drawn("resnet20", "B");
  const places = placed(nodes);
  assertEquals(Math.max(...[...places.values()].map(({ row }) => row)), 2);
  const below = nodes.filter(({ name }) => places.get(name)!.lane === 1);
  assertEquals(below.map(({ kind }) => kind), [
    ...["convolution", "batch-norm", "convolution", "batch-norm"],
  ]);
  // All that has one row has maps of one size.
  for (const { name, shape } of nodes) {
    if (shape.length !== 3) continue;
    assertEquals(shape[0], [32, 16, 8][places.get(name)!.row], name);
  }
});

Deno.test("an operation of which nothing is known is drawn too", () => {
  const places = placed([
    { name: "x", kind: "aten::cat", inputs: ["nowhere"], shape: [] },
    { name: "y", kind: "dense", inputs: ["x", "x"], shape: [10] },
  ]);
  assertEquals(places.get("y"), { row: 0, column: 1, lane: 0 });
});
