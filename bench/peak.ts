/** What a core and a GPU can do at most: the ceilings that times are held against. */
import {
  float4,
  get,
  hasRelaxedSimd,
  int,
  joinedVectors,
  Module,
  openGpu,
  plainMultiplyAdd,
  relaxedMultiplyAdd,
  repeat,
  set,
  store,
} from "../engine/bench/mod.ts";
import { EngineError } from "../engine/mod.ts";
import { timeOfOne } from "./_rounds.ts";

/** Enough independent registers of sums to hide an instruction's latency. */
const REGISTERS = 12;
const TURNS = 2_000_000;

/**
 * Measures the peak of one core in WebAssembly: multiply-adds that wait for nothing, as wide as
 * V8 makes them.
 *
 * @returns Multiply-adds of single floats a second; twice that is FLOP/s.
 */
export function peakMultiplyAdds(): number {
  const multiplyAdd = hasRelaxedSimd() ? relaxedMultiplyAdd : plainMultiplyAdd;
  const module = new Module(1, 1);
  const count = REGISTERS * joinedVectors();
  module.function("peak", [], (f) => {
    const sums = f.vectors(count);
    const [factor] = f.vectors(1);
    const turn = f.i32();
    return [
      set(factor, float4(0.5)),
      repeat(
        turn,
        TURNS,
        sums.map((sum) => set(sum, multiplyAdd(get(sum), get(factor), get(factor)))),
      ),
      sums.map((sum, i) => store(int(0), get(sum), 16 * i)),
    ];
  });
  const memory = new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true });
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(module.build()), {
    env: { memory },
  });
  const peak = exports.peak as () => void;
  let best = Infinity;
  for (let run = 0; run < 8; run++) {
    const begun = performance.now();
    peak();
    best = Math.min(best, performance.now() - begun);
  }
  return count * 4 * TURNS / (best / 1000);
}

/** What a GPU can do at most, through WebGPU. */
export interface GpuPeak {
  /** Floating-point operations a second in single precision, 2 a multiply-add. */
  readonly flops: number;
  /** Of a copy from buffer to buffer: bytes read and bytes written, a second. */
  readonly bytesPerSecond: number;
}

/** Invocations of a workgroup; WebGPU guarantees as many. */
const WORKGROUP = 256;
/** Enough workgroups to fill the largest GPU several times over. */
const WORKGROUPS = 4096;
/** Sums of one invocation that don't wait for each other; vectors of four. */
const GPU_SUMS = 4;
const GPU_TURNS = 128;
/** Far larger than any cache; what WebGPU guarantees for a binding is half of it. */
const COPY_BYTES = 2 ** 28;
/** Vectors that one invocation copies: several loads are under way at a time. */
const COPIES = 4;
/** A row of dispatches is at least as long, in milliseconds. */
const ROW_MILLISECONDS = 100;

/**
 * Sums in registers: x = x * a + b with a and b read from a buffer, so that no
 * compiler can do the sums itself. The result is written, so that none can be
 * left out.
 */
const MULTIPLY_ADD = `
@group(0) @binding(0) var<storage, read_write> values: array<vec4f>;
@compute @workgroup_size(${WORKGROUP})
fn main(@builtin(global_invocation_id) id: vec3u) {
  let a = values[0];
  let b = values[1];
${unrolled((i) => `  var x${i} = values[2] + f32(id.x + ${i}u);`)}
  for (var turn = 0u; turn < ${GPU_TURNS}u; turn++) {
${unrolled((i) => `    x${i} = fma(x${i}, a, b);`)}
  }
  values[id.x + 3u] = ${Array.from({ length: GPU_SUMS }, (_, i) => `x${i}`).join(" + ")};
}`;

function unrolled(statement: (i: number) => string): string {
  return Array.from({ length: GPU_SUMS }, (_, i) => statement(i)).join("\n");
}

/** Neighbouring invocations copy neighbouring vectors, each `COPIES` of them. */
const COPY = `
@group(0) @binding(0) var<storage, read_write> to: array<vec4f>;
@group(0) @binding(1) var<storage, read> source: array<vec4f>;
@compute @workgroup_size(${WORKGROUP})
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let first = group.x * ${COPIES * WORKGROUP}u + lane;
${
  Array.from({ length: COPIES }, (_, i) => {
    const place = `first + ${i * WORKGROUP}u`;
    return `  to[${place}] = source[${place}];`;
  }).join("\n")
}
}`;

/**
 * Measures the ceilings of the adapter that the engine `webgpu` takes.
 *
 * @throws {EngineError} If there is no adapter.
 */
export async function peakOfGpu(): Promise<GpuPeak> {
  const { device, limits } = await openGpu();
  try {
    const size = Math.min(COPY_BYTES, limits.maxStorageBufferBindingSize);
    const create = (bytes: number) =>
      device.createBuffer({ size: bytes, usage: GPUBufferUsage.STORAGE });
    const buffers = [create(size), create(size)];
    const invocations = WORKGROUPS * WORKGROUP;
    const multiplyAdds = 4 * GPU_SUMS * GPU_TURNS * invocations;
    const sums = create(16 * (3 + invocations));
    const turn = await timeDispatch(device, MULTIPLY_ADD, [sums], WORKGROUPS);
    const groups = Math.floor(size / (16 * COPIES * WORKGROUP));
    const copy = await timeDispatch(device, COPY, buffers, groups);
    const copied = groups * COPIES * WORKGROUP * 16;
    return { flops: 2 * multiplyAdds / turn, bytesPerSecond: 2 * copied / copy };
  } finally {
    device.destroy();
  }
}

/** Seconds of one dispatch: the best of several long rows of them. */
async function timeDispatch(
  device: GPUDevice,
  code: string,
  buffers: readonly GPUBuffer[],
  workgroups: number,
): Promise<number> {
  device.pushErrorScope("validation");
  const pipeline = device.createComputePipeline({
    layout: "auto",
    compute: { module: device.createShaderModule({ code }), entryPoint: "main" },
  });
  const group = device.createBindGroup({
    layout: pipeline.getBindGroupLayout(0),
    entries: buffers.map((buffer, binding) => ({ binding, resource: { buffer } })),
  });
  const run = async (dispatches: number): Promise<number> => {
    const encoder = device.createCommandEncoder();
    const pass = encoder.beginComputePass();
    pass.setPipeline(pipeline);
    pass.setBindGroup(0, group);
    for (let i = 0; i < dispatches; i++) pass.dispatchWorkgroups(workgroups);
    pass.end();
    const begun = performance.now();
    device.queue.submit([encoder.finish()]);
    await device.queue.onSubmittedWorkDone();
    return performance.now() - begun;
  };
  await run(1); // compiles, and touches the memory
  const error = await device.popErrorScope();
  // Refused work takes no time and would look like a fast GPU.
  if (error) throw new EngineError(`measuring a GPU's peak: ${error.message}`);
  return await timeOfOne(run, ROW_MILLISECONDS) / 1000;
}
