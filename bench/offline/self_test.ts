/**
 * Prints what an engine runs on, then holds the engine to the stored values.
 *
 * `deno run bench/offline/self_test.ts webgpu`
 */
import { chooseEngine, engineFactories, selfTest } from "../../engine/mod.ts";
import { architecture } from "../../resnet/mod.ts";
import { explain } from "../../cli/_main.ts";

if (import.meta.main) {
  try {
    const { factory, reason } = await chooseEngine(Deno.args[0] ?? "auto", engineFactories);
    const engine = await factory.create({
      graph: architecture("resnet8"),
      batchSize: 1,
      sgd: { momentum: 0.9, nesterov: false, weightDecay: 0, decayed: "all" },
      batchNorm: { epsilon: 1e-5, momentum: 0.1 },
      cropPadding: 4,
    });
    console.log(`engine ${factory.name} (${reason}): ${engine.device.summary}`);
    for (const [name, value] of Object.entries(engine.device.details)) {
      console.log(`  ${name}: ${value}`);
    }
    engine.dispose();
    const begun = performance.now();
    await selfTest(factory);
    const seconds = (performance.now() - begun) / 1000;
    console.log(`the self-test passed in ${seconds.toFixed(1)} s`);
  } catch (error) {
    const { message, status } = explain(error);
    console.error(message);
    Deno.exit(status);
  }
}
