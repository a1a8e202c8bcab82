/**
 * TensorFlow.js on libtensorflow: the native binding of `@tensorflow/tfjs-node` and
 * `@tensorflow/tfjs-node-gpu`, and TensorFlow's own fused operations. The native part is installed
 * by `deno task backend:tensorflow`, for the CPU, or for an NVIDIA GPU with `--gpu`.
 */
import { checkOptions } from "../_arguments.ts";
import { EngineError, type EngineFactory } from "../engine.ts";
import { NATIVE_VARIABLES } from "./_environment.ts";
import type { DeviceKind } from "./_installation.ts";

/**
 * TensorFlow on the CPU, named `tensorflow`.
 *
 * @example
 * ```ts
 * import { tensorflowEngine } from "./factory.ts";
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
 * import { tensorflowGpuEngine } from "./factory.ts";
 *
 * console.log(await tensorflowGpuEngine.unavailable() ?? "TensorFlow has a GPU");
 * ```
 */
export const tensorflowGpuEngine: EngineFactory = factory(
  "tensorflow-gpu",
  "gpu",
  "TensorFlow's own kernels on an NVIDIA GPU, through TensorFlow.js's native binding",
);

/**
 * As {@linkcode tensorflowEngine}, with batch normalisation and the parameters' update composed of
 * elementary operations, as TensorFlow.js composes them: shows what the fused ones are worth.
 *
 * @example
 * ```ts
 * import { composedTensorflowEngine } from "./factory.ts";
 *
 * console.log(composedTensorflowEngine.description);
 * ```
 */
export const composedTensorflowEngine: EngineFactory = factory(
  "tensorflow-composed",
  "cpu",
  "TensorFlow on the CPU without fused operations, for comparison",
  "COMPOSED",
);

function factory(
  name: string,
  kind: DeviceKind,
  description: string,
  kernels: "FUSED" | "COMPOSED" = "FUSED",
): EngineFactory {
  return {
    name,
    description,
    async unavailable() {
      const { loadBackend, obstacleTo } = await import("./_backend.ts");
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
      const { loadBackend } = await import("./_backend.ts");
      const { TensorFlowEngine } = await import("./_engine.ts");
      const { [kernels]: chosen } = await import("./_training_kernels.ts");
      const backend = await loadBackend(kind);
      const { threads = backend.threads } = options;
      if (kind === "cpu" && threads !== backend.threads) {
        throw new EngineError(
          `creating an engine: TensorFlow is told its threads once a process, by the environment: ` +
            `asked for ${threads}, it has ${backend.threads}; ` +
            `start with ${NATIVE_VARIABLES.threads}=${threads}`,
        );
      }
      return new TensorFlowEngine(name, backend, options, chosen);
    },
  };
}
