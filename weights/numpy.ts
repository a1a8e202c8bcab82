/**
 * Reads the arrays that NumPy saves: one in a `.npy`, several in a `.npz`.
 *
 * Source: numpy/lib/_format_impl.py of NumPy 2.4.
 */
import { beginsWith, type Contents, type Format } from "./format.ts";
import { ELEMENT_TYPES, type ElementType, MOST_AXES, readElements } from "./_elements.ts";
import { MOST_TENSOR_BYTES } from "./_stored_tensor.ts";
import { zipOf } from "./_zip.ts";
import { quote } from "../text/mod.ts";
import { sizeOf, type Tensor, WeightFileError } from "../resnet/mod.ts";

const SIGNATURE = [0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59];
/** A header of a plain array has about 120 bytes. */
const LONGEST_HEADER = 65_536;

/** Several arrays by their names. */
export const npz: Format = {
  id: "npz",
  title: "NumPy's archive",
  recognises: ({ bytes }) => {
    const members = zipOf(bytes)?.members;
    return members !== undefined && members.size > 0 &&
      members.keys().every((name) => name.endsWith(".npy"));
  },
  read: ({ bytes }): Contents => {
    const archive = zipOf(bytes)!;
    const arrays = [...archive.members.keys()].map((member) => {
      const name = member.slice(0, -".npy".length);
      return { name, array: headerOf(archive.read(member), name) };
    });
    const objects = arrays.filter(({ array }) => array.type === undefined);
    if (objects.length === arrays.length) throw objectsOf(objects[0].name);
    return {
      tensors: tensorsOf(arrays.filter(({ array }) => array.type !== undefined)),
      ordered: true,
      notes: objects.length > 0
        ? [`${objects.length} arrays of Python objects or texts were left out`]
        : [],
    };
  },
};

/** One array. */
export const npy: Format = {
  id: "npy",
  title: "NumPy's file of one array",
  recognises: ({ bytes }) => beginsWith(bytes, SIGNATURE),
  read: ({ bytes, name }): Contents => {
    const own = name.replace(/^.*[/\\]/, "").replace(/\.npy$/, "");
    const array = headerOf(bytes, own);
    if (!array.type) throw objectsOf(own);
    return { tensors: tensorsOf([{ name: own, array }]), ordered: true };
  },
};

/** An array that is known by its header. */
interface Stored {
  readonly shape: readonly number[];
  readonly columnMajor: boolean;
  readonly bigEndian: boolean;
  /** Undefined for what is no number. */
  readonly type: ElementType | undefined;
  readonly content: Uint8Array;
}

function headerOf(bytes: Uint8Array, name: string): Stored {
  const major = bytes[6];
  if (!beginsWith(bytes, SIGNATURE) || major < 1 || major > 3 || bytes.length < 12) {
    throw malformed(`${quote(name)} does not begin as one`);
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const start = major === 1 ? 10 : 12;
  const length = major === 1 ? view.getUint16(8, true) : view.getUint32(8, true);
  if (length > LONGEST_HEADER || start + length > bytes.length) {
    throw malformed(`the header of ${quote(name)} has ${length} bytes`);
  }
  // A Python dict; nothing of it is evaluated.
  const header = new TextDecoder("latin1").decode(bytes.subarray(start, start + length));
  const described = /'descr':\s*(?:'([^']*)'|(\[))/.exec(header);
  const order = /'fortran_order':\s*(True|False)/.exec(header);
  const extents = /'shape':\s*\(([\d, ]*)\)/.exec(header);
  if (!described || !order || !extents) {
    throw malformed(`the header of ${quote(name)} lacks its type, order or shape`);
  }
  const shape = extents[1].split(",").map((part) => part.trim()).filter((part) => part !== "")
    .map(Number);
  if (shape.length > MOST_AXES || !shape.every(Number.isSafeInteger)) {
    throw malformed(`${quote(name)} has the shape (${extents[1].slice(0, 80)})`);
  }
  const [, place = "", kind = "", width = ""] =
    /^([<>|=])([fiub])(\d+)$/.exec(described[1] ?? "") ??
      [];
  const type = ELEMENT_TYPES.get(kind === "b" ? "BOOL" : `${kind.toUpperCase()}${8 * +width}`);
  const content = bytes.subarray(start + length);
  if (type && content.length !== sizeOf(shape) * type.bytes) {
    throw malformed(
      `${quote(name)} of shape (${shape.join(", ")}) takes ${
        sizeOf(shape) * type.bytes
      } bytes, it has ${content.length}`,
    );
  }
  return { shape, columnMajor: order[1] === "True", bigEndian: place === ">", type, content };
}

function tensorsOf(
  arrays: readonly { readonly name: string; readonly array: Stored }[],
): Map<string, Tensor> {
  const bytes = arrays.reduce((sum, { array }) => sum + 4 * sizeOf(array.shape), 0);
  if (!(bytes <= MOST_TENSOR_BYTES)) {
    throw new WeightFileError(
      `arrays of at most ${MOST_TENSOR_BYTES} bytes are read, these would take ${bytes}`,
    );
  }
  return new Map(arrays.map(({ name, array }) => [name, tensorOf(array, name)]));
}

function tensorOf({ shape, columnMajor, bigEndian, type, content }: Stored, name: string): Tensor {
  const strides = new Array<number>(shape.length);
  let stride = 1;
  for (let i = 0; i < shape.length; i++) {
    const axis = columnMajor ? i : shape.length - 1 - i;
    strides[axis] = stride;
    stride *= shape[axis];
  }
  const bytes = bigEndian ? swapped(content, type!.bytes) : content;
  return { shape, data: readElements(type!, bytes, { shape, strides, offset: 0 }, name) };
}

function swapped(bytes: Uint8Array, width: number): Uint8Array {
  const result = bytes.slice();
  for (let at = 0; at < result.length; at += width) result.subarray(at, at + width).reverse();
  return result;
}

function objectsOf(name: string): WeightFileError {
  return new WeightFileError(
    `${
      quote(name)
    } is an array of Python objects, a pickle, which is not read: python -c "import numpy as np; np.savez(OUT, **np.load(FILE, allow_pickle=True).item())"`,
  );
}

function malformed(reason: string): WeightFileError {
  return new WeightFileError(`not a well-formed file of NumPy: ${reason}; save it again`);
}
