import { assert, assertEquals } from "@std/assert";
import { architecture } from "../../resnet/mod.ts";
import { optionsFor } from "../../testing/engines/mod.ts";
import { largestBatch, layOut } from "./_layout.ts";

Deno.test("the largest batch that fits does, and the next one does not", () => {
  for (const name of ["resnet8", "resnet20", "plain56", "resnet18-cifar"]) {
    for (const threads of [1, 2, 5]) {
      for (const limit of [20e6, 250e6, 3.9e9]) {
        const options = optionsFor(architecture(name), { batchSize: 100_000 });
        const bytes = (batchSize: number) => layOut({ ...options, batchSize }, threads).end;
        const largest = largestBatch(options, threads, limit);
        const where = `${name}, ${threads} threads, ${limit} bytes: ${largest}`;
        if (largest > 0) assert(bytes(largest) <= limit, where);
        assert(bytes(largest + 1) > limit, where);
        assertEquals(largestBatch({ ...options, batchSize: 3 }, threads, 100e9), 2, where);
      }
    }
  }
});

Deno.test("one image of any size fits, whatever its weights would group", () => {
  for (const [height, width] of [[224, 224], [384, 512], [640, 853], [640, 2400]]) {
    const graph = architecture("resnet34", { classes: 1000, inputShape: [height, width, 3] });
    const { end } = layOut(optionsFor(graph, { batchSize: 1, cropPadding: 0 }), 2);
    assert(
      end < 4e9, // of 4 GiB, with room for an image
      `${height} x ${width}: ${end} bytes`,
    );
  }
});
