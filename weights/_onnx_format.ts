/**
 * The messages of an ONNX file, of which only what a network needs is kept.
 *
 * Source of the field numbers: onnx/onnx.proto of ONNX 1.23 (Apache-2.0).
 */
import { BinaryReader, WireType } from "@bufbuild/protobuf/wire";
import {
  ELEMENT_TYPES,
  type ElementType,
  MOST_AXES,
  readElements,
  rowMajorStrides,
} from "./_elements.ts";
import { MOST_TENSOR_BYTES } from "./_stored_tensor.ts";
import { quote } from "../text/mod.ts";
import { sizeOf, WeightFileError } from "../resnet/mod.ts";

/**
 * Messages, texts and numbers of a file together. ResNet-32 of PyTorch's newer
 * exporter has 4,093, ResNet-1202 would have about 130,000; each takes a few
 * hundred bytes of memory at most.
 */
const MOST_ITEMS = 500_000;
/** Other files that one may refer to: older exporters wrote one an array. */
const MOST_PARTS = 1_000;
/** Integers are shapes, axes and the like. */
const MOST_INTEGERS = 65_536;

/** An array of the file: 32-bit floats, or whole numbers. */
export interface Constant {
  readonly shape: readonly number[];
  readonly data: Float32Array | readonly number[];
}

/** An array whose values are read when they are asked for. */
export interface StoredTensor {
  readonly name: string;
  readonly shape: readonly number[];
  readonly read: () => Constant;
}

/** The value of a node's attribute. */
export type AttributeValue = number | string | readonly number[] | StoredTensor;

/** One operation. */
export interface OnnxNode {
  readonly operator: string;
  /** Empty for ONNX's own operators. */
  readonly domain: string;
  readonly name: string;
  /** Names of values; empty where an optional input is left out. */
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes: ReadonlyMap<string, AttributeValue>;
}

/** A network as the file has it. */
export interface OnnxFile {
  /** The program that wrote it. */
  readonly producer: string;
  readonly nodes: readonly OnnxNode[];
  readonly tensors: readonly StoredTensor[];
  /** Shapes, with undefined where an extent is free. */
  readonly inputs: readonly {
    readonly name: string;
    readonly shape: readonly (number | undefined)[];
  }[];
  readonly outputs: readonly string[];
  /**
   * Other files in which values lie, by the names that this file gives them; what
   * is set here before a tensor's values are read is where they are read from.
   */
  readonly parts: Map<string, Uint8Array | undefined>;
}

/**
 * Reads the messages of an ONNX file; values of tensors are views of `bytes`.
 *
 * @throws {WeightFileError} If the bytes are no such messages.
 */
export function readOnnxFile(bytes: Uint8Array): OnnxFile {
  try {
    return new FileReader(bytes).model();
  } catch (error) {
    if (error instanceof WeightFileError) throw error;
    // The protobuf library throws RangeError at the end of the bytes, and Error elsewhere.
    throw malformed((error as Error).message, error);
  }
}

function malformed(reason: string, cause?: unknown): WeightFileError {
  return new WeightFileError(
    `not a well-formed ONNX file: ${reason}; export the model again`,
    { cause },
  );
}

/** What to do with each field of a message, by its number; other fields are skipped. */
type Fields = Readonly<Record<number, (wireType: WireType) => void>>;

class FileReader {
  readonly #file: Uint8Array;
  readonly #reader: BinaryReader;
  readonly #budget = new TensorBudget();
  readonly #parts = new Map<string, Uint8Array | undefined>();
  #items = 0;

  constructor(bytes: Uint8Array) {
    this.#file = bytes;
    this.#reader = new BinaryReader(bytes);
  }

  model(): OnnxFile {
    let producer = "";
    // Of ONNX's intermediate representation; since 3 a file has to name its operator set.
    let version = 0, hasOperatorSet = false;
    let graph: Omit<OnnxFile, "producer" | "parts"> | undefined;
    this.#fields(this.#reader.len, {
      1: (wire) => version = this.#integer(wire),
      2: (wire) => producer = this.#string(wire),
      7: (wire) => {
        if (graph) throw malformed("it holds two graphs");
        graph = this.#graph(wire);
      },
      8: (wire) => {
        this.#bytes(wire);
        hasOperatorSet = true;
      },
    });
    if (!graph) throw malformed("it holds no graph");
    // It comes behind the graph.
    if (version >= 3 && !hasOperatorSet) {
      throw malformed("it names no operator set, and may be cut off");
    }
    return { producer, ...graph, parts: this.#parts };
  }

  #graph(wireType: WireType): Omit<OnnxFile, "producer" | "parts"> {
    const nodes: OnnxNode[] = [];
    const tensors: StoredTensor[] = [];
    const inputs: OnnxFile["inputs"][number][] = [];
    const outputs: string[] = [];
    this.#message(wireType, {
      1: (wire) => nodes.push(this.#node(wire)),
      5: (wire) => tensors.push(this.#tensor(wire)),
      11: (wire) => inputs.push(this.#value(wire)),
      12: (wire) => outputs.push(this.#value(wire).name),
    });
    return { nodes, tensors, inputs, outputs };
  }

  #node(wireType: WireType): OnnxNode {
    const inputs: string[] = [];
    const outputs: string[] = [];
    const attributes = new Map<string, AttributeValue>();
    let [operator, domain, name] = ["", "", ""];
    this.#message(wireType, {
      1: (wire) => inputs.push(this.#string(wire)),
      2: (wire) => outputs.push(this.#string(wire)),
      3: (wire) => name = this.#string(wire),
      4: (wire) => operator = this.#string(wire),
      5: (wire) => {
        const [key, value] = this.#attribute(wire);
        if (value !== undefined) attributes.set(key, value);
      },
      7: (wire) => domain = this.#string(wire),
    });
    return {
      operator,
      domain: domain === "ai.onnx" ? "" : domain,
      name,
      inputs,
      outputs,
      attributes,
    };
  }

  /** Graphs, lists of texts and the like are left out: no operation of a residual net has them. */
  #attribute(wireType: WireType): [string, AttributeValue | undefined] {
    let name = "";
    let value: AttributeValue | undefined;
    const numbers: number[] = [];
    this.#message(wireType, {
      1: (wire) => name = this.#string(wire),
      2: (wire) => value = this.#float(wire),
      3: (wire) => value = this.#integer(wire),
      4: (wire) => value = this.#string(wire),
      5: (wire) => value = this.#tensor(wire),
      7: (wire) => numbers.push(...this.#packed(wire, WireType.Bit32)),
      8: (wire) => numbers.push(...this.#packed(wire, WireType.Varint)),
      // The kind; a list may be empty, and then has no other sign.
      20: (wire) => {
        const kind = this.#integer(wire);
        if (kind === 6 || kind === 7) value = numbers;
      },
    });
    return [name, numbers.length > 0 ? numbers : value];
  }

  #tensor(wireType: WireType): StoredTensor {
    const shape: number[] = [];
    let name = "";
    let type = 0;
    let external = false;
    const place = new Map<string, string>();
    let raw: Uint8Array | undefined;
    const floats: Uint8Array[] = [];
    const integers: number[] = [];
    let doubles = 0;
    this.#message(wireType, {
      1: (wire) => shape.push(...this.#packed(wire, WireType.Varint)),
      2: (wire) => type = this.#integer(wire),
      4: (wire) => floats.push(this.#floatBytes(wire)),
      5: (wire) => integers.push(...this.#packed(wire, WireType.Varint)),
      7: (wire) => integers.push(...this.#packed(wire, WireType.Varint)),
      8: (wire) => name = this.#string(wire),
      9: (wire) => raw = this.#bytes(wire),
      10: (wire) => {
        doubles++;
        this.#reader.skip(wire);
      },
      13: (wire) => {
        external = true;
        let [key, value] = ["", ""];
        this.#message(wire, {
          1: (wire) => key = this.#string(wire),
          2: (wire) => value = this.#string(wire),
        });
        place.set(key, value);
      },
      14: (wire) => external = this.#integer(wire) === 1 || external,
    });
    const location = place.get("location");
    if (external && location === undefined) {
      throw malformed(`the values of ${quote(name)} lie in a file that it does not name`);
    }
    if (location !== undefined) {
      this.#parts.set(location, undefined);
      if (this.#parts.size > MOST_PARTS) {
        throw malformed(`its values lie in more than ${MOST_PARTS} other files`);
      }
    }
    if (
      shape.length > MOST_AXES ||
      !shape.every((extent) => Number.isSafeInteger(extent) && extent >= 0)
    ) {
      throw malformed(
        `the shape of ${quote(name)} must be at most ${MOST_AXES} whole numbers from 0`,
      );
    }
    const budget = this.#budget;
    const decode = () => {
      budget.take(name, sizeOf(shape));
      if (location !== undefined) {
        return readRaw(name, type, shape, partOf(this.#parts.get(location), name, place));
      }
      if (raw) return readRaw(name, type, shape, raw);
      if (doubles > 0) {
        throw malformed(`${quote(name)} is a list of 64-bit floats; convert the model to float32`);
      }
      const content = floats.length > 0 ? joined(floats) : valuesOf(name, type, integers);
      if (content.length !== sizeOf(shape)) {
        throw malformed(
          `${quote(name)} of shape [${shape.join(", ")}] needs ${
            sizeOf(shape)
          } values, it has ${content.length}`,
        );
      }
      return { shape, data: content };
    };
    let constant: Constant | undefined;
    return { name, shape, read: () => constant ??= decode() };
  }

  #value(wireType: WireType): OnnxFile["inputs"][number] {
    let name = "";
    const shape: (number | undefined)[] = [];
    const dimension = (wire: WireType) => {
      let extent: number | undefined;
      this.#message(wire, { 1: (wire) => extent = this.#integer(wire) });
      // Some exporters write 0 or -1 for a free extent.
      shape.push(extent !== undefined && extent > 0 ? extent : undefined);
    };
    this.#message(wireType, {
      1: (wire) => name = this.#string(wire),
      2: (wire) =>
        this.#message(wire, {
          1: (wire) => this.#message(wire, { 2: (wire) => this.#message(wire, { 1: dimension }) }),
        }),
    });
    return { name, shape };
  }

  #message(wireType: WireType, fields: Fields): void {
    this.#expect(wireType, WireType.LengthDelimited);
    this.#count(1);
    const length = this.#reader.uint32();
    const end = this.#reader.pos + length;
    if (end > this.#reader.len) {
      throw malformed(
        `a message ends at byte ${end} and the file at ${this.#reader.len}; it is cut off`,
      );
    }
    this.#fields(end, fields);
    if (this.#reader.pos !== end) throw malformed("a field reaches beyond its message");
  }

  #fields(end: number, fields: Fields): void {
    while (this.#reader.pos < end) {
      const [number, wireType] = this.#reader.tag();
      // Groups may be nested without end, and no file of ONNX has them.
      if (wireType === WireType.StartGroup || wireType === WireType.EndGroup) {
        throw malformed("it holds a group, which ONNX does not have");
      }
      const field = fields[number];
      if (field) field(wireType);
      else this.#reader.skip(wireType);
    }
  }

  #expect(found: WireType, ...expected: readonly WireType[]): void {
    if (!expected.includes(found)) {
      throw malformed(
        `a field has the wire type ${found} where ${expected.join(" or ")} is needed`,
      );
    }
  }

  #count(items: number): void {
    this.#items += items;
    if (this.#items > MOST_ITEMS) {
      throw new WeightFileError(
        `an ONNX file of at most ${MOST_ITEMS} messages, names and numbers is read, and this one has more; it is no network of the kinds that are known here`,
      );
    }
  }

  #bytes(wireType: WireType): Uint8Array {
    this.#expect(wireType, WireType.LengthDelimited);
    this.#count(1);
    const length = this.#reader.uint32();
    const start = this.#reader.pos;
    if (start + length > this.#reader.len) {
      throw malformed(
        `${length} bytes are announced and ${this.#reader.len - start} are there; it is cut off`,
      );
    }
    this.#reader.pos = start + length;
    return this.#file.subarray(start, start + length);
  }

  #string(wireType: WireType): string {
    return new TextDecoder().decode(this.#bytes(wireType));
  }

  #integer(wireType: WireType): number {
    this.#expect(wireType, WireType.Varint);
    return Number(this.#reader.int64());
  }

  #float(wireType: WireType): number {
    this.#expect(wireType, WireType.Bit32);
    return this.#reader.float();
  }

  /** A repeated number: each in a field of its own, or all in one. */
  #packed(wireType: WireType, single: WireType.Varint | WireType.Bit32): number[] {
    const next = () =>
      single === WireType.Varint ? Number(this.#reader.int64()) : this.#reader.float();
    this.#expect(wireType, single, WireType.LengthDelimited);
    if (wireType === single) {
      this.#count(1);
      return [next()];
    }
    const length = this.#reader.uint32();
    if (length > 10 * MOST_INTEGERS) {
      throw malformed(`a list of ${length} bytes is longer than any shape`);
    }
    const end = this.#reader.pos + length;
    const numbers: number[] = [];
    while (this.#reader.pos < end) numbers.push(next());
    this.#count(numbers.length);
    return numbers;
  }

  #floatBytes(wireType: WireType): Uint8Array {
    if (wireType === WireType.LengthDelimited) return this.#bytes(wireType);
    const start = this.#reader.pos;
    this.#float(wireType);
    this.#count(1);
    return this.#file.subarray(start, start + 4);
  }
}

/** The bytes of a tensor's values in another file. */
function partOf(
  file: Uint8Array | undefined,
  name: string,
  place: ReadonlyMap<string, string>,
): Uint8Array {
  const location = place.get("location")!;
  if (!file) {
    throw new WeightFileError(
      `the values of ${quote(name)} lie in another file, ${
        quote(location)
      }, which belongs beside this one; put it there, or save the model whole with onnx.save(onnx.load(FILE), OUT)`,
    );
  }
  const offset = Number(place.get("offset") ?? 0);
  const length = Number(place.get("length") ?? file.length - offset);
  const isCount = (value: number) => Number.isSafeInteger(value) && value >= 0;
  if (!isCount(offset) || !isCount(length) || offset + length > file.length) {
    throw malformed(
      `the values of ${quote(name)} are ${length} bytes from byte ${offset} of ${
        quote(location)
      }, which has ${file.length}`,
    );
  }
  return file.subarray(offset, offset + length);
}

/** What all tensors that were read may take together. */
class TensorBudget {
  #elements = 0;

  take(name: string, elements: number): void {
    this.#elements += elements;
    if (!(4 * this.#elements <= MOST_TENSOR_BYTES)) {
      throw new WeightFileError(
        `tensors of at most ${MOST_TENSOR_BYTES} bytes are read, and with ${
          quote(name)
        } they would take ${4 * this.#elements}`,
      );
    }
  }
}

/** ONNX's numbers for element types, by the names of `_elements.ts`. */
const TYPES: Readonly<Record<number, string>> = {
  1: "F32",
  2: "U8",
  3: "I8",
  4: "U16",
  5: "I16",
  6: "I32",
  7: "I64",
  9: "BOOL",
  10: "F16",
  11: "F64",
  12: "U32",
  13: "U64",
  16: "BF16",
};

/** A list of whole numbers as values: of 16-bit floats it holds the bits. */
function valuesOf(name: string, typeNumber: number, integers: readonly number[]) {
  const type = elementType(name, typeNumber);
  if (type.integer) return integers;
  if (type.bytes !== 2) {
    if (integers.length === 0) return integers;
    throw malformed(`${quote(name)} of type ${type.name} is a list of whole numbers`);
  }
  const view = new DataView(new ArrayBuffer(2));
  return Float32Array.from(integers, (bits) => {
    view.setUint16(0, bits, true);
    return type.read(view, 0);
  });
}

function elementType(name: string, typeNumber: number): ElementType {
  const type = ELEMENT_TYPES.get(TYPES[typeNumber] ?? "");
  if (type) return type;
  throw new WeightFileError(
    `${
      quote(name)
    } has ONNX's element type ${typeNumber}, which is not read; convert the model to float32`,
  );
}

function readRaw(
  name: string,
  typeNumber: number,
  shape: readonly number[],
  raw: Uint8Array,
): Constant {
  const type = elementType(name, typeNumber);
  const count = sizeOf(shape);
  if (count * type.bytes !== raw.length) {
    throw malformed(
      `${quote(name)} of type ${type.name} and shape [${shape.join(", ")}] takes ${
        count * type.bytes
      } bytes, it has ${raw.length}`,
    );
  }
  if (!type.integer) {
    return {
      shape,
      data: readElements(type, raw, { shape, strides: rowMajorStrides(shape), offset: 0 }, name),
    };
  }
  if (count > MOST_INTEGERS) {
    throw new WeightFileError(
      `${
        quote(name)
      } has ${count} whole numbers; a quantised model is not read, export the original one`,
    );
  }
  // Not as 32-bit floats: an end of 2^63 - 1 means "to the end".
  const view = new DataView(raw.buffer, raw.byteOffset, raw.byteLength);
  return {
    shape,
    data: Array.from({ length: count }, (_, i) => type.read(view, i * type.bytes)),
  };
}

function joined(parts: readonly Uint8Array[]): Float32Array {
  const length = parts.reduce((sum, part) => sum + part.length, 0);
  const bytes = new Uint8Array(length - length % 4);
  let position = 0;
  for (const part of parts) {
    if (part.length % 4 !== 0) throw malformed("a list of 32-bit floats ends within one");
    bytes.set(part, position);
    position += part.length;
  }
  return new Float32Array(bytes.buffer);
}
