import { assertRejects } from "@std/assert";
import { oracle } from "../testing/engines/mod.ts";
import { EngineError, type EngineFactory } from "./engine.ts";
import { selfTest } from "./self_test.ts";

Deno.test("the oracle passes the self-test: PyTorch's values", () => selfTest(oracle));

Deno.test("the self-test rejects an engine whose kernels are off by 0.1%", async () => {
  const broken: EngineFactory = {
    ...oracle,
    async create(options) {
      const engine = await oracle.create(options);
      const probe = engine.probe.bind(engine);
      engine.probe = async (given) => {
        const result = await probe(given);
        result.gradients?.get("layer2.0.conv1.weight")?.data.forEach((value, i, all) => {
          all[i] = value * 1.001;
        });
        return result;
      };
      return engine;
    },
  };
  await assertRejects(
    () => selfTest(broken),
    EngineError,
    "norm of gradient of layer2.0.conv1.weight must be",
  );
});
