import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { EngineError } from "../engine.ts";
import {
  adapterObstacle,
  AllocationError,
  describe,
  findAdapter,
  type Gpu,
  isSoftware,
  obstacleOf,
  openGpu,
  outOfMemory,
  softwareAdapter,
  watchDevice,
} from "./_device.ts";

function infoOf(fields: Partial<GPUAdapterInfo>): GPUAdapterInfo {
  return {
    ...{ vendor: "", architecture: "", device: "", description: "" },
    ...{ subgroupMinSize: 32, subgroupMaxSize: 32, isFallbackAdapter: false },
    ...fields,
  } as GPUAdapterInfo;
}

function adapterOf(info: Partial<GPUAdapterInfo>, buffers = 32): GPUAdapter {
  const limits = { maxStorageBuffersPerShaderStage: buffers };
  return { info: infoOf(info), limits } as unknown as GPUAdapter;
}

const H100 = adapterOf({ vendor: "4318", description: "NVIDIA H100 80GB HBM3" });
const LLVMPIPE = adapterOf({ description: "llvmpipe (LLVM 15.0.6, 256 bits)" });

/** A runtime that answers requests by their power preference. */
function gpuOf(
  adapters: Partial<Record<GPUPowerPreference, GPUAdapter>>,
): Pick<GPU, "requestAdapter"> {
  return {
    requestAdapter: (options) => Promise.resolve(adapters[options!.powerPreference!] ?? null),
  };
}

Deno.test("software adapters are known by their flag or their name", () => {
  for (
    const description of [
      "llvmpipe (LLVM 15.0.6, 256 bits)",
      "SwiftShader Device (Subzero)",
      "Microsoft Basic Render Driver",
    ]
  ) assert(isSoftware(infoOf({ description })), description);
  assert(isSoftware(infoOf({ device: "lavapipe" })));
  assert(isSoftware(infoOf({ description: "unheard of", isFallbackAdapter: true })));
  for (
    const description of [
      "NVIDIA H100 80GB HBM3",
      "AMD Radeon RX 7900 XTX (RADV NAVI31)",
      "Intel(R) Arc(tm) A770 Graphics (DG2)",
      "Apple M3 Max",
    ]
  ) assert(!isSoftware(infoOf({ description })), description);
});

Deno.test("a GPU is taken before a software adapter, and that before none", async () => {
  const both = { "high-performance": H100, "low-power": LLVMPIPE };
  assertEquals(await findAdapter(gpuOf(both)), H100);
  const reversed = { "high-performance": LLVMPIPE, "low-power": H100 };
  assertEquals(await findAdapter(gpuOf(reversed)), H100);
  assertEquals(await findAdapter(gpuOf({ "high-performance": LLVMPIPE })), LLVMPIPE);
  assertEquals(await findAdapter(gpuOf({})), null);
  assertEquals(await findAdapter(undefined), null);
});

Deno.test("what keeps WebGPU from running is named with its remedy", () => {
  assertEquals(obstacleOf({}, H100, "linux"), undefined);
  assertStringIncludes(obstacleOf(undefined, null, "linux")!, `Deno ${Deno.version.deno}`);
  assertStringIncludes(obstacleOf({}, null, "linux")!, "libvulkan1");
  assertEquals(
    obstacleOf({}, null, "windows"),
    "WebGPU finds no adapter: install the GPU vendor's driver",
  );
  assertStringIncludes(
    obstacleOf({}, adapterOf({ description: "Old GPU" }, 8), "linux")!,
    "a kernel needs 10 storage buffers, Old GPU allows 8",
  );
});

Deno.test("the description names the device and says of a software adapter that it is slow", () => {
  assertEquals(describe(H100.info, { maxBufferSize: 1024 }), {
    summary: "WebGPU on NVIDIA H100 80GB HBM3",
    details: {
      ...{ vendor: "4318", architecture: "", device: "", description: "NVIDIA H100 80GB HBM3" },
      isSoftware: false,
      maxBufferSize: 1024,
      deno: Deno.version.deno,
      system: Deno.build.target,
    },
  });
  const { summary, details } = describe(LLVMPIPE.info, {});
  assertEquals(
    summary,
    "WebGPU on llvmpipe (LLVM 15.0.6, 256 bits), a software adapter: it computes on the CPU, slowly",
  );
  assertEquals(details.isSoftware, true);
  const nameless = infoOf({ vendor: "apple", architecture: "metal-3" });
  assertEquals(describe(nameless, {}).summary, "WebGPU on apple metal-3");
});

Deno.test("scopes are popped where an allocation throws, and their errors told by kind", async () => {
  const pushed: string[] = [];
  const errors: Record<string, GPUError> = {};
  const device = {
    pushErrorScope: (scope: string) => void pushed.push(scope),
    popErrorScope: () => Promise.resolve(errors[pushed.pop()!] ?? null),
  } as unknown as GPUDevice;
  const fail = () => {
    throw new RangeError("of the caller");
  };
  await assertRejects(() => outOfMemory(device, fail), RangeError, "of the caller");
  assertEquals(pushed, []);
  errors["out-of-memory"] = new GPUOutOfMemoryError("not enough memory left");
  await assertRejects(
    () => outOfMemory(device, () => {}),
    AllocationError,
    "the GPU's memory does not suffice: not enough memory left",
  );
  assertEquals(pushed, []);
});

const obstacle = await adapterObstacle();

/** Registers a test on this machine's adapter. */
function testGpu(name: string, body: (gpu: Gpu) => Promise<void>): void {
  Deno.test({
    name: `webgpu device: ${name}${obstacle ? ` (not run: ${obstacle})` : ""}`,
    ignore: obstacle !== undefined,
    async fn() {
      const gpu = await openGpu();
      try {
        await body(gpu);
      } finally {
        gpu.device.destroy();
      }
    },
  });
}

Deno.test({
  name: "without an adapter a device is refused with the reason",
  ignore: obstacle === undefined,
  fn: async () => void await assertRejects(openGpu, EngineError, obstacle),
});

testGpu("limits are the adapter's where kernels gain by it", async (gpu) => {
  const { adapter, device, limits, description, isSoftware } = gpu;
  for (
    const name of [
      "maxStorageBufferBindingSize",
      "maxBufferSize",
      "maxComputeInvocationsPerWorkgroup",
      "maxComputeWorkgroupStorageSize",
      "maxComputeWorkgroupSizeX",
      "maxStorageBuffersPerShaderStage",
    ] as const
  ) {
    assertEquals(device.limits[name], adapter.limits[name], name);
    assertEquals(description.details[name], limits[name], name);
  }
  assert(limits.maxStorageBuffersPerShaderStage >= 10);
  assertEquals(gpu.hasTimestamps, device.features.has("timestamp-query"));
  assertEquals(isSoftware, await softwareAdapter() !== undefined);
});

testGpu("each caller has its own device", async (gpu) => {
  const other = await openGpu();
  other.device.destroy();
  const buffer = gpu.device.createBuffer({ size: 4, usage: READABLE });
  await buffer.mapAsync(GPUMapMode.READ);
  assertEquals(buffer.getMappedRange().byteLength, 4);
});

testGpu("an error that nobody waits for is reported once", async ({ device }) => {
  const failures: string[] = [];
  watchDevice(device, (reason) => failures.push(reason));
  for (let i = 0; i < 2; i++) device.createBuffer({ size: TOO_LARGE, usage: READABLE });
  await device.queue.onSubmittedWorkDone();
  assertEquals(failures.length, 1);
  assert(failures[0].startsWith("WebGPU refused a call: "), failures[0]);
  assertStringIncludes(failures[0], `${TOO_LARGE}`);
});

testGpu("destroying a device is no failure", async ({ device }) => {
  const failures: string[] = [];
  watchDevice(device, (reason) => failures.push(reason));
  device.destroy();
  assertEquals((await device.lost).reason, "destroyed");
  assertEquals(failures, []);
});

Deno.test("a device that is lost is a failure, with the driver's words", async () => {
  const device: unknown = Object.assign(new EventTarget(), {
    lost: Promise.resolve({ reason: "unknown", message: "hung up" }),
  });
  const failures: string[] = [];
  watchDevice(device as GPUDevice, (reason) => failures.push(reason));
  await Promise.resolve();
  assertEquals(failures, ["the GPU was lost: hung up"]);
});

testGpu("allocations that the device accepts are returned", async ({ device }) => {
  const buffer = await outOfMemory(
    device,
    () => device.createBuffer({ size: 64, usage: READABLE }),
  );
  assertEquals(buffer.size, 64);
});

testGpu("allocations that it refuses throw, and reach nobody else", async ({ device }) => {
  const failures: string[] = [];
  watchDevice(device, (reason) => failures.push(reason));
  await assertRejects(
    () => outOfMemory(device, () => device.createBuffer({ size: TOO_LARGE, usage: READABLE })),
    AllocationError,
    "WebGPU refused a call: ",
  );
  await device.queue.onSubmittedWorkDone();
  assertEquals(failures, []);
});

const READABLE = GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST;
/** Bytes; more than any adapter's `maxBufferSize`. */
const TOO_LARGE = 2 ** 52;
