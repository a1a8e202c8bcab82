/**
 * Prints what an engine runs on, then holds the engine to the stored values.
 *
 * `deno run bench/offline/self_test.ts webgpu`
 */
import { COMMON, type FlagValues, main, type Outcome } from "../../cli/mod.ts";
import { chooseEngine, engineFactories, PLAIN_SGD, selfTest } from "../../engine/mod.ts";
import { architecture } from "../../resnet/mod.ts";

const command = {
  usage: "deno run bench/offline/self_test.ts",
  summary: "Prints what an engine runs on, and holds it to stored values.",
  positional: "ENGINE",
  flags: COMMON,
} as const;

async function test(_flags: FlagValues<typeof COMMON>, name = "auto"): Promise<Outcome> {
  const { factory, reason } = await chooseEngine(name, engineFactories);
  const engine = await factory.create({
    graph: architecture("resnet8"),
    batchSize: 1,
    optimiser: { ...PLAIN_SGD, momentum: 0.9 },
    batchNorm: { epsilon: 1e-5, momentum: 0.1 },
    cropPadding: 4,
  });
  const { device } = engine;
  engine.dispose();
  const begun = performance.now();
  await selfTest(factory);
  const seconds = (performance.now() - begun) / 1000;
  return {
    text: [
      `engine ${factory.name} (${reason}): ${device.summary}`,
      ...Object.entries(device.details).map(([name, value]) => `  ${name}: ${value}`),
      `the self-test passed in ${seconds.toFixed(1)} s`,
    ].join("\n"),
    json: { engine: factory.name, device, seconds },
  };
}

if (import.meta.main) await main(command, test);
