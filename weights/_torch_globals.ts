/**
 * What the pickles of `torch.save` may ask for by name: storages, tensors and
 * their wrappers, and the containers of Python and NumPy. Nothing else is
 * built; see {@linkcode InertObject}.
 */
import {
  ELEMENT_TYPES,
  type ElementType,
  type Layout,
  MOST_AXES,
  rowMajorStrides,
} from "./_elements.ts";
import { InertObject, type PickleEnvironment, PickleGlobal } from "./_pickle.ts";
import { Storage, StoredTensor } from "./_stored_tensor.ts";
import { quote } from "../text/mod.ts";
import { sizeOf, WeightFileError } from "../resnet/mod.ts";

/** Bytes of texts that may be copied: a pickle may name one text any number of times. */
const MOST_COPIED = 32 * 1024 * 1024;

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
  }).flatMap(([name, type]) =>
    ["torch", "torch.cuda"].map((module) => [`${module}.${name}`, ELEMENT_TYPES.get(type)!])
  ),
);

/** NumPy's letters for element types. */
const NUMPY_TYPES: Readonly<Record<string, string>> = {
  f8: "F64",
  f4: "F32",
  f2: "F16",
  i8: "I64",
  i4: "I32",
  i2: "I16",
  i1: "I8",
  u8: "U64",
  u4: "U32",
  u2: "U16",
  u1: "U8",
  b1: "BOOL",
};

/**
 * What a pickle of `torch.save` may ask for.
 *
 * @param storages Takes each storage that the pickle refers to, by its key.
 */
export function torchEnvironment(storages = new Map<string, Storage>()): PickleEnvironment {
  return { globals: globals(), persistent: (id) => persistent(id, storages) };
}

function knownStorage(storage: Storage, storages: Map<string, Storage>): Storage {
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
}

/** From ("storage", class, key, location, elements[, view]), or ("module", class, file, source). */
function persistent(id: unknown, storages: Map<string, Storage>): unknown {
  const [kind, type] = Array.isArray(id) ? id : [];
  if (kind === "module") return type;
  // Whatever has elements of another kind is no weight; it may stand beside them.
  if (kind === "storage" && type instanceof PickleGlobal && !STORAGE_TYPES.has(type.name)) {
    return new InertObject(type.name, []);
  }
  return knownStorage(storageOf(id), storages);
}

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

function globals(): ReadonlyMap<string, PickleGlobal> {
  let copied = 0;
  const take = (bytes: number) => {
    copied += bytes;
    if (copied > MOST_COPIED) {
      throw new WeightFileError(`a pickle may copy ${MOST_COPIED} bytes of texts and lists`);
    }
  };
  // A container made of another is that other: copies would cost without end.
  const list = ([items]: readonly unknown[]) => Array.isArray(items) ? items : [];
  const dict = ([items]: readonly unknown[]): unknown => {
    if (items instanceof Map) return items;
    const pairs = Array.isArray(items) ? items : [];
    take(16 * pairs.length);
    return new Map(pairs.filter(Array.isArray).map(([key, value]) => [key, value]));
  };
  const known: Record<string, (parameters: readonly unknown[]) => unknown> = {
    "collections.OrderedDict": dict,
    "collections.Counter": dict,
    "collections.defaultdict": ([, ...items]) => dict(items),
    "collections.deque": list,
    "torch.Size": list,
    "torch._utils._rebuild_tensor": rebuildTensor,
    "torch._utils._rebuild_tensor_v2": rebuildTensor,
    "torch._utils._rebuild_parameter": rebuildParameter,
    "torch._utils._rebuild_parameter_with_state": rebuildParameter,
    "torch.nn.parameter.Parameter": rebuildParameter,
    "torch._tensor._rebuild_from_type_v2": ([rebuild, , parameters]) => {
      const call = rebuild instanceof PickleGlobal ? rebuild.call : undefined;
      if (call && Array.isArray(parameters)) return call(parameters);
      return new InertObject("torch._tensor._rebuild_from_type_v2", [rebuild, parameters]);
    },
    "_codecs.encode": ([text, encoding]) => {
      if (typeof text !== "string") return new InertObject("_codecs.encode", [text, encoding]);
      take(text.length);
      return Uint8Array.from(text, (character) => character.charCodeAt(0));
    },
  };
  for (const module of ["builtins", "__builtin__"]) {
    for (const name of ["list", "tuple", "set", "frozenset"]) known[`${module}.${name}`] = list;
    known[`${module}.dict`] = dict;
  }
  for (const module of ["copyreg", "copy_reg"]) {
    known[`${module}._reconstructor`] = ([type]) =>
      new InertObject(type instanceof PickleGlobal ? type.name : "an object", []);
  }
  return new Map([
    ...Object.entries(known).map(([name, call]) => [name, new PickleGlobal(name, call)] as const),
    ...[...STORAGE_TYPES.keys()].map((name) => [name, new PickleGlobal(name)] as const),
  ]);
}

/** `_rebuild_tensor(storage, offset, size, stride)`; version 2 appends what only training needs. */
function rebuildTensor(parameters: readonly unknown[]): StoredTensor | InertObject {
  const [storage, offset, shape, strides] = parameters;
  if (storage instanceof InertObject) return new InertObject(`a tensor of ${storage.name}`, []);
  if (
    !(storage instanceof Storage) || !isCount(offset) || !isCounts(shape) || !isCounts(strides) ||
    shape.length !== strides.length
  ) {
    throw new WeightFileError(
      `a tensor must be rebuilt from a storage, an offset, and a size and strides of one length up to ${MOST_AXES}`,
    );
  }
  // Copies: the pickle could still append to its own lists.
  const layout = { shape: [...shape], strides: [...strides], offset };
  expectWithin(storage, layout);
  return new StoredTensor(storage, layout);
}

function expectWithin(storage: Storage, { shape, strides, offset }: Layout): void {
  const last = shape.reduce((sum, extent, axis) => sum + (extent - 1) * strides[axis], offset);
  if (sizeOf(shape) > 0 && !(last < storage.elements)) {
    throw new WeightFileError(
      `a tensor of size [${shape.join(", ")}] reaches element ${last} of storage ${
        quote(storage.key)
      }, which has ${storage.elements}`,
    );
  }
}

/** `_rebuild_parameter(data, requires_grad, backward_hooks[, state])`. */
function rebuildParameter([tensor]: readonly unknown[]): StoredTensor {
  if (tensor instanceof StoredTensor) return tensor;
  throw new WeightFileError(
    `a parameter must be rebuilt from a tensor, found ${
      tensor instanceof InertObject ? quote(tensor.name) : typeof tensor
    }; save the model's state_dict() of plain tensors`,
  );
}

const ARRAY = /^numpy(\._?core\.multiarray)?\.(_reconstruct|ndarray)$/;
const SCALAR = /^numpy\._?core\.multiarray\.scalar$/;

/** A NumPy array as a tensor; undefined for anything else. */
export function numpyArray(value: unknown): StoredTensor | undefined {
  if (!(value instanceof InertObject) || !ARRAY.test(value.name) || !Array.isArray(value.state)) {
    return undefined;
  }
  const [, shape, dtype, fortran, content] = value.state;
  const type = elementType(dtype);
  if (!type || !isCounts(shape) || !(content instanceof Uint8Array)) return undefined;
  const strides = rowMajorStrides(shape);
  const layout = fortran === true
    ? { shape: [...shape], strides: rowMajorStrides(shape.toReversed()).reverse(), offset: 0 }
    : { shape: [...shape], strides, offset: 0 };
  const storage = new Storage(
    "a NumPy array",
    type,
    Math.floor(content.length / type.bytes),
    content,
  );
  expectWithin(storage, layout);
  return new StoredTensor(storage, layout);
}

/** The number in a NumPy scalar; undefined for anything else. */
export function numpyScalar(value: unknown): number | undefined {
  if (!(value instanceof InertObject) || !SCALAR.test(value.name)) return undefined;
  const [dtype, content] = value.parameters;
  const type = elementType(dtype);
  if (!type || !(content instanceof Uint8Array) || content.length < type.bytes) return undefined;
  return type.read(new DataView(content.buffer, content.byteOffset, content.byteLength), 0);
}

/** `numpy.dtype("f4", False, True)` with the state (version, byte order, ...). */
function elementType(dtype: unknown): ElementType | undefined {
  if (!(dtype instanceof InertObject) || dtype.name !== "numpy.dtype") return undefined;
  const [name] = dtype.parameters;
  const order = Array.isArray(dtype.state) ? dtype.state[1] : "|";
  if (typeof name !== "string" || order === ">") return undefined;
  return ELEMENT_TYPES.get(NUMPY_TYPES[name.replace(/^[<|=]/, "")] ?? "");
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && value as number >= 0;
}

function isCounts(value: unknown): value is readonly number[] {
  return Array.isArray(value) && value.length <= MOST_AXES && value.every(isCount);
}
