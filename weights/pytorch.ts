/**
 * Reads the weights in a file that PyTorch's `torch.save` wrote: the zip
 * archive of version 1.6 and later, or the older stream of pickles. No code of
 * the file is run; a pickle that asks for more than tensors is refused.
 *
 * Source of both forms: torch/serialization.py of PyTorch 2.13.
 */
import {
  ELEMENT_TYPES,
  type ElementType,
  type Layout,
  MOST_AXES,
  readElements,
} from "./_elements.ts";
import { type PickleEnvironment, PickleGlobal, unpickle } from "./_pickle.ts";
import { quote } from "../text/mod.ts";
import { ZipArchive } from "./_zip.ts";
import { sizeOf, type Tensor, WeightFileError, type Weights } from "../resnet/mod.ts";

/** The largest network here, ResNet-34 with 1,000 classes, has 87 MB of weights. */
const MOST_TENSOR_BYTES = 160 * 1024 * 1024;
const MOST_INFLATED_BYTES = 96 * 1024 * 1024;

const ZIP_SIGNATURE = [0x50, 0x4b, 0x03, 0x04];
/** A pickle (protocol 2) of the number that every legacy file begins with. */
const LEGACY_SIGNATURE = [
  ...[0x80, 0x02, 0x8a, 0x0a],
  ...[0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19, 0x2e],
];
const LEGACY_PROTOCOL = 1001;

/** The form in which PyTorch wrote a file, or undefined if it wrote neither form. */
export function pytorchFormat(bytes: Uint8Array): "pytorch-zip" | "pytorch-legacy" | undefined {
  const beginsWith = (signature: readonly number[]) =>
    signature.every((byte, i) => bytes[i] === byte);
  if (beginsWith(ZIP_SIGNATURE)) return "pytorch-zip";
  return beginsWith(LEGACY_SIGNATURE) ? "pytorch-legacy" : undefined;
}

/**
 * Reads the state dict in a file written by `torch.save`: the object itself or,
 * within a dict, the entry `state_dict`, `model`, `model_state_dict`, `net` or
 * the only dict of tensors.
 *
 * Memory stays below 512 MiB above the file's own size.
 *
 * @param bytes The whole file.
 * @returns Arrays as dense 32-bit floats, in the state dict's order.
 * @throws {WeightFileError} If the file is malformed, big-endian or too large,
 *   holds no state dict, or asks for anything but tensors, containers, numbers
 *   and strings; the message names what it asked for.
 *
 * @example The bytes of a program are no weights.
 * ```ts
 * import { decodePyTorch } from "./pytorch.ts";
 * import { WeightFileError } from "../resnet/mod.ts";
 * import { assertThrows } from "@std/assert";
 *
 * assertThrows(() => decodePyTorch(new TextEncoder().encode("#!/bin/sh")), WeightFileError);
 * ```
 */
export function decodePyTorch(bytes: Uint8Array): Weights {
  switch (pytorchFormat(bytes)) {
    case "pytorch-zip":
      return decodeZip(bytes);
    case "pytorch-legacy":
      return decodeLegacy(bytes);
    default:
      throw new WeightFileError(
        "not a file of torch.save: it begins neither as a zip archive nor with PyTorch's magic number",
      );
  }
}

/** Elements that tensors share, as the pickle refers to them. */
class Storage {
  constructor(
    readonly key: string,
    readonly type: ElementType,
    readonly elements: number,
  ) {}

  get bytes(): number {
    return this.elements * this.type.bytes;
  }
}

/** A view of a storage; its bytes are read only if the tensor is wanted. */
class StoredTensor {
  constructor(readonly storage: Storage, readonly layout: Layout) {}
}

type StateDict = ReadonlyMap<string, StoredTensor>;

function decodeZip(bytes: Uint8Array): Weights {
  const archive = new ZipArchive(bytes, MOST_INFLATED_BYTES);
  const pickles = [...archive.members.keys()].filter((name) => /(^|\/)data\.pkl$/.test(name));
  if (pickles.length !== 1) {
    throw new WeightFileError(
      `a zip archive of torch.save holds one data.pkl, this one holds ${pickles.length}`,
    );
  }
  const folder = pickles[0].slice(0, -"data.pkl".length);
  if (archive.members.has(`${folder}byteorder`)) {
    const order = new TextDecoder().decode(archive.read(`${folder}byteorder`));
    refuseBigEndian(order === "little");
  }
  const { value } = unpickle(archive.read(pickles[0]), 0, environment());
  const contents = new Map<string, Uint8Array>();
  return readTensors(findStateDict(value), ({ key, bytes: expected }) => {
    const content = contents.get(key) ?? archive.read(`${folder}data/${key}`);
    contents.set(key, content);
    if (content.length !== expected) {
      throw new WeightFileError(
        `storage ${quote(key)} must have ${expected} bytes, its record has ${content.length}`,
      );
    }
    return content;
  });
}

/** Magic number, protocol, system, object and storage keys are pickles; raw storages follow. */
function decodeLegacy(bytes: Uint8Array): Weights {
  const nothing = { globals: new Map(), persistent: refusePersistent };
  const protocol = unpickle(bytes, LEGACY_SIGNATURE.length, nothing);
  if (protocol.value !== LEGACY_PROTOCOL) {
    throw new WeightFileError(`PyTorch's old files have protocol ${LEGACY_PROTOCOL}, not this one`);
  }
  const system = unpickle(bytes, protocol.end, nothing);
  refuseBigEndian(system.value instanceof Map && system.value.get("little_endian") === true);

  const storages = new Map<string, Storage>();
  const object = unpickle(bytes, system.end, environment(storages));
  const keys = unpickle(bytes, object.end, nothing);
  if (!Array.isArray(keys.value)) {
    throw new WeightFileError("the list of storages is missing; the file is cut off");
  }
  const contents = new Map<string, Uint8Array>();
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let position = keys.end;
  for (const key of keys.value) {
    const storage = storages.get(key);
    if (!storage) throw new WeightFileError("a storage is listed that no tensor uses");
    const start = position + 8;
    const end = start + storage.bytes;
    if (end > bytes.length) {
      throw new WeightFileError(
        `storage ${
          quote(storage.key)
        } ends at byte ${end} of a file of ${bytes.length}; the file is cut off`,
      );
    }
    const elements = view.getBigInt64(position, true);
    if (elements !== BigInt(storage.elements)) {
      throw new WeightFileError(
        `storage ${
          quote(storage.key)
        } has ${elements} elements and its tensors expect ${storage.elements}`,
      );
    }
    contents.set(storage.key, bytes.subarray(start, end));
    position = end;
  }
  if (position !== bytes.length) {
    throw new WeightFileError(
      `${bytes.length - position} bytes follow the last storage; save one state dict alone`,
    );
  }
  return readTensors(findStateDict(object.value), ({ key }) => {
    const content = contents.get(key);
    if (!content) throw new WeightFileError(`storage ${quote(key)} is missing from the file`);
    return content;
  });
}

function refuseBigEndian(littleEndian: boolean): void {
  if (!littleEndian) {
    throw new WeightFileError(
      "the file must state that it was written little-endian; load it in PyTorch and save it on a little-endian machine",
    );
  }
}

function refusePersistent(): never {
  throw new WeightFileError("a storage is referred to where none can be");
}

/** PyTorch's storage classes and the types of their elements. */
const STORAGE_TYPES: ReadonlyMap<string, ElementType> = new Map(
  Object.entries({
    DoubleStorage: "F64",
    FloatStorage: "F32",
    HalfStorage: "F16",
    BFloat16Storage: "BF16",
    LongStorage: "I64",
    IntStorage: "I32",
    ShortStorage: "I16",
    CharStorage: "I8",
    ByteStorage: "U8",
    BoolStorage: "BOOL",
  }).map(([name, type]) => [`torch.${name}`, ELEMENT_TYPES.get(type)!]),
);

const GLOBALS: ReadonlyMap<string, PickleGlobal> = new Map(
  [
    new PickleGlobal("collections.OrderedDict", orderedDict),
    new PickleGlobal("torch._utils._rebuild_tensor", rebuildTensor),
    new PickleGlobal("torch._utils._rebuild_tensor_v2", rebuildTensor),
    new PickleGlobal("torch._utils._rebuild_parameter", rebuildParameter),
    ...[...STORAGE_TYPES.keys()].map((name) => new PickleGlobal(name)),
  ].map((global) => [global.name, global]),
);

/** @param storages Takes each storage that the pickle refers to, by its key. */
function environment(storages = new Map<string, Storage>()): PickleEnvironment {
  return {
    globals: GLOBALS,
    persistent: (id) => {
      const storage = storageOf(id);
      const known = storages.get(storage.key);
      if (known && (known.type !== storage.type || known.elements !== storage.elements)) {
        throw new WeightFileError(
          `storage ${
            quote(storage.key)
          } is described in two ways: ${known.elements} of ${known.type.name} and ${storage.elements} of ${storage.type.name}`,
        );
      }
      storages.set(storage.key, storage);
      return storage;
    },
  };
}

/** From ("storage", class, key, location, elements[, view]). */
function storageOf(id: unknown): Storage {
  const [kind, storageClass, key, , elements, view = null] = Array.isArray(id) ? id : [];
  const type = storageClass instanceof PickleGlobal
    ? STORAGE_TYPES.get(storageClass.name)
    : undefined;
  if (kind !== "storage" || !type || typeof key !== "string" || !isCount(elements)) {
    throw new WeightFileError(
      "a persistent id must be (storage, class, key, location, number of elements)",
    );
  }
  if (view !== null) {
    throw new WeightFileError(
      `storage ${
        quote(key)
      } is a view of another, which only PyTorch before 0.4 wrote; load and save it with a newer version`,
    );
  }
  return new Storage(key, type, elements);
}

/** `collections.OrderedDict()`; its items follow as operations of the pickle. */
function orderedDict(parameters: readonly unknown[]): Map<unknown, unknown> {
  if (parameters.length > 0) {
    throw new WeightFileError(
      "an OrderedDict made from arguments is what Python 2 wrote; load and save the file with Python 3",
    );
  }
  return new Map();
}

/** `_rebuild_tensor(storage, offset, size, stride)`; version 2 appends what only training needs. */
function rebuildTensor(parameters: readonly unknown[]): StoredTensor {
  const [storage, offset, shape, strides] = parameters;
  if (
    !(storage instanceof Storage) || !isCount(offset) || !isCounts(shape) || !isCounts(strides) ||
    shape.length !== strides.length
  ) {
    throw new WeightFileError(
      `a tensor must be rebuilt from a storage, an offset, and a size and strides of one length up to ${MOST_AXES}`,
    );
  }
  const elements = sizeOf(shape);
  const last = shape.reduce((sum, extent, axis) => sum + (extent - 1) * strides[axis], offset);
  if (elements > 0 && last >= storage.elements) {
    throw new WeightFileError(
      `a tensor of size [${shape.join(", ")}] reaches element ${last} of storage ${
        quote(storage.key)
      }, which has ${storage.elements}`,
    );
  }
  // Copies: the pickle could still append to its own lists.
  return new StoredTensor(storage, { shape: [...shape], strides: [...strides], offset });
}

/** `_rebuild_parameter(data, requires_grad, backward_hooks)`. */
function rebuildParameter([tensor]: readonly unknown[]): StoredTensor {
  if (tensor instanceof StoredTensor) return tensor;
  throw new WeightFileError("a parameter must be rebuilt from a tensor");
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && value as number >= 0;
}

function isCounts(value: unknown): value is readonly number[] {
  return Array.isArray(value) && value.length <= MOST_AXES && value.every(isCount);
}

/** Keys under which training scripts put the model beside epoch, optimiser and so on. */
const STATE_DICT_KEYS = ["state_dict", "model", "model_state_dict", "net"];

function findStateDict(value: unknown): StateDict {
  if (!(value instanceof Map)) {
    throw new WeightFileError("the file holds no dict; save the model's state_dict()");
  }
  // A set, because a pickle may refer to one dict any number of times.
  const dicts = new Set<unknown>();
  for (const item of new Set(value.values())) {
    if (item instanceof Map && hasTensors(item)) dicts.add(item);
  }
  const named = STATE_DICT_KEYS.map((key) => value.get(key)).find((item) => dicts.has(item));
  if (named) return checkStateDict(named);
  if (dicts.size === 1) return checkStateDict([...dicts][0] as Map<unknown, unknown>);
  if (dicts.size === 0 && hasTensors(value)) return checkStateDict(value);
  const keys = [...value.keys()].filter((key) => typeof key === "string").slice(0, 8);
  throw new WeightFileError(
    `the file must hold one dict of tensors, or one called ${
      STATE_DICT_KEYS.join(", ")
    }; it has ${dicts.size}, and the keys ${
      keys.map(quote).join(", ") || "of no text"
    }. Save the model's state_dict() alone`,
  );
}

function hasTensors(dict: ReadonlyMap<unknown, unknown>): boolean {
  for (const value of dict.values()) if (value instanceof StoredTensor) return true;
  return false;
}

function checkStateDict(dict: ReadonlyMap<unknown, unknown>): StateDict {
  for (const [name, value] of dict) {
    if (typeof name !== "string") {
      throw new WeightFileError(`a state dict's keys are texts, one is a ${typeof name}`);
    }
    if (!(value instanceof StoredTensor)) {
      throw new WeightFileError(
        `${quote(name)} of the state dict is no tensor; save the model's state_dict() alone`,
      );
    }
  }
  return dict as StateDict;
}

function readTensors(dict: StateDict, contentOf: (storage: Storage) => Uint8Array): Weights {
  // Views may repeat elements without end, so the sum is checked before any is read.
  let bytes = 0;
  for (const { layout } of dict.values()) bytes += 4 * sizeOf(layout.shape);
  if (!(bytes <= MOST_TENSOR_BYTES)) {
    throw new WeightFileError(
      `tensors of at most ${MOST_TENSOR_BYTES} bytes are read, these would take ${bytes}`,
    );
  }
  const weights = new Map<string, Tensor>();
  for (const [name, { storage, layout }] of dict) {
    const data = readElements(storage.type, contentOf(storage), layout, name);
    weights.set(name, { shape: layout.shape, data });
  }
  return weights;
}
