/**
 * TensorFlow.js on libtensorflow: the native binding of `@tensorflow/tfjs-node` and
 * `@tensorflow/tfjs-node-gpu`, and TensorFlow's own fused operations. The native part is installed
 * by `deno task backend:tensorflow`, for the CPU, or for an NVIDIA GPU with `--gpu`.
 */
import { checkOptions } from "../_arguments.ts";
import { EngineError, type EngineFactory } from "../engine.ts";
import { loadBackend, obstacleTo } from "./_backend.ts";
import { TensorFlowEngine } from "./_engine.ts";
import type { DeviceKind } from "./_installation.ts";

/**
 * TensorFlow on the CPU, named `tensorflow`.
 *
 * @example
 * ```ts
 * import { tensorflowEngine } from "./mod.ts";
 *
 * console.log(await tensorflowEngine.unavailable() ?? "libtensorflow can be used");
 * ```
 */
export const tensorflowEngine: EngineFactory = factory(
  "tensorflow",
  "cpu",
  "TensorFlow's own kernels on the CPU, through TensorFlow.js's native binding",
);

/**
 * TensorFlow on an NVIDIA GPU, named `tensorflow-gpu`. Refuses to run where TensorFlow would fall
 * back to the CPU, and names what the loader can't find.
 *
 * @example
 * ```ts
 * import { tensorflowGpuEngine } from "./mod.ts";
 *
 * console.log(await tensorflowGpuEngine.unavailable() ?? "TensorFlow has a GPU");
 * ```
 */
export const tensorflowGpuEngine: EngineFactory = factory(
  "tensorflow-gpu",
  "gpu",
  "TensorFlow's own kernels on an NVIDIA GPU, through TensorFlow.js's native binding",
);

function factory(name: string, kind: DeviceKind, description: string): EngineFactory {
  return {
    name,
    description,
    async unavailable() {
      const obstacle = await obstacleTo(kind);
      if (obstacle !== undefined || kind === "cpu") return obstacle;
      try {
        await loadBackend(kind); // only the library itself knows whether it takes the GPU
      } catch (error) {
        if (error instanceof EngineError) return error.message;
        throw error;
      }
    },
    async create(options) {
      checkOptions(options);
      const backend = await loadBackend(kind, kind === "cpu" ? options.threads : undefined);
      return new TensorFlowEngine(name, backend, options);
    },
  };
}
