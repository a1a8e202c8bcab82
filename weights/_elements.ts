/** The element types of weight files, read as 32-bit floats. */
import { quote } from "../text/mod.ts";
import { sizeOf, WeightFileError } from "../resnet/mod.ts";

/** How an element of one type is stored (little-endian) and read. */
export interface ElementType {
  readonly name: string;
  readonly bytes: number;
  readonly integer: boolean;
  readonly read: (view: DataView, offset: number) => number;
}

const LITTLE_ENDIAN = true;

const bfloat16 = new DataView(new ArrayBuffer(4));

/** By the names of the safetensors format. */
export const ELEMENT_TYPES: ReadonlyMap<string, ElementType> = new Map([
  type("F64", 8, (view, at) => view.getFloat64(at, LITTLE_ENDIAN)),
  type("F32", 4, (view, at) => view.getFloat32(at, LITTLE_ENDIAN)),
  type("F16", 2, (view, at) => view.getFloat16(at, LITTLE_ENDIAN)),
  type("BF16", 2, (view, at) => {
    // bfloat16 is the upper half of a float32.
    bfloat16.setUint32(0, view.getUint16(at, LITTLE_ENDIAN) << 16);
    return bfloat16.getFloat32(0);
  }),
  type("I64", 8, (view, at) => Number(view.getBigInt64(at, LITTLE_ENDIAN))),
  type("I32", 4, (view, at) => view.getInt32(at, LITTLE_ENDIAN)),
  type("I16", 2, (view, at) => view.getInt16(at, LITTLE_ENDIAN)),
  type("I8", 1, (view, at) => view.getInt8(at)),
  type("U64", 8, (view, at) => Number(view.getBigUint64(at, LITTLE_ENDIAN))),
  type("U32", 4, (view, at) => view.getUint32(at, LITTLE_ENDIAN)),
  type("U16", 2, (view, at) => view.getUint16(at, LITTLE_ENDIAN)),
  type("U8", 1, (view, at) => view.getUint8(at)),
  type("BOOL", 1, (view, at) => view.getUint8(at)),
]);

function type(
  name: string,
  bytes: number,
  read: ElementType["read"],
): readonly [string, ElementType] {
  return [name, { name, bytes, integer: /^[IUB]\d|^BOOL/.test(name), read }];
}

/** Arrays with more axes are refused: they would only cost time. NumPy's limit. */
export const MOST_AXES = 64;

/** Where the elements of an array lie in `bytes`, counted in elements. */
export interface Layout {
  readonly shape: readonly number[];
  readonly strides: readonly number[];
  readonly offset: number;
}

/** Strides of a dense row-major array. */
export function rowMajorStrides(shape: readonly number[]): number[] {
  const strides = shape.map(() => 1);
  for (let axis = shape.length - 2; axis >= 0; axis--) {
    strides[axis] = strides[axis + 1] * shape[axis + 1];
  }
  return strides;
}

/**
 * Reads a strided array into a new dense one. The layout must lie within `bytes`.
 *
 * @param what Name of the array, for messages.
 * @throws {WeightFileError} If a value does not fit a 32-bit float.
 */
export function readElements(
  type: ElementType,
  bytes: Uint8Array,
  { shape, strides, offset }: Layout,
  what: string,
): Float32Array {
  const count = sizeOf(shape);
  const dense = rowMajorStrides(shape);
  if (
    type.name === "F32" &&
    shape.every((extent, axis) => extent <= 1 || strides[axis] === dense[axis])
  ) {
    // As bytes, because a file's arrays need not begin at a multiple of 4.
    const data = new Float32Array(count);
    new Uint8Array(data.buffer).set(bytes.subarray(4 * offset, 4 * (offset + count)));
    return data;
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const data = new Float32Array(count);
  const index = shape.map(() => 0);
  let position = offset;
  for (let i = 0; i < count; i++) {
    const value = type.read(view, position * type.bytes);
    data[i] = value;
    if (!fits(type, value, data[i])) {
      throw new WeightFileError(
        `${
          quote(what)
        } is read as 32-bit floats, but its element ${i} of type ${type.name}, ${value}, does not fit one; convert the file to float32`,
      );
    }
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      position += strides[axis];
      if (++index[axis] < shape[axis]) break;
      position -= strides[axis] * shape[axis];
      index[axis] = 0;
    }
  }
  return data;
}

/** Integers must be exact; floats may lose digits but not become infinite. */
function fits(type: ElementType, value: number, float: number): boolean {
  // Up to 2^24 every whole number is a 32-bit float.
  if (type.integer) return Math.abs(value) <= 0x1000000;
  return Number.isFinite(float) || !Number.isFinite(value);
}
