/** Loads the provisioned backend into the process, and says what it runs on. */
import { EngineError } from "../engine.ts";
import { type Library, loadPackage } from "../tfjs/packages/mod.ts";
import { cudaObstacle, deviceName } from "./_cuda.ts";
import { NATIVE_VARIABLES, nativeThreads, prepareEnvironment } from "./_environment.ts";
import {
  backendFolder,
  type DeviceKind,
  findInstallation,
  type Installation,
} from "./_installation.ts";
import { type Binding, Operations } from "./_operations.ts";
import { loadAddon, loadWithOwnSymbols, restoreUtil } from "./_workarounds.ts";

/** TensorFlow in this process. */
export interface Backend {
  readonly kind: DeviceKind;
  readonly installation: Installation;
  readonly binding: Binding;
  /** The processor or the GPU that operations run on, for people. */
  readonly device: string;
  /** Threads within an operation on the CPU, as the library was told when it was loaded. */
  readonly threads: number;
}

/** Where `cacheFolder` looks. */
const FOLDER_VARIABLES = ["RESNET_CACHE", "XDG_CACHE_HOME", "HOME", "LOCALAPPDATA"];

/** The command that mends a missing backend. */
export function provisionCommand(kind: DeviceKind): string {
  return `deno task backend:tensorflow${kind === "gpu" ? " --gpu" : ""}`;
}

/** A process holds one copy of TensorFlow: two libraries' symbols would be mixed. */
let loaded: Backend | undefined;

/**
 * Loads TensorFlow, once a process.
 *
 * @param kind `gpu`: it must run on a GPU.
 * @throws {EngineError} If it is not provisioned, can't be loaded, runs on the CPU where a GPU was
 *   asked for (naming what the loader can't find), or another library is in the process already.
 */
export async function loadBackend(kind: DeviceKind): Promise<Backend> {
  const obstacle = await obstacleTo(kind);
  if (obstacle !== undefined) throw new EngineError(`loading TensorFlow: ${obstacle}`);
  if (loaded) return loaded;
  const installation = (await findInstallation(kind))!;
  prepareEnvironment(kind);
  const binding = openAddon(installation.addon, installation.libraries);
  const onGpu = binding.isUsingGpuDevice();
  if (onGpu !== (kind === "gpu")) {
    throw new EngineError(
      kind === "gpu"
        ? `loading TensorFlow for the GPU: it fell back to the CPU, and no cause was found in the ` +
          `driver or the libraries; TF_CPP_MIN_LOG_LEVEL=0 shows what it says itself`
        : `loading TensorFlow for the CPU: ${installation.source} runs on a GPU; ` +
          `use the engine tensorflow-gpu, or provision another with ${provisionCommand("cpu")}`,
    );
  }
  const device = onGpu ? deviceName() : "the CPU";
  return loaded = { kind, installation, binding, device, threads: nativeThreads() };
}

/**
 * Why the backend can't be loaded here, without loading it: permissions, the installation, for a
 * GPU its driver and libraries, or another library in this process.
 *
 * @returns One clause that says what to do, or undefined if nothing speaks against it.
 */
export async function obstacleTo(kind: DeviceKind): Promise<string | undefined> {
  if (loaded) {
    return loaded.kind === kind ? undefined : `a process holds one copy of TensorFlow, and this ` +
      `one has that for the ${loaded.kind.toUpperCase()}; start another process`;
  }
  if (!await permitted()) {
    return "it is native code, which this task may not load: take deno task train:tensorflow " +
      "(or evaluate:, reproduce:), or --allow-ffi --allow-env --allow-read";
  }
  const installation = await findInstallation(kind);
  if (!installation) return `its native part is not installed; run ${provisionCommand(kind)}`;
  return kind === "gpu" ? cudaObstacle(installation) : undefined;
}

/** Whether all that loading needs was granted; asks nobody. */
async function permitted(): Promise<boolean> {
  const granted = async (permission: Deno.PermissionDescriptor) =>
    (await Deno.permissions.query(permission)).state === "granted";
  for (const variable of [...FOLDER_VARIABLES, ...Object.values(NATIVE_VARIABLES)]) {
    if (!await granted({ name: "env", variable })) return false;
  }
  return await granted({ name: "read", path: backendFolder() }) && await granted({ name: "ffi" });
}

/**
 * Loads an addon with its library into the process.
 *
 * @param libraries The library's files, each after those that it depends on.
 * @throws {EngineError} If the system's loader refuses it; the message says what is missing.
 */
export function openAddon(path: string, libraries: readonly string[]): Binding {
  try {
    loadWithOwnSymbols(libraries);
    return loadAddon(path) as Binding;
  } catch (error) {
    throw new EngineError(
      `loading TensorFlow from ${path}: ${(error as Error).message.split("\n")[0]}; install the ` +
        `library that is missing, or another TensorFlow: see deno task backend:tensorflow --help`,
      { cause: error },
    );
  }
}

/**
 * Makes TensorFlow.js itself run on the loaded library: registers the package's backend, under
 * the name `tensorflow`, with the package's kernels. Which backend is current stays as it was.
 */
export async function registerTensorFlowJs({ binding, kind }: Backend): Promise<void> {
  restoreUtil();
  const tf = await loadPackage<Library>("@tensorflow/tfjs");
  if (tf.findBackend("tensorflow")) return;
  const node = "@tensorflow/tfjs-node-gpu";
  const { NodeJSKernelBackend } = await loadPackage<
    { readonly NodeJSKernelBackend: new (binding: Binding, name: string) => unknown }
  >(node, "/dist/nodejs_kernel_backend.js");
  await loadPackage(node, "/dist/register_all_kernels.js");
  const name = `@tensorflow/tfjs-node${kind === "gpu" ? "-gpu" : ""}`;
  tf.registerBackend("tensorflow", () => new NodeJSKernelBackend(binding, name), 0);
}

/**
 * Squares a matrix on the device, so that a library that loads but can't compute is found out.
 *
 * @throws {EngineError} If the product is wrong.
 */
export function checkComputation({ binding, device }: Backend): void {
  const tf = new Operations(binding);
  const product = tf.scoped(() => {
    const matrix = tf.floats([2, 2], Float32Array.of(1, 2, 3, 4));
    return tf.read(tf.run("MatMul", [matrix, matrix], [tf.typeFloat()]));
  });
  const expected = [7, 10, 15, 22];
  if (product.join() !== expected.join()) {
    throw new EngineError(
      `checking TensorFlow on ${device}: [[1, 2], [3, 4]] squared must be ${expected}, ` +
        `found ${product}; the library or the driver is broken: install another version`,
    );
  }
}
