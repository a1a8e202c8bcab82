import { assertEquals, assertThrows } from "@std/assert";
import { architecture, type Graph, initialise, WeightFileError } from "../resnet/mod.ts";
import { decodeOnnx } from "./onnx.ts";
import { encodeOnnx } from "./onnx_export.ts";

/** What a node computes, without its name and those of its inputs. */
function operations({ nodes }: Graph) {
  return nodes.map(({ kind, shape, multiplyAdds, ...node }) => ({
    ...{ kind, shape, multiplyAdds },
    ...("kernel" in node ? { kernel: node.kernel } : {}),
    ...("stride" in node ? { stride: node.stride } : {}),
    ...("padding" in node ? { padding: node.padding } : {}),
    ...("zeroChannels" in node ? { zeroChannels: node.zeroChannels } : {}),
  }));
}

for (
  const [name, options] of [
    ["resnet8", {}],
    ["resnet8", { zeroChannels: "split" }],
    ["resnet8", { shortcut: "B" }],
    ["plain20", {}],
    ["resnet18", { inputShape: [64, 64, 3], classes: 7 }],
  ] as const
) {
  Deno.test(`${name} ${JSON.stringify(options)} is read again from ONNX as it was written`, () => {
    const graph = architecture(name, options);
    const weights = initialise(graph, 3, "in");
    const { graph: again, weights: read } = decodeOnnx(encodeOnnx(graph, weights));
    assertEquals(operations(again), operations(graph));
    assertEquals([...read.values()], [...weights.values()]);
  });
}

Deno.test("weights of another network are refused", () => {
  const weights = initialise(architecture("resnet14"), 0, "in");
  assertThrows(() => encodeOnnx(architecture("resnet8"), weights), WeightFileError, "unexpected");
});
