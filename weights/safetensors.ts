/**
 * The safetensors format: eight bytes with the header's length, a JSON header,
 * and the arrays' bytes. Source: the format's description in the repository
 * huggingface/safetensors, whose reader refuses the same files.
 */
import { ELEMENT_TYPES, MOST_AXES, readElements, rowMajorStrides } from "./_elements.ts";
import type { Format } from "./format.ts";
import { quote } from "../text/mod.ts";
import { sizeOf, type Tensor, WeightFileError, type Weights } from "../resnet/mod.ts";

/** One safetensors file; it has no signature, but its ninth byte opens the JSON header. */
export const safetensors: Format = {
  id: "safetensors",
  title: "safetensors",
  leads: ["model.safetensors"],
  recognises: ({ bytes }) =>
    bytes[8] === "{".charCodeAt(0) && bytes[0] !== "{".charCodeAt(0) &&
    bytes.subarray(5, 8).every((byte) => byte === 0),
  read: ({ bytes }) => ({ ...decodeSafetensors(bytes), ordered: true }),
};

/** Bytes of the header's length, a little-endian 64-bit number. */
const PREFIX = 8;
/** The header of ResNet-1202's whole training state takes less than 2 MB. */
const LARGEST_HEADER = 4 * 1024 * 1024;
const METADATA = "__metadata__";

/** What a safetensors file holds. */
export interface SafetensorsFile {
  /** In the order of the file's bytes. */
  readonly tensors: Weights;
  /** The header's free text, for example a checkpoint's iteration. */
  readonly metadata: Readonly<Record<string, string>>;
}

/**
 * Writes arrays as a safetensors file. The same arrays in the same order give
 * the same bytes.
 *
 * @param weights Written as F32, in the map's order.
 * @param metadata Free text for the header, in the object's order.
 * @throws {WeightFileError} If an array's data does not have its shape's size
 *   or is named `__metadata__`, which the format reserves.
 *
 * @example
 * ```ts
 * import { decodeSafetensors, encodeSafetensors } from "./safetensors.ts";
 * import { assertEquals } from "@std/assert";
 *
 * const bias = { shape: [2], data: Float32Array.of(0.5, -1) };
 * const file = encodeSafetensors(new Map([["linear.bias", bias]]), { iteration: "64000" });
 * const { tensors, metadata } = decodeSafetensors(file);
 * assertEquals(tensors.get("linear.bias"), bias);
 * assertEquals(metadata, { iteration: "64000" });
 * ```
 */
export function encodeSafetensors(
  weights: Weights,
  metadata: Readonly<Record<string, string>> = {},
): Uint8Array {
  const entries: string[] = [];
  const member = (name: string, value: unknown) =>
    entries.push(`${JSON.stringify(name)}:${JSON.stringify(value)}`);
  if (Object.keys(metadata).length > 0) member(METADATA, metadata);
  let end = 0;
  for (const [name, { shape, data }] of weights) {
    if (name === METADATA) {
      throw new WeightFileError(
        `cannot write an array named "${METADATA}": the safetensors format reserves that name`,
      );
    }
    if (sizeOf(shape) !== data.length) {
      throw new WeightFileError(
        `cannot write ${quote(name)}: shape [${shape.join(", ")}] needs ${
          sizeOf(shape)
        } elements, found ${data.length}`,
      );
    }
    const begin = end;
    end += data.byteLength;
    member(name, { dtype: "F32", shape, data_offsets: [begin, end] });
  }
  const json = new TextEncoder().encode(`{${entries.join(",")}}`);
  // Spaces after the JSON put the data at a multiple of 8 bytes, as the format advises.
  const headerLength = Math.ceil(json.length / 8) * 8;
  const file = new Uint8Array(PREFIX + headerLength + end);
  new DataView(file.buffer).setBigUint64(0, BigInt(headerLength), true);
  file.fill(0x20, PREFIX, PREFIX + headerLength).set(json, PREFIX);
  let position = PREFIX + headerLength;
  for (const { data } of weights.values()) {
    file.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), position);
    position += data.byteLength;
  }
  return file;
}

/** One array of a safetensors file, its bytes as they are. */
export interface StoredArray {
  /** The format's name of the elements' type: `F32`, `I64`, ... */
  readonly type: string;
  /** Row-major. */
  readonly shape: readonly number[];
  /** Little-endian; a view into the file. */
  readonly bytes: Uint8Array;
}

/** The arrays of a safetensors file before anything is made of their elements. */
export interface StoredArrays {
  /** In the order of the file's bytes. */
  readonly arrays: ReadonlyMap<string, StoredArray>;
  /** The header's free text. */
  readonly metadata: Readonly<Record<string, string>>;
}

/**
 * Reads a safetensors file.
 *
 * @param bytes The whole file.
 * @returns Arrays as 32-bit floats, whatever their type in the file.
 * @throws {WeightFileError} If the file is malformed, an array has a type that
 *   is not read (float 8 and below, complex), or a value fits no 32-bit float.
 */
export function decodeSafetensors(bytes: Uint8Array): SafetensorsFile {
  const { arrays, metadata } = storedArrays(bytes);
  const tensors = new Map<string, Tensor>();
  for (const [name, array] of arrays) tensors.set(name, asFloats(array, name));
  return { tensors, metadata };
}

/**
 * One array of a safetensors file as 32-bit floats.
 *
 * @param array The array.
 * @param name Its name, for messages.
 * @throws {WeightFileError} If a value fits no 32-bit float.
 */
export function asFloats({ type, shape, bytes }: StoredArray, name: string): Tensor {
  const layout = { shape, strides: rowMajorStrides(shape), offset: 0 };
  return { shape, data: readElements(ELEMENT_TYPES.get(type)!, bytes, layout, name) };
}

/**
 * The arrays of a safetensors file with their bytes: for integers that no 32-bit float holds.
 *
 * @param bytes The whole file.
 * @throws {WeightFileError} If the file is malformed.
 *
 * @example
 * ```ts
 * import { encodeSafetensors, storedArrays } from "./safetensors.ts";
 * import { assertEquals } from "@std/assert";
 *
 * const file = encodeSafetensors(new Map([["a", { shape: [1], data: Float32Array.of(1) }]]));
 * assertEquals(storedArrays(file).arrays.get("a")?.bytes, Uint8Array.of(0, 0, 0x80, 0x3f));
 * ```
 */
export function storedArrays(bytes: Uint8Array): StoredArrays {
  const { header, dataStart } = readHeader(bytes);
  const data = bytes.subarray(dataStart);
  const { [METADATA]: metadata, ...members } = header;
  const entries = Object.entries(members).map(([name, value]) => checkEntry(name, value));
  entries.sort((a, b) => a.begin - b.begin || a.end - b.end);

  // Every byte belongs to exactly one array, so the file can't hide anything.
  let position = 0;
  for (const { name, begin, end } of entries) {
    if (begin !== position) {
      throw malformed(
        `the arrays must follow each other without gap or overlap, but ${
          quote(name)
        } begins at byte ${begin} of the data and the arrays before it end at ${position}`,
      );
    }
    if (end > data.length) {
      throw malformed(
        `${
          quote(name)
        } ends at byte ${end} of the data, which has ${data.length}; the file is cut off`,
      );
    }
    position = end;
  }
  if (position !== data.length) {
    throw malformed(
      `the arrays end at byte ${position} of the data, which has ${data.length}`,
    );
  }

  const arrays = new Map<string, StoredArray>();
  for (const { name, type, shape, begin, end } of entries) {
    arrays.set(name, { type: type.name, shape, bytes: data.subarray(begin, end) });
  }
  return { arrays, metadata: checkMetadata(metadata) };
}

function readHeader(bytes: Uint8Array): { header: Record<string, unknown>; dataStart: number } {
  if (bytes.length < PREFIX) {
    throw malformed(`a file has at least ${PREFIX} bytes, found ${bytes.length}`);
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const length = view.getBigUint64(0, true);
  if (length > BigInt(LARGEST_HEADER)) {
    throw malformed(`a header of at most ${LARGEST_HEADER} bytes is read, this one has ${length}`);
  }
  const dataStart = PREFIX + Number(length);
  if (dataStart > bytes.length) {
    throw malformed(
      `the header has ${length} bytes and ${
        bytes.length - PREFIX
      } are there; the file is cut off or of another format`,
    );
  }
  if (bytes[PREFIX] !== "{".charCodeAt(0)) throw malformed('the header must begin with "{"');
  let text: string;
  let header: Record<string, unknown>;
  try {
    text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true })
      .decode(bytes.subarray(PREFIX, dataStart));
    header = JSON.parse(text);
  } catch (error) {
    throw malformed(`the header must be JSON in UTF-8: ${(error as Error).message}`, error);
  }
  refuseRepeatedNames(text, header);
  return { header, dataStart };
}

/**
 * JSON.parse keeps the last of two members with one name. Then the text names
 * more members than the parsed header has.
 */
function refuseRepeatedNames(text: string, header: Record<string, unknown>): void {
  let written = 0;
  let inText = false;
  for (let i = 0; i < text.length; i++) {
    const character = text[i];
    if (inText && character === "\\") i++;
    else if (character === '"') inText = !inText;
    // Outside of texts, JSON has one colon a member.
    else if (!inText && character === ":") written++;
  }
  let kept = 0;
  for (const value of Object.values(header)) {
    kept += 1 + (isRecord(value) ? Object.keys(value).length : 0);
  }
  if (written !== kept) {
    throw malformed(
      `every name must stand once and hold no deeper objects, but of ${written} names in the header ${kept} are distinct`,
    );
  }
}

function checkEntry(name: string, value: unknown) {
  if (!isRecord(value)) throw malformed(`the header's entry for ${quote(name)} must be an object`);
  const { dtype, shape, data_offsets: offsets, ...rest } = value;
  const unknown = Object.keys(rest);
  if (unknown.length > 0) {
    throw malformed(`${quote(name)} has the unknown field ${quote(unknown[0])}`);
  }
  if (typeof dtype !== "string") throw malformed(`${quote(name)} has no dtype`);
  const type = ELEMENT_TYPES.get(dtype);
  if (!type) {
    throw malformed(
      `${quote(name)} has the type ${quote(dtype)}, and only ${
        [...ELEMENT_TYPES.keys()].join(", ")
      } are read; convert the file to F32`,
    );
  }
  if (!isCounts(shape) || shape.length > MOST_AXES) {
    throw malformed(
      `the shape of ${quote(name)} must be a list of at most ${MOST_AXES} whole numbers from 0`,
    );
  }
  if (!isCounts(offsets) || offsets.length !== 2 || offsets[0] > offsets[1]) {
    throw malformed(`the data_offsets of ${quote(name)} must be [begin, end] with begin <= end`);
  }
  const [begin, end] = offsets;
  if (sizeOf(shape) * type.bytes !== end - begin) {
    throw malformed(
      `${quote(name)} of type ${dtype} and shape [${shape.join(", ")}] takes ${
        sizeOf(shape) * type.bytes
      } bytes, and its data_offsets span ${end - begin}`,
    );
  }
  return { name, type, shape, begin, end };
}

function checkMetadata(metadata: unknown): Readonly<Record<string, string>> {
  if (metadata === undefined) return {};
  if (!isRecord(metadata) || !Object.values(metadata).every((text) => typeof text === "string")) {
    throw malformed(`"${METADATA}" must be an object of strings`);
  }
  return metadata as Record<string, string>;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isCounts(value: unknown): value is number[] {
  return Array.isArray(value) && value.every((item) => Number.isSafeInteger(item) && item >= 0);
}

function malformed(reason: string, cause?: unknown): WeightFileError {
  return new WeightFileError(`not a well-formed safetensors file: ${reason}`, { cause });
}
