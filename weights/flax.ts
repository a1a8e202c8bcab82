/**
 * Reads what Flax writes with `serialization.to_bytes`: MessagePack with arrays
 * as an extension of its own.
 *
 * Source: flax/serialization.py of Flax 0.12, and the MessagePack specification.
 */
import type { Contents, Format } from "./format.ts";
import { ELEMENT_TYPES, MOST_AXES, readElements, rowMajorStrides } from "./_elements.ts";
import { MOST_TENSOR_BYTES } from "./_stored_tensor.ts";
import { quote } from "../text/mod.ts";
import { sizeOf, type Tensor, WeightFileError, type Weights } from "../resnet/mod.ts";

/** Values of a file; a state of ResNet-1202 has about 30,000. */
const MOST_VALUES = 500_000;
const DEEPEST = 64;

/** A tree of variables, or a whole training state. */
export const flax: Format = {
  id: "flax",
  title: "Flax's MessagePack",
  leads: ["flax_model.msgpack"],
  recognises: ({ bytes }) => {
    // A map whose first key is a text: Flax names its collections.
    const [first, second, third, fourth] = bytes;
    const key = first >= 0x81 && first <= 0x8f ? second : first === 0xde ? fourth : undefined;
    const letter = key !== undefined && key >= 0xa1 && key <= 0xbf
      ? (first === 0xde ? bytes[4] : third)
      : 0;
    return letter >= 0x20 && letter < 0x7f;
  },
  read: ({ bytes }): Contents => {
    const tree = new Decoder(bytes).whole();
    return { tensors: tensorsOf(variablesIn(tree) ?? tree), ordered: false };
  },
};

/** An array that has not been read. */
class Stored {
  constructor(
    readonly shape: readonly number[],
    readonly type: string,
    readonly content: Uint8Array,
  ) {}
}

type Tree = ReadonlyMap<string, unknown>;

/** The tree that holds the collection of parameters, at the top or within a training state. */
function variablesIn(tree: Tree, depth = 0): Tree | undefined {
  const params = tree.get("params");
  if (params instanceof Map) {
    // A state may hold {"params": {"params": ...}}.
    const inner = depth < 4 ? variablesIn(params, depth + 1) : undefined;
    if (inner) return inner;
    return new Map(
      ["params", "batch_stats"].flatMap((name) =>
        tree.has(name) ? [[name, tree.get(name)] as const] : []
      ),
    );
  }
  if (depth >= 4) return undefined;
  for (const [name, value] of tree) {
    if (!(value instanceof Map) || /^opt/.test(name)) continue;
    const found = variablesIn(value, depth + 1);
    if (found) return found;
  }
  return undefined;
}

function tensorsOf(tree: Tree): Weights {
  const found: [string, Stored][] = [];
  const visit = (value: unknown, path: string) => {
    if (value instanceof Stored) found.push([path, value]);
    if (!(value instanceof Map)) return;
    for (const [name, item] of value) visit(item, path === "" ? name : `${path}/${name}`);
  };
  visit(tree, "");
  const bytes = found.reduce((sum, [, { shape }]) => sum + 4 * sizeOf(shape), 0);
  if (!(bytes <= MOST_TENSOR_BYTES)) {
    throw new WeightFileError(
      `arrays of at most ${MOST_TENSOR_BYTES} bytes are read, these would take ${bytes}`,
    );
  }
  return new Map(found.map(([name, stored]): [string, Tensor] => [name, tensorOf(stored, name)]));
}

/** NumPy's names of the types of elements, by those of `_elements.ts`. */
function typeOf(name: string): string {
  const match = /^(u?int|float|bfloat|bool)(\d*)_?$/.exec(name);
  if (!match) return "";
  const [, kind, bits] = match;
  const letter = { int: "I", uint: "U", float: "F", bfloat: "BF", bool: "BOOL" }[kind];
  return `${letter}${bits}`;
}

function tensorOf({ shape, type, content }: Stored, name: string): Tensor {
  const element = ELEMENT_TYPES.get(typeOf(type));
  if (!element) {
    throw new WeightFileError(
      `${quote(name)} has the type ${quote(type)}, which is not read; save it as float32`,
    );
  }
  if (content.length !== sizeOf(shape) * element.bytes) {
    throw malformed(
      `${quote(name)} of shape (${shape.join(", ")}) takes ${
        sizeOf(shape) * element.bytes
      } bytes, it has ${content.length}`,
    );
  }
  const layout = { shape, strides: rowMajorStrides(shape), offset: 0 };
  return { shape, data: readElements(element, content, layout, name) };
}

/** Values of MessagePack, of which maps, lists, texts, numbers and Flax's arrays are kept. */
class Decoder {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  #position = 0;
  #values = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  whole(): Tree {
    try {
      const value = this.#value(0);
      if (!(value instanceof Map)) throw malformed("it is no tree of names");
      if (this.#position !== this.#bytes.length) {
        throw malformed(`${this.#bytes.length - this.#position} bytes follow its end`);
      }
      return value;
    } catch (error) {
      // A view says with a RangeError that a number lies outside of the file.
      if (error instanceof RangeError) throw malformed("it is cut off", error);
      throw error;
    }
  }

  #unsigned(size: 1 | 2 | 4): number {
    const at = this.#position;
    this.#position += size;
    return size === 1
      ? this.#view.getUint8(at)
      : size === 2
      ? this.#view.getUint16(at)
      : this.#view.getUint32(at);
  }

  #take(length: number): Uint8Array {
    const end = this.#position + length;
    if (end > this.#bytes.length) throw malformed("it is cut off");
    const content = this.#bytes.subarray(this.#position, end);
    this.#position = end;
    return content;
  }

  #text(length: number): string {
    return new TextDecoder().decode(this.#take(length));
  }

  #value(depth: number): unknown {
    if (++this.#values > MOST_VALUES || depth > DEEPEST) {
      throw new WeightFileError(
        `MessagePack of at most ${MOST_VALUES} values, ${DEEPEST} deep, is read, this one has more`,
      );
    }
    const tag = this.#unsigned(1);
    if (tag <= 0x7f || tag >= 0xe0) return tag <= 0x7f ? tag : tag - 0x100;
    if (tag <= 0x8f) return this.#map(tag & 15, depth);
    if (tag <= 0x9f) return this.#list(tag & 15, depth);
    if (tag <= 0xbf) return this.#text(tag & 31);
    const sizes = [1, 2, 4] as const;
    switch (tag) {
      case 0xc0:
        return null;
      case 0xc2:
      case 0xc3:
        return tag === 0xc3;
      case 0xc4:
      case 0xc5:
      case 0xc6:
        return this.#take(this.#unsigned(sizes[tag - 0xc4]));
      case 0xc7:
      case 0xc8:
      case 0xc9:
        return this.#extension(this.#unsigned(sizes[tag - 0xc7]));
      case 0xca:
        return this.#scalar(4, (at) => this.#view.getFloat32(at));
      case 0xcb:
        return this.#scalar(8, (at) => this.#view.getFloat64(at));
      case 0xcc:
      case 0xcd:
      case 0xce:
        return this.#unsigned(sizes[tag - 0xcc]);
      case 0xcf:
        return this.#scalar(8, (at) => Number(this.#view.getBigUint64(at)));
      case 0xd0:
        return this.#scalar(1, (at) => this.#view.getInt8(at));
      case 0xd1:
        return this.#scalar(2, (at) => this.#view.getInt16(at));
      case 0xd2:
        return this.#scalar(4, (at) => this.#view.getInt32(at));
      case 0xd3:
        return this.#scalar(8, (at) => Number(this.#view.getBigInt64(at)));
      case 0xd4:
      case 0xd5:
      case 0xd6:
      case 0xd7:
      case 0xd8:
        return this.#extension(1 << (tag - 0xd4));
      case 0xd9:
      case 0xda:
      case 0xdb:
        return this.#text(this.#unsigned(sizes[tag - 0xd9]));
      case 0xdc:
      case 0xdd:
        return this.#list(this.#unsigned(tag === 0xdc ? 2 : 4), depth);
      case 0xde:
      case 0xdf:
        return this.#map(this.#unsigned(tag === 0xde ? 2 : 4), depth);
      default:
        throw malformed(`byte ${tag} begins no value`);
    }
  }

  #scalar(size: number, read: (at: number) => number): number {
    const at = this.#position;
    this.#position += size;
    return read(at);
  }

  #map(count: number, depth: number): Map<string, unknown> {
    const map = new Map<string, unknown>();
    for (let i = 0; i < count; i++) {
      const key = this.#value(depth + 1);
      if (typeof key !== "string") throw malformed("a name is no text");
      if (map.has(key)) throw malformed(`two values are named ${quote(key)}`);
      map.set(key, this.#value(depth + 1));
    }
    return map;
  }

  #list(count: number, depth: number): unknown[] {
    const list: unknown[] = [];
    for (let i = 0; i < count; i++) list.push(this.#value(depth + 1));
    return list;
  }

  /** Flax's extensions 1 and 3 are arrays: MessagePack of shape, type and bytes. */
  #extension(length: number): unknown {
    const kind = this.#unsigned(1);
    const end = this.#position + length;
    if (end > this.#bytes.length) throw malformed("it is cut off");
    if (kind !== 1 && kind !== 3) {
      this.#position = end;
      return undefined;
    }
    const parts = this.#value(DEEPEST - 4);
    if (this.#position !== end || !Array.isArray(parts)) throw malformed("an array is damaged");
    const [shape, type, content] = parts;
    if (
      !Array.isArray(shape) || shape.length > MOST_AXES || typeof type !== "string" ||
      !shape.every((extent) => Number.isSafeInteger(extent) && extent >= 0) ||
      !(content instanceof Uint8Array)
    ) throw malformed("an array has no shape, type or content");
    return new Stored(shape, type, content);
  }
}

function malformed(reason: string, cause?: unknown): WeightFileError {
  return new WeightFileError(`not well-formed MessagePack of Flax: ${reason}; save it again`, {
    cause,
  });
}
