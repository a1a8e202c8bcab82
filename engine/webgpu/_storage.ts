/**
 * What a network needs on the device, before any of it is there: buffers by
 * name and size, and where each tensor and parameter lies in them.
 */
import type { Graph } from "../../resnet/mod.ts";
import { storedSize } from "../_stored.ts";
import type { Plan, PlanTensor } from "../plan.ts";
import { SLICE_ALIGNMENT } from "./_kernel.ts";

/** A buffer to be. */
export interface Storage {
  readonly label: string;
  /** Bytes; grows while the program is written. */
  bytes: number;
}

/** Part of one. */
export interface StorageSlice {
  readonly storage: Storage;
  /** Bytes; a multiple of `SLICE_ALIGNMENT`. */
  readonly offset: number;
  /** Bytes. */
  readonly size: number;
}

/** Takes the next bytes of a buffer. */
export function take(storage: Storage, size: number): StorageSlice {
  const offset = Math.ceil(storage.bytes / SLICE_ALIGNMENT) * SLICE_ALIGNMENT;
  storage.bytes = offset + size;
  return { storage, offset, size };
}

/** All of a buffer. */
export function whole(storage: Storage): StorageSlice {
  return { storage, offset: 0, size: storage.bytes };
}

/**
 * A buffer for every activation and gradient of a plan, shared between tensors
 * of one size that are not needed at the same time. One buffer a tensor, and
 * not one for all, because a device orders dispatches by the buffers that they
 * share, and none may be read and written by one dispatch.
 *
 * @param batchSize Images of the largest batch.
 * @param bytesOf Of one value of a tensor.
 */
export function placeTensors(
  plan: Plan,
  batchSize: number,
  bytesOf: (tensor: PlanTensor) => number = () => 4,
): Map<PlanTensor, StorageSlice> {
  const tensors = [
    plan.input,
    ...plan.forward.map(({ output }) => output),
    ...plan.outputGradient ? [plan.outputGradient] : [],
    ...plan.backward.flatMap((op) => {
      const addendGradient = op.kind === "normalise-gradient" ? op.addendGradient : undefined;
      return [op.inputGradient, addendGradient].flatMap((target) => target ? [target.tensor] : []);
    }),
  ].filter((tensor, i, all) => tensor.life && all.indexOf(tensor) === i)
    .sort((a, b) => a.life!.first - b.life!.first);
  const placed = new Map<PlanTensor, StorageSlice>();
  const slots: { storage: Storage; freeAfter: number }[] = [];
  for (const tensor of tensors) {
    const bytes = bytesOf(tensor) * tensor.size * batchSize;
    const { first, last } = tensor.life!;
    let slot = slots.find(({ storage, freeAfter }) => storage.bytes === bytes && freeAfter < first);
    if (!slot) {
      slot = { storage: { label: `tensors ${slots.length}`, bytes }, freeAfter: last };
      slots.push(slot);
    }
    slot.freeAfter = last;
    placed.set(tensor, whole(slot.storage));
  }
  return placed;
}

/** Where every parameter lies. */
export class ParameterStorage {
  /** Trainable ones. */
  readonly weights: Storage = { label: "weights", bytes: 0 };
  /** What the optimiser keeps: each slot at the same offsets of a buffer of the same size. */
  readonly slots: ReadonlyMap<string, Storage>;
  /** Batch norm's running statistics. */
  readonly running: Storage = { label: "running statistics", bytes: 0 };
  /** Convolution kernels, mirrored and transposed, as the input gradient reads them. */
  readonly flipped: Storage = { label: "flipped kernels", bytes: 0 };
  readonly #slices = new Map<string, StorageSlice>();
  readonly #flipped = new Map<string, StorageSlice>();

  constructor(graph: Graph, slots: readonly string[]) {
    for (const node of graph.nodes) {
      for (const spec of node.parameters) {
        const size = 4 * storedSize(spec);
        const known = this.#slices.get(runningMean(node.name));
        if (spec.trainable) this.#slices.set(spec.name, take(this.weights, size));
        // A kernel binds a layer's mean, and the variance after it, as one slice.
        else if (!known) this.#slices.set(spec.name, take(this.running, 2 * size));
        else this.#slices.set(spec.name, { ...known, offset: known.offset + size, size });
        if (node.kind === "convolution" && spec.role === "kernel") {
          this.#flipped.set(spec.name, take(this.flipped, size));
        }
      }
    }
    const { bytes } = this.weights;
    this.slots = new Map(slots.map((slot) => [slot, { label: slot, bytes }]));
    // No binding may be empty, and a network without convolutions has no such kernels.
    this.flipped.bytes ||= SLICE_ALIGNMENT;
  }

  /** In `weights` (and each slot), or in `running`. */
  slice(name: string): StorageSlice {
    return this.#slices.get(name)!;
  }

  /** In `flipped`; undefined for what is no convolution's kernel. */
  flippedSlice(name: string): StorageSlice | undefined {
    return this.#flipped.get(name);
  }

  /** Both running statistics of a batch norm. */
  runningSlice(batchNorm: string): StorageSlice {
    return this.slice(runningMean(batchNorm));
  }
}

function runningMean(batchNorm: string): string {
  return `${batchNorm}.running_mean`;
}
