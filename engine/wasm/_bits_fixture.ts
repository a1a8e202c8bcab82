/**
 * A short training whose weights are compared bit for bit, here and in a process of its own whose
 * V8 was told to join vectors: `deno run --v8-flags=... engine/wasm/_bits_fixture.ts`.
 */
import { freshState } from "../state.ts";
import { PLAIN_SGD } from "../optimiser.ts";
import { RandomStream } from "../../random/mod.ts";
import { architecture, parametersOf, sizeOf } from "../../resnet/mod.ts";
import type { Engine, EngineOptions, TrainingState } from "../engine.ts";
import { wasmEngine } from "./mod.ts";

/** ResNet-8 on small images. */
export const graph = architecture("resnet8", { inputShape: [8, 8, 3] });

/** Settings of its engines. */
export const options: EngineOptions = {
  graph,
  batchSize: 5,
  optimiser: { ...PLAIN_SGD, momentum: 0.9, weightDecay: 1e-4 },
  batchNorm: { epsilon: 1e-5, momentum: 0.1 },
  cropPadding: 4,
};

function randomState(): TrainingState {
  const random = new RandomStream(1, "probe", 0);
  const tensor = (shape: readonly number[], value: () => number) => ({
    shape,
    data: new Float32Array(sizeOf(shape)).map(value),
  });
  const all = parametersOf(graph);
  return freshState(
    graph,
    PLAIN_SGD,
    new Map(all.map(({ name, shape, role }) => [
      name,
      tensor(
        shape,
        () => role === "bn-scale" || role === "bn-variance" ? 1 : 0.2 * random.normal(),
      ),
    ])),
  );
}

/** Three steps on five random images; the weights afterwards. The engine is disposed of. */
export async function train(engine: Engine): Promise<Float32Array> {
  const random = new RandomStream(2, "probe", 0);
  const images = {
    count: 5,
    height: 8,
    width: 8,
    channels: 3,
    classes: 10,
    pixels: new Uint8Array(5 * 192).map(() => random.below(256)),
    labels: new Uint8Array(5).map(() => random.below(10)),
  };
  const normalisation = {
    scale: 1 / 255,
    mean: new Float32Array(192).fill(0.5),
    std: new Float32Array(3).fill(1),
    beforePadding: true,
  };
  await engine.load({ train: images, test: images, normalisation });
  await engine.importState(randomState());
  const crop = new Uint8Array([4, 3, 5, 0, 8]);
  const flip = new Uint8Array([0, 1, 0, 1, 0]);
  for (let step = 0; step < 3; step++) {
    engine.step(
      { indices: new Uint32Array([0, 1, 2, 3, 4]), cropY: crop, cropX: crop, flip },
      0.01,
    );
  }
  const { weights } = await engine.exportState();
  engine.dispose();
  return Float32Array.from([...weights.values()].flatMap(({ data }) => [...data]));
}

/** SHA-256 of the weights after such trainings. */
export async function bits(): Promise<Record<"direct" | "winograd", string>> {
  const sha256 = async (convolution: "direct" | "winograd") => {
    const weights = await train(await wasmEngine.create({ ...options, convolution, threads: 2 }));
    const digest = await crypto.subtle.digest("SHA-256", weights.buffer as ArrayBuffer);
    return new Uint8Array(digest).toHex();
  };
  return { direct: await sha256("direct"), winograd: await sha256("winograd") };
}

if (import.meta.main) console.log(JSON.stringify(await bits()));
