/** The first steps of a training, loss by loss, against PyTorch. */
import { assertEquals } from "@std/assert";
import { loadDataset } from "../../data/mod.ts";
import { engineFactories, type EngineFactory, tfjsEngine } from "../../engine/mod.ts";
import { testEveryEngine } from "../../testing/engines/mod.ts";
import { architecture, initialise } from "../../resnet/mod.ts";
import { assertTensorClose } from "../../testing/mod.ts";
import { trajectory } from "./_trajectory.ts";
import { PYTORCH_TRAJECTORIES, TRAIN_PIXELS_SHA256 } from "./_trajectory_values.ts";

/** Some fifty times what PyTorch differs from itself in another memory layout. */
const TOLERANCES = { resnet8: 1e-3, resnet14: 2e-3 };

const factories: readonly EngineFactory[] = engineFactories.map((factory) =>
  factory === tfjsEngine
    ? { ...factory, unavailable: () => Promise.resolve("it would take an hour") }
    : factory
);

for (const [name, relative] of Object.entries(TOLERANCES)) {
  await testEveryEngine(
    `30 steps of ${name} at rate 0.001 follow PyTorch's losses`,
    async (factory) => {
      const { train: images, hashes } = await loadDataset("shapes10", { seed: 0 });
      assertEquals(
        hashes["train pixels"],
        TRAIN_PIXELS_SHA256,
        "the built-in images are not those that PyTorch saw; make _trajectory_values.ts anew",
      );
      const graph = architecture(name);
      const losses = await trajectory(
        factory,
        { graph, images, batchSize: 64 },
        initialise(graph, 1, "in"),
        { steps: 30, learningRate: 0.001 },
      );
      assertTensorClose(
        Float32Array.from(losses),
        Float32Array.from(PYTORCH_TRAJECTORIES[name]),
        { absolute: 0, relative },
        "losses",
      );
    },
    factories,
  );
}
