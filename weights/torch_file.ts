/**
 * Files of `torch.save`, written value by value.
 *
 * Source of the form: torch/serialization.py of PyTorch 2.13; of the opcodes:
 * CPython's Lib/pickletools.py, protocol 2.
 */
import { sizeOf, type Tensor } from "../resnet/mod.ts";
import { storedZip } from "./stored_zip.ts";

/** An object of a class: what it is made from, and what is set on it then. */
export class PythonObject {
  /** As `module.name`; its parameters; its attributes; its items, of a kind of dict. */
  constructor(
    readonly name: string,
    readonly parameters: readonly PythonValue[] = [],
    readonly state?: PythonValue,
    readonly items?: Readonly<Record<string, PythonValue>>,
  ) {}
}

/** A class or a function itself. */
export class PythonGlobal {
  /** As `module.name`. */
  constructor(readonly name: string) {}
}

/** A tuple, where an array is a list. */
export class PythonTuple {
  /** Its items. */
  constructor(readonly items: readonly PythonValue[]) {}
}

/** What can be written. */
export type PythonValue =
  | null
  | boolean
  | number
  | string
  | Tensor
  | PythonGlobal
  | PythonObject
  | PythonTuple
  | readonly PythonValue[]
  | ReadonlyMap<PythonValue, PythonValue>
  | { readonly [key: string]: PythonValue };

/** How a tensor's elements are stored. */
export type TorchType = "float" | "half" | "bfloat16" | "double";

/** What decides a file beside its object. */
export interface TorchFileOptions {
  /** Of arrays that are not of counts; `float` by default. */
  readonly type?: TorchType;
  /** Whether four-axis arrays are stored as [O, H, W, I], under strides that say so. */
  readonly channelsLast?: boolean;
}

/**
 * A file of `torch.save` (zip).
 *
 * @param object A dict, most often; a whole number without a fraction is an int. `Weights` are a
 *   state dict, which `torch.load(path, weights_only=True)` reads.
 * @param options How arrays are stored.
 * @returns The file.
 *
 * @example
 * ```ts
 * import { torchFile } from "./torch_file.ts";
 * import { decodePyTorch } from "./pytorch.ts";
 * import { assertEquals } from "@std/assert";
 *
 * const bias = { shape: [2], data: Float32Array.of(0.5, -1) };
 * const file = torchFile(new Map([["linear.bias", bias]]));
 * assertEquals(decodePyTorch(file).tensors.get("linear.bias"), bias);
 * ```
 */
export function torchFile(object: PythonValue, options: TorchFileOptions = {}): Uint8Array {
  const pickler = new Pickler(options);
  const pickle = pickler.pickle(object);
  return storedZip([
    ["archive/data.pkl", pickle],
    ["archive/byteorder", new TextEncoder().encode("little")],
    ...pickler.storages.map((bytes, i) => [`archive/data/${i}`, bytes] as const),
    ["archive/version", new TextEncoder().encode("3\n")],
  ]);
}

const STORAGES: Readonly<Record<TorchType | "long", string>> = {
  float: "FloatStorage",
  half: "HalfStorage",
  bfloat16: "BFloat16Storage",
  double: "DoubleStorage",
  long: "LongStorage",
};

class Pickler {
  readonly storages: Uint8Array[] = [];
  readonly #bytes: number[] = [];
  readonly #options: TorchFileOptions;

  constructor(options: TorchFileOptions) {
    this.#options = options;
  }

  pickle(object: PythonValue): Uint8Array {
    this.#op(0x80, 2);
    this.#write(object);
    this.#text(".");
    return Uint8Array.from(this.#bytes);
  }

  #write(value: PythonValue): void {
    if (value === null) this.#text("N");
    else if (typeof value === "boolean") this.#op(value ? 0x88 : 0x89);
    else if (typeof value === "number") this.#number(value);
    else if (typeof value === "string") this.#string(value);
    else if (value instanceof PythonTuple) this.#tuple(value.items);
    else if (value instanceof PythonGlobal) this.#global(value.name);
    else if (value instanceof PythonObject) this.#object(value);
    else if (Array.isArray(value)) {
      this.#text("](");
      value.forEach((item) => this.#write(item));
      this.#text("e");
    } else if (value instanceof Map) this.#dict([...value]);
    else if (isTensor(value)) this.#tensor(value);
    else this.#dict(Object.entries(value as Record<string, PythonValue>));
  }

  #dict(entries: readonly (readonly [PythonValue, PythonValue])[]): void {
    this.#text("}");
    this.#items(entries);
  }

  #items(entries: readonly (readonly [PythonValue, PythonValue])[]): void {
    this.#text("(");
    for (const [key, item] of entries) {
      this.#write(key);
      this.#write(item);
    }
    this.#text("u");
  }

  #object({ name, parameters, state, items }: PythonObject): void {
    this.#global(name);
    this.#tuple(parameters);
    this.#text("R");
    if (items) this.#items(Object.entries(items));
    if (state === undefined) return;
    this.#write(state);
    this.#text("b");
  }

  #tensor(tensor: Tensor): void {
    const { shape } = tensor;
    const last = this.#options.channelsLast === true && shape.length === 4;
    // Zero axes are a count of batches.
    const type = shape.length === 0 ? "long" : this.#options.type ?? "float";
    const key = this.storages.length;
    this.storages.push(stored(last ? channelsLast(tensor) : tensor.data, type));
    const strides = shape.map((_, i) => sizeOf(shape.slice(i + 1)));
    const [, inputs, height, width] = shape;
    this.#global("torch._utils._rebuild_tensor_v2");
    this.#text("(");
    this.#text("(");
    this.#string("storage");
    this.#global(`torch.${STORAGES[type]}`);
    this.#string(String(key));
    this.#string("cpu");
    this.#number(sizeOf(shape));
    this.#text("tQ");
    this.#number(0);
    this.#tuple(shape);
    this.#tuple(last ? [height * width * inputs, 1, width * inputs, inputs] : strides);
    this.#op(0x89);
    this.#write(new PythonObject("collections.OrderedDict"));
    this.#text("tR");
  }

  #tuple(items: readonly PythonValue[]): void {
    this.#text("(");
    items.forEach((item) => this.#write(item));
    this.#text("t");
  }

  #global(name: string): void {
    const at = name.lastIndexOf(".");
    this.#text(`c${name.slice(0, at)}\n${name.slice(at + 1)}\n`);
  }

  #number(value: number): void {
    const bytes = new DataView(new ArrayBuffer(8));
    if (Number.isInteger(value)) {
      bytes.setInt32(0, value, true);
      this.#text("J");
      this.#op(...new Uint8Array(bytes.buffer, 0, 4));
    } else {
      bytes.setFloat64(0, value);
      this.#text("G");
      this.#op(...new Uint8Array(bytes.buffer));
    }
  }

  #string(value: string): void {
    const bytes = new TextEncoder().encode(value);
    this.#text("X");
    this.#op(...new Uint8Array(Uint32Array.of(bytes.length).buffer), ...bytes);
  }

  #text(text: string): void {
    this.#op(...new TextEncoder().encode(text));
  }

  #op(...bytes: readonly number[]): void {
    for (const byte of bytes) this.#bytes.push(byte);
  }
}

function isTensor(value: object): value is Tensor {
  return "shape" in value && "data" in value && value.data instanceof Float32Array;
}

/** The values of [O, I, H, W] in the order of [O, H, W, I]. */
function channelsLast({ shape: [filters, inputs, height, width], data }: Tensor): Float32Array {
  const moved = new Float32Array(data.length);
  const pixels = height * width;
  for (let filter = 0; filter < filters; filter++) {
    for (let input = 0; input < inputs; input++) {
      for (let pixel = 0; pixel < pixels; pixel++) {
        moved[(filter * pixels + pixel) * inputs + input] =
          data[(filter * inputs + input) * pixels + pixel];
      }
    }
  }
  return moved;
}

function stored(data: Float32Array, type: TorchType | "long"): Uint8Array {
  switch (type) {
    case "float":
      return new Uint8Array(data.slice().buffer);
    case "half":
      return new Uint8Array(Float16Array.from(data).buffer);
    case "bfloat16":
      // The upper half of a 32-bit float.
      return new Uint8Array(
        Uint16Array.from(new Uint32Array(data.slice().buffer), (bits) => bits >>> 16).buffer,
      );
    case "double":
      return new Uint8Array(Float64Array.from(data).buffer);
    case "long":
      return new Uint8Array(BigInt64Array.from(data, (value) => BigInt(value)).buffer);
  }
}
