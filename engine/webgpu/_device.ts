/**
 * Finding a GPU, opening a device on it, and hearing of its failures.
 *
 * WebGPU reports errors late and apart from the call that made them, and an
 * invalid object makes every later use of it a silent no-op: without
 * `watchDevice` and `outOfMemory` a failure would look like a bad result.
 */
import { SYSTEM } from "../_system.ts";
import { type DeviceDescription, EngineError } from "../engine.ts";

/** An open device and what is known of it. */
export interface Gpu {
  /** Used up by the device: no second one can be asked of it. */
  readonly adapter: GPUAdapter;
  readonly device: GPUDevice;
  readonly description: DeviceDescription;
  /** True: it computes on the CPU. */
  readonly isSoftware: boolean;
  /** The device's, not the adapter's: what was asked for. */
  readonly limits: GPUSupportedLimits;
  /** Whether passes can be timed. */
  readonly hasTimestamps: boolean;
  /** Whether kernels can store half precision. */
  readonly hasHalf: boolean;
}

/** Limits that are asked for as high as the adapter has them; WebGPU's defaults suit phones. */
const RAISED_LIMITS = [
  "maxStorageBufferBindingSize",
  "maxBufferSize",
  "maxComputeInvocationsPerWorkgroup",
  "maxComputeWorkgroupStorageSize",
  "maxComputeWorkgroupSizeX",
  "maxStorageBuffersPerShaderStage",
] as const;

/** What the kernels can't do without; 8 are guaranteed. */
const STORAGE_BUFFERS = 10;

/** Rasterisers that compute on the CPU, by how they call themselves. */
const SOFTWARE = /llvmpipe|lavapipe|softpipe|swiftshader|microsoft basic render/i;

const SLOW = "a software adapter: it computes on the CPU, slowly";

let found: Promise<GPUAdapter | null> | undefined;

/** Asks once for all: no GPU comes or goes while a process runs. */
function knownAdapter(): Promise<GPUAdapter | null> {
  return found ??= findAdapter(navigator.gpu);
}

/** Why there is no WebGPU here, and what to do about it; undefined where there is. */
export async function adapterObstacle(): Promise<string | undefined> {
  return obstacleOf(navigator.gpu, await knownAdapter(), SYSTEM.os);
}

/** That the adapter computes on the CPU; undefined for a GPU, or where there is none. */
export async function softwareAdapter(): Promise<string | undefined> {
  const adapter = await knownAdapter();
  return adapter && isSoftware(adapter.info) ? `${nameOf(adapter.info)} is ${SLOW}` : undefined;
}

/**
 * Opens a device of its own for each caller, who destroys it.
 *
 * @throws {EngineError} If there is no adapter, or it refuses a device.
 */
export async function openGpu(): Promise<Gpu> {
  // An adapter gives one device, by the standard.
  const adapter = await findAdapter(navigator.gpu);
  const obstacle = obstacleOf(navigator.gpu, adapter, SYSTEM.os);
  if (!adapter || obstacle !== undefined) throw new EngineError(`opening a GPU: ${obstacle}`);
  const { info } = adapter;
  const hasTimestamps = adapter.features.has("timestamp-query");
  const hasHalf = adapter.features.has("shader-f16");
  const limits = Object.fromEntries(RAISED_LIMITS.map((name) => [name, adapter.limits[name]]));
  let device: GPUDevice;
  try {
    device = await adapter.requestDevice({
      requiredLimits: limits,
      requiredFeatures: [
        ...hasTimestamps ? ["timestamp-query"] as const : [],
        ...hasHalf ? ["shader-f16"] as const : [],
      ],
    });
  } catch (error) {
    throw new EngineError(
      `opening a GPU: ${nameOf(info)} gave no device: ${(error as Error).message}`,
      { cause: error },
    );
  }
  return {
    adapter,
    device,
    description: describe(info, limits),
    isSoftware: isSoftware(info),
    limits: device.limits,
    hasTimestamps,
    hasHalf,
  };
}

/** The fastest adapter: a GPU before anything that computes on the CPU. */
export async function findAdapter(
  gpu: Pick<GPU, "requestAdapter"> | undefined,
): Promise<GPUAdapter | null> {
  const first = await gpu?.requestAdapter({ powerPreference: "high-performance" }) ?? null;
  if (!first || !isSoftware(first.info)) return first;
  const second = await gpu?.requestAdapter({ powerPreference: "low-power" }) ?? null;
  return second && !isSoftware(second.info) ? second : first;
}

/** See `adapterObstacle`. */
export function obstacleOf(
  gpu: unknown,
  adapter: Pick<GPUAdapter, "info" | "limits"> | null,
  os: string,
): string | undefined {
  if (!gpu) {
    return `this runtime (${SYSTEM.runtime}) has no navigator.gpu: ${SYSTEM.hasGpuFrom}`;
  }
  if (!adapter) {
    const remedy = os === "linux"
      ? "install a Vulkan driver (Debian's libvulkan1 and mesa-vulkan-drivers, or the GPU vendor's)"
      : "install the GPU vendor's driver";
    return `WebGPU finds no adapter: ${remedy}`;
  }
  const { maxStorageBuffersPerShaderStage: buffers } = adapter.limits;
  if (buffers < STORAGE_BUFFERS) {
    const name = nameOf(adapter.info);
    return `a kernel needs ${STORAGE_BUFFERS} storage buffers, ${name} allows ${buffers}: a newer driver may allow more`;
  }
}

/** Whether an adapter computes on the CPU. */
export function isSoftware(info: GPUAdapterInfo): boolean {
  return info.isFallbackAdapter || SOFTWARE.test(`${info.device} ${info.description}`);
}

/** What a log says of the device; drivers' versions are not to be had from WebGPU. */
export function describe(
  info: GPUAdapterInfo,
  limits: Readonly<Record<string, number>>,
): DeviceDescription {
  const { vendor, architecture, device, description } = info;
  return {
    summary: `WebGPU on ${nameOf(info)}${isSoftware(info) ? `, ${SLOW}` : ""}`,
    details: {
      ...{ vendor, architecture, device, description },
      isSoftware: isSoftware(info),
      ...limits,
      ...SYSTEM.forGpu,
    },
  };
}

/** Runtimes leave fields of the information empty as they like. */
function nameOf({ description, device, architecture, vendor }: GPUAdapterInfo): string {
  return description || [vendor, architecture, device].filter(Boolean).join(" ") ||
    "a nameless GPU";
}

/**
 * Reports the first failure of a device: that it was lost, or an error that no
 * error scope took. To destroy it is no failure.
 *
 * An error is reported before `queue.onSubmittedWorkDone` or a buffer's
 * `mapAsync` that was called after it resolves; Deno prints nothing of it.
 *
 * @param onFailure Gets one sentence without its end; called at most once.
 */
export function watchDevice(device: GPUDevice, onFailure: (reason: string) => void): void {
  let failed = false;
  const fail = (reason: string) => {
    if (!failed) onFailure(reason);
    failed = true;
  };
  device.addEventListener("uncapturederror", (event) => {
    fail(explain((event as GPUUncapturedErrorEvent).error));
  });
  device.lost.then(({ reason, message }) => {
    if (reason !== "destroyed") fail(`the GPU was lost: ${message}`);
  });
}

/** What a GPU could not allocate; what was allocated beside it is the caller's to destroy. */
export class AllocationError extends Error {
  /** The class's name, for messages. */
  override name = "AllocationError";
}

/**
 * Runs allocations and waits until the device has accepted them.
 *
 * @param allocate Creates buffers; has to keep hold of them, to destroy them
 *   where one of them failed.
 * @returns What `allocate` returns.
 * @throws {AllocationError} If the memory does not suffice, or a size or usage
 *   is not allowed; and whatever `allocate` throws.
 */
export async function outOfMemory<T>(device: GPUDevice, allocate: () => T): Promise<T> {
  device.pushErrorScope("out-of-memory");
  device.pushErrorScope("validation");
  const pop = () => Promise.all([device.popErrorScope(), device.popErrorScope()]);
  let result: T;
  try {
    result = allocate();
  } catch (error) {
    await pop(); // a scope left behind would take the errors of others
    throw error;
  }
  const error = (await pop()).find((error) => error);
  if (error) throw new AllocationError(explain(error));
  return result;
}

function explain(error: GPUError): string {
  const kind = error instanceof GPUOutOfMemoryError
    ? "the GPU's memory does not suffice"
    : error instanceof GPUValidationError
    ? "WebGPU refused a call"
    : "the GPU's driver failed";
  return `${kind}: ${error.message}`;
}
