import { assertEquals } from "@std/assert";
import { peerName, peerVariants } from "./_pytorch.ts";

Deno.test("on a processor PyTorch runs in both layouts, in single precision", () => {
  assertEquals(peerVariants("cpu").map(peerName), [
    "PyTorch eager channels_last",
    "PyTorch eager contiguous",
  ]);
});

Deno.test("on CUDA PyTorch runs in every mode, with and without TensorFloat-32", () => {
  const ways = ["eager channels_last", "eager contiguous", "compile channels_last"]
    .concat("graphs channels_last", "graphs contiguous");
  assertEquals(
    peerVariants("cuda").map(peerName),
    ["fp32", "tf32"].flatMap((precision) => ways.map((way) => `PyTorch ${way} ${precision}`)),
  );
});
