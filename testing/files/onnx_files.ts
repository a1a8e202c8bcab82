/**
 * ONNX files written operation by operation, as exporters write them.
 *
 * Source of the field numbers: onnx/onnx.proto of ONNX 1.23 (Apache-2.0).
 */
import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import { sizeOf } from "../../resnet/mod.ts";
import { someNumbers } from "./numbers.ts";

/** Whole numbers; a text; or one fraction. */
export type OnnxAttribute = number | readonly number[] | string | { readonly fraction: number };

/** What decides a file beside its operations. */
export interface OnnxFileOptions {
  /** The input's extents as the file has them; a text leaves one open. */
  readonly input: readonly (number | string)[];
  /** Names of the graph's outputs. */
  readonly outputs: readonly string[];
  /** The exporter's name for itself. */
  readonly producer?: string;
  /** Version of the operators; 13 by default. */
  readonly opset?: number;
}

/** Collects operations and constants. */
export class OnnxWriter {
  /** The name of the file beside it that holds its arrays; undefined where it holds them itself. */
  readonly #beside?: string;
  #outside: Uint8Array[] = [];
  #length = 0;
  readonly #nodes: Uint8Array[] = [];
  readonly #tensors: Uint8Array[] = [];
  #count = 0;

  constructor(beside?: string) {
    this.#beside = beside;
  }

  /** The content of the file beside it. */
  get outside(): Uint8Array {
    const bytes = new Uint8Array(this.#length);
    let at = 0;
    for (const part of this.#outside) {
      bytes.set(part, at);
      at += part.length;
    }
    return bytes;
  }

  /** Adds an array of 32-bit floats; returns its name. */
  tensor(shape: readonly number[], data: Float32Array = someNumbers(sizeOf(shape))): string {
    const name = this.#name("t");
    const raw = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
    const place = (key: string, value: string) => [13, message([[1, key], [2, value]])] as const;
    this.#tensors.push(message([
      ...shape.map((extent) => [1, extent] as const),
      ...[[2, 1], [8, name]] as const,
      ...(this.#beside === undefined ? [[9, raw] as const] : [
        place("location", this.#beside),
        place("offset", String(this.#length)),
        place("length", String(raw.length)),
        [14, 1] as const,
      ]),
    ]));
    if (this.#beside !== undefined) {
      this.#outside.push(raw);
      this.#length += raw.length;
    }
    return name;
  }

  /** Adds a list of whole numbers; returns its name. */
  integers(values: readonly number[]): string {
    const name = this.#name("i");
    const raw = new Uint8Array(BigInt64Array.from(values.map(BigInt)).buffer);
    this.#tensors.push(message([[1, values.length], [2, 7], [8, name], [9, raw]]));
    return name;
  }

  /** Adds an operation; returns the name of its first output. */
  node(
    operator: string,
    inputs: readonly string[],
    attributes: Readonly<Record<string, OnnxAttribute>> = {},
    outputs = 1,
  ): string {
    const names = Array.from({ length: outputs }, () => this.#name(operator.toLowerCase()));
    this.#nodes.push(message([
      ...inputs.map((input) => [1, input] as const),
      ...names.map((name) => [2, name] as const),
      ...[[3, `/${names[0]}`], [4, operator]] as const,
      ...Object.entries(attributes).map(([name, value]) => [5, attribute(name, value)] as const),
    ]));
    return names[0];
  }

  /** The file; its input is called `input`. */
  finish({ input, outputs, producer = "pytorch", opset = 13 }: OnnxFileOptions): Uint8Array {
    const graph = message([
      ...this.#nodes.map((node) => [1, node] as const),
      ...this.#tensors.map((tensor) => [5, tensor] as const),
      [11, valueInfo("input", input)],
      ...outputs.map((output) => [12, valueInfo(output, [])] as const),
    ]);
    return message([[1, 8], [2, producer], [7, graph], [8, message([[1, ""], [2, opset]])]]);
  }

  #name(kind: string): string {
    return `${kind}_${this.#count++}`;
  }
}

function attribute(name: string, value: OnnxAttribute): Uint8Array {
  if (typeof value === "object" && "fraction" in value) {
    const writer = new BinaryWriter().tag(1, WireType.LengthDelimited).string(name);
    writer.tag(2, WireType.Bit32).float(value.fraction);
    return writer.tag(20, WireType.Varint).int32(1).finish();
  }
  return message([
    [1, name],
    ...(typeof value === "number"
      ? [[3, value], [20, 2]] as const
      : typeof value === "string"
      ? [[4, value], [20, 3]] as const
      : [...value.map((item) => [8, item] as const), [20, 7]] as const),
  ]);
}

function valueInfo(name: string, shape: readonly (number | string)[]): Uint8Array {
  const extents = message(
    shape.map((extent) => [1, message([typeof extent === "number" ? [1, extent] : [2, extent]])]),
  );
  return message([[1, name], [2, message([[1, message([[1, 1], [2, extents]])]])]]);
}

/** One message by its field numbers. */
function message(
  fields: readonly (readonly [number, number | string | Uint8Array])[],
): Uint8Array {
  const writer = new BinaryWriter();
  for (const [number, value] of fields) {
    if (typeof value === "number") writer.tag(number, WireType.Varint).int64(value);
    else if (typeof value === "string") writer.tag(number, WireType.LengthDelimited).string(value);
    else writer.tag(number, WireType.LengthDelimited).bytes(value);
  }
  return writer.finish();
}
