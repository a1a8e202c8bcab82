/** Tensors of a pickle: views of storages whose bytes are read when they are wanted. */
import { type ElementType, type Layout, readElements } from "./_elements.ts";
import { sizeOf, type Tensor, WeightFileError } from "../resnet/mod.ts";

/**
 * What all tensors that are read may take. ResNet-34 with 1,000 classes has 87 MB of weights, and
 * ResNet-152, which is judged and is none of the nets here, 241.
 */
export const MOST_TENSOR_BYTES = 240 * 1024 * 1024;

/** Elements that tensors share, as a pickle refers to them. */
export class Storage {
  constructor(
    readonly key: string,
    readonly type: ElementType,
    readonly elements: number,
    /** Where the pickle itself holds them. */
    readonly content?: Uint8Array,
  ) {}

  get bytes(): number {
    return this.elements * this.type.bytes;
  }
}

/** A view of a storage. */
export class StoredTensor {
  constructor(readonly storage: Storage, readonly layout: Layout) {}
}

/**
 * Reads tensors' values.
 *
 * @param contentOf The bytes of a storage that the pickle does not hold itself.
 * @throws {WeightFileError} If they are too large together, or a value fits no 32-bit float.
 */
export function readStored(
  tensors: ReadonlyMap<string, StoredTensor>,
  contentOf: (storage: Storage) => Uint8Array,
): Map<string, Tensor> {
  // Views may repeat elements without end, so the sum is checked before any is read.
  let bytes = 0;
  for (const { layout } of tensors.values()) bytes += 4 * sizeOf(layout.shape);
  if (!(bytes <= MOST_TENSOR_BYTES)) {
    throw new WeightFileError(
      `tensors of at most ${MOST_TENSOR_BYTES} bytes are read, these would take ${bytes}`,
    );
  }
  const weights = new Map<string, Tensor>();
  for (const [name, { storage, layout }] of tensors) {
    const content = storage.content ?? contentOf(storage);
    const data = readElements(storage.type, content, layout, name);
    weights.set(name, { shape: layout.shape, data });
  }
  return weights;
}
