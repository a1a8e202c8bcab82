/**
 * A program on a device: its buffers, pipelines and bind groups, made once; and
 * the calls that queue work and read it back.
 */
import { type Kernel, SLICE_ALIGNMENT, STEP_BYTES, STEP_SCALARS } from "./_kernel.ts";
import type { Launch } from "./_program.ts";
import type { Storage, StorageSlice } from "./_storage.ts";

/** The values of `STEP`. */
export interface StepValues {
  readonly images: number;
  readonly inference?: boolean;
  readonly updateRunning?: boolean;
  readonly slot?: number;
  /** Images over which the loss is the mean; those of `images` when undefined. */
  readonly lossImages?: number;
  /** Which part of the batch; 0 when undefined. */
  readonly part?: number;
  /** The optimiser's. */
  readonly scalars?: readonly number[];
}

/** A launch that is ready to be encoded. */
export interface Bound {
  readonly kernel: Kernel;
  readonly pipeline: GPUComputePipeline;
  readonly group: GPUBindGroup;
  /** Bytes that it reads and writes, for the largest batch. */
  readonly bytes: number;
}

/** Results to be read: part of a buffer, and where it goes. */
export interface Copy {
  readonly from: StorageSlice;
  readonly to: GPUBuffer;
  /** Bytes from its begin. */
  readonly at: number;
}

/** Bytes that one call hands to the queue: it keeps a copy of them until they are on the device. */
const UPLOAD_BYTES = 2 ** 24;

/** Buffers, pipelines and the queue of a device. */
export class Executor {
  readonly device: GPUDevice;
  readonly #buffers = new Map<Storage, GPUBuffer>();
  readonly #pipelines = new Map<string, GPUComputePipeline>();
  readonly #bound = new Map<Launch, Bound>();
  readonly #step: GPUBuffer;
  readonly #stepWords = new Uint32Array(STEP_BYTES / 4);
  readonly #stepFloats = new Float32Array(this.#stepWords.buffer);

  constructor(device: GPUDevice) {
    this.device = device;
    this.#step = device.createBuffer({
      label: "step",
      size: STEP_BYTES,
      usage: GPUBufferUsage.UNIFORM | GPUBufferUsage.COPY_DST,
    });
  }

  /** Makes buffers, full of zeros. */
  allocate(storages: readonly Storage[]): void {
    const { STORAGE, COPY_SRC, COPY_DST } = GPUBufferUsage;
    for (const storage of storages) {
      const { label, bytes } = storage;
      const buffer = this.device.createBuffer({
        ...{ label, size: Math.ceil(bytes / 16) * 16 },
        usage: STORAGE | COPY_SRC | COPY_DST,
      });
      this.#buffers.set(storage, buffer);
    }
  }

  /** Gives buffers back. */
  free(storages: Iterable<Storage> = [...this.#buffers.keys()]): void {
    for (const storage of storages) {
      this.#buffers.get(storage)?.destroy();
      this.#buffers.delete(storage);
    }
  }

  /** Makes the pipelines and bind groups of launches; those made before are shared. */
  bind(launches: readonly Launch[]): readonly Bound[] {
    return launches.map((launch) => {
      const known = this.#bound.get(launch);
      if (known) return known;
      const { kernel, slices } = launch;
      const pipeline = this.#pipeline(kernel);
      const step = { buffer: this.#step, offset: 0, size: STEP_BYTES };
      const group = this.device.createBindGroup({
        label: kernel.label,
        layout: pipeline.getBindGroupLayout(0),
        entries: [
          { binding: 0, resource: step },
          ...slices.map(({ storage, offset, size }, i) => ({
            binding: i + 1,
            resource: { buffer: this.#buffer(storage), offset, size },
          })),
        ],
      });
      const bytes = launch.bytes ?? slices.reduce((sum, { size }) => sum + size, 0);
      const bound = { kernel, pipeline, group, bytes };
      this.#bound.set(launch, bound);
      return bound;
    });
  }

  /** Sets the uniform values of the work that is queued next. */
  setStep(values: StepValues): void {
    this.#stepWords.set([
      values.images,
      values.inference ? 1 : 0,
      values.updateRunning ? 1 : 0,
      values.slot ?? 0,
      values.lossImages ?? values.images,
      values.part ?? 0,
    ]);
    this.#stepFloats.set(values.scalars ?? [], STEP_SCALARS);
    this.device.queue.writeBuffer(this.#step, 0, this.#stepWords);
  }

  /** Copies values to a buffer, before the work that is queued next; whole words alone. */
  write({ storage, offset, size }: StorageSlice, values: Float32Array | Uint32Array): void {
    const bytes = new Uint8Array(
      values.buffer as ArrayBuffer,
      values.byteOffset,
      values.byteLength,
    );
    const buffer = this.#buffer(storage);
    const end = Math.min(size, bytes.length);
    for (let at = 0; at < end; at += UPLOAD_BYTES) {
      const part = bytes.subarray(at, Math.min(end, at + UPLOAD_BYTES));
      this.device.queue.writeBuffer(buffer, offset + at, part);
    }
  }

  /** Encodes launches in their order, as one command buffer, and then copies. */
  encode(
    bound: readonly Bound[],
    images: number,
    copies: readonly Copy[] = [],
  ): GPUCommandBuffer {
    const encoder = this.device.createCommandEncoder();
    if (bound.length > 0) {
      const pass = encoder.beginComputePass();
      for (const { kernel, pipeline, group } of bound) {
        const [x, y, z] = kernel.workgroups(images);
        pass.setPipeline(pipeline);
        pass.setBindGroup(0, group);
        pass.dispatchWorkgroups(x, y, z);
      }
      pass.end();
    }
    for (const { from: { storage, offset, size }, to, at } of copies) {
      encoder.copyBufferToBuffer(this.#buffer(storage), offset, to, at, size);
    }
    return encoder.finish();
  }

  /** Queues what `encode` makes. */
  submit(bound: readonly Bound[], images: number, copies: readonly Copy[] = []): void {
    this.device.queue.submit([this.encode(bound, images, copies)]);
  }

  /** Runs launches one by one; nanoseconds of each. The device must have timestamps. */
  async submitTimed(bound: readonly Bound[], images: number): Promise<number[]> {
    const count = 2 * bound.length;
    const querySet = this.device.createQuerySet({ type: "timestamp", count });
    const { QUERY_RESOLVE, COPY_SRC } = GPUBufferUsage;
    const size = 8 * count;
    const resolved = this.device.createBuffer({ size, usage: QUERY_RESOLVE | COPY_SRC });
    const results = this.readable(size);
    const encoder = this.device.createCommandEncoder();
    bound.forEach(({ kernel, pipeline, group }, i) => {
      const timestampWrites = {
        querySet,
        beginningOfPassWriteIndex: 2 * i,
        endOfPassWriteIndex: 2 * i + 1,
      };
      const pass = encoder.beginComputePass({ timestampWrites });
      const [x, y, z] = kernel.workgroups(images);
      pass.setPipeline(pipeline);
      pass.setBindGroup(0, group);
      pass.dispatchWorkgroups(x, y, z);
      pass.end();
    });
    encoder.resolveQuerySet(querySet, 0, count, resolved, 0);
    encoder.copyBufferToBuffer(resolved, 0, results, 0, size);
    this.device.queue.submit([encoder.finish()]);
    try {
      await results.mapAsync(GPUMapMode.READ);
      const ticks = new BigUint64Array(results.getMappedRange().slice(0));
      return bound.map((_, i) => Number(ticks[2 * i + 1] - ticks[2 * i]));
    } finally {
      for (const resource of [querySet, resolved, results]) resource.destroy();
    }
  }

  /** A buffer that results are copied to and read from. */
  readable(size: number): GPUBuffer {
    const usage = GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST;
    return this.device.createBuffer({ label: "results", size, usage });
  }

  /** Waits for all queued work and reads slices. */
  async read(slices: readonly StorageSlice[]): Promise<Float32Array[]> {
    if (slices.length === 0) return [];
    const offsets: number[] = [];
    let end = 0;
    for (const { size } of slices) {
      offsets.push(end);
      end += Math.ceil(size / SLICE_ALIGNMENT) * SLICE_ALIGNMENT;
    }
    const buffer = this.readable(end);
    try {
      this.submit([], 0, slices.map((from, i) => ({ from, to: buffer, at: offsets[i] })));
      await buffer.mapAsync(GPUMapMode.READ);
      const bytes = buffer.getMappedRange();
      return slices.map(({ size }, i) =>
        new Float32Array(bytes.slice(offsets[i], offsets[i] + size))
      );
    } finally {
      buffer.destroy();
    }
  }

  #buffer(storage: Storage): GPUBuffer {
    const buffer = this.#buffers.get(storage);
    if (!buffer) throw new Error(`the buffer "${storage.label}" was not allocated`);
    return buffer;
  }

  #pipeline(kernel: Kernel): GPUComputePipeline {
    const known = this.#pipelines.get(kernel.label);
    if (known) return known;
    const { label, code } = kernel;
    const module = this.device.createShaderModule({ label, code });
    const compute = { module, entryPoint: "main" };
    const pipeline = this.device.createComputePipeline({ label, layout: "auto", compute });
    this.#pipelines.set(label, pipeline);
    return pipeline;
  }
}
