/**
 * What TensorFlow needs of NVIDIA's software, and which of it the loader can't find. TensorFlow
 * itself runs on the CPU without a word when a library is missing (since 2.14 without its name).
 */
import type { Installation } from "./_installation.ts";

/** The CUDA that a range of TensorFlow versions was built with. */
export interface CudaRequirement {
  /** CUDA's and cuDNN's versions, for people. */
  readonly cuda: string;
  readonly cudnn: string;
  /** The shared libraries, as the loader knows them. */
  readonly libraries: readonly string[];
}

const CUDA_11 = [
  ...["libcudart.so.11.0", "libcublas.so.11", "libcublasLt.so.11", "libcufft.so.10"],
  ...["libcusolver.so.11", "libcusparse.so.11", "libcudnn.so.8"],
];
const CUDA_12 = [
  ...["libcudart.so.12", "libcublas.so.12", "libcublasLt.so.12", "libcufft.so.11"],
  ...["libcusolver.so.11", "libcusparse.so.12"],
];

/**
 * By the first minor version of TensorFlow 2 that wants it, the newest first.
 *
 * Source: `tensorflow/python/platform/build_info.py` and the extra `and-cuda` of the wheels.
 */
const REQUIREMENTS: readonly [number, CudaRequirement][] = [
  [18, { cuda: "12.5", cudnn: "9.3", libraries: [...CUDA_12, "libcudnn.so.9"] }],
  [16, { cuda: "12.3", cudnn: "8.9", libraries: [...CUDA_12, "libcudnn.so.8"] }],
  [15, { cuda: "12.2", cudnn: "8.9", libraries: [...CUDA_12, "libcudnn.so.8"] }],
  [12, { cuda: "11.8", cudnn: "8", libraries: CUDA_11 }],
  [0, { cuda: "11.2", cudnn: "8", libraries: CUDA_11 }],
];

/**
 * What a version of TensorFlow needs.
 *
 * @param version As in 2.21.0.
 */
export function cudaRequirement(version: string): CudaRequirement {
  const minor = Number(version.split(".")[1]);
  return REQUIREMENTS.find(([since]) => minor >= since)![1];
}

/** The needed libraries that neither the system's loader nor the installation's folder has. */
export function missingCuda({ version, folder }: Installation): string[] {
  return cudaRequirement(version).libraries.filter((name) =>
    !loads(name) && !provided(folder, name)
  );
}

/**
 * Why no GPU can be used: no driver, no GPU, or libraries that can't be found.
 *
 * @returns One clause without its end, or undefined if nothing is missing.
 */
export function cudaObstacle(installation: Installation): string | undefined {
  let count: number;
  try {
    count = deviceCount();
  } catch (error) {
    if (error instanceof Deno.errors.NotCapable) throw error;
    return `the loader can't find NVIDIA's driver (${DRIVER}); install it, then see that ` +
      `nvidia-smi lists your card`;
  }
  if (count === 0) return `NVIDIA's driver finds no GPU; see that nvidia-smi lists one`;
  const missing = missingCuda(installation);
  if (missing.length === 0) return undefined;
  const { cuda, cudnn } = cudaRequirement(installation.version);
  return `the loader can't find ${missing.join(", ")}: TensorFlow ${installation.version} needs ` +
    `CUDA ${cuda} and cuDNN ${cudnn}; deno task backend:tensorflow --gpu --from wheel fetches them`;
}

const DRIVER = "libcuda.so.1";
const SUCCESS = 0;

/** How many GPUs NVIDIA's driver offers. @throws If there is no driver. */
function deviceCount(): number {
  using driver = closing(Deno.dlopen(DRIVER, {
    cuInit: { parameters: ["u32"], result: "i32" },
    cuDeviceGetCount: { parameters: ["buffer"], result: "i32" },
  }));
  const count = new Int32Array(1);
  const { cuInit, cuDeviceGetCount } = driver.library.symbols;
  return cuInit(0) === SUCCESS && cuDeviceGetCount(count) === SUCCESS ? count[0] : 0;
}

/** The name of the first GPU, as its driver states it. */
export function deviceName(): string {
  using driver = closing(Deno.dlopen(DRIVER, {
    cuInit: { parameters: ["u32"], result: "i32" },
    cuDeviceGetName: { parameters: ["buffer", "i32", "i32"], result: "i32" },
  }));
  const name = new Uint8Array(256);
  const { cuInit, cuDeviceGetName } = driver.library.symbols;
  if (cuInit(0) !== SUCCESS || cuDeviceGetName(name, name.length, 0) !== SUCCESS) return "a GPU";
  return new TextDecoder().decode(name.subarray(0, name.indexOf(0)));
}

function closing<T extends { close(): void }>(
  library: T,
): { library: T; [Symbol.dispose](): void } {
  return { library, [Symbol.dispose]: () => library.close() };
}

/** Whether the loader finds a library. */
function loads(name: string): boolean {
  try {
    Deno.dlopen(name, {}).close();
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotCapable) throw error;
    return false;
  }
}

/** Whether NVIDIA's wheels were unpacked beside the library, where its own search path looks. */
function provided(folder: string, name: string): boolean {
  try {
    return [...Deno.readDirSync(`${folder}/nvidia`)].some(({ name: part }) =>
      loads(`${folder}/nvidia/${part}/lib/${name}`)
    );
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}
