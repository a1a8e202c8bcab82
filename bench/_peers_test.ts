import { assertEquals, assertRejects } from "@std/assert";
import { pythonTest } from "../testing/mod.ts";
import { PeerError, peerName, peerVariants, pytorchContender } from "./_peers.ts";

Deno.test("on a processor PyTorch runs in both layouts, compiled, and in bfloat16", () => {
  assertEquals(peerVariants("cpu").map(peerName), [
    "PyTorch eager channels_last",
    "PyTorch eager contiguous",
    "PyTorch compile channels_last",
    "PyTorch eager channels_last bf16",
  ]);
});

Deno.test("on CUDA PyTorch runs in every mode, with and without TensorFloat-32", () => {
  const ways = ["eager channels_last", "eager contiguous", "compile channels_last"]
    .concat("graphs channels_last", "graphs contiguous");
  assertEquals(
    peerVariants("cuda").map(peerName),
    ["fp32", "tf32"].flatMap((precision) => ways.map((way) => `PyTorch ${way} ${precision}`)),
  );
  assertEquals(
    peerVariants("cuda", ["mixed"]).map(peerName),
    ways.map((way) => `PyTorch ${way} fp16`),
  );
});

pythonTest("a peer that is not warm in time is stopped, and says so", [], async () => {
  const [variant] = peerVariants("cpu");
  const task = { arch: "resnet8", batch: 1, threads: 1 };
  await assertRejects(
    () => pytorchContender(task, variant, false, 1),
    PeerError,
    "it was not warm in the 0 s left for it",
  );
});
