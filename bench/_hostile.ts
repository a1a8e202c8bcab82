/** Files that are valid in form and hostile in what they say, drawn from a seed. */
import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import { encode as encodePng } from "fast-png";
import { encode as encodeJpeg } from "jpeg-js";
import { crc32 } from "../files/mod.ts";
import type { RandomStream } from "../random/mod.ts";
import { storedZip, TINY_FILES } from "../testing/files/mod.ts";
import { altered } from "./_damage.ts";

const encode = (text: string) => new TextEncoder().encode(text);
const oneOf = <T>(items: readonly T[], random: RandomStream): T =>
  items[random.below(items.length)];

/** Numbers at which readers break. */
const NUMBERS = [
  ...[0, -1, 1, 0.5, 1e-30, 1e308, -1e308, 2 ** 31, 2 ** 32, 2 ** 53, 2 ** 53 + 2, 65_536, 1e9],
];
/** Texts at which readers break, or those who show them. */
const TEXTS = [
  ...[
    "",
    "constructor",
    "__proto__",
    "toString",
    "../../etc/passwd",
    "\\u001b[31m\\u0007",
    "\u0000",
  ],
  ...["NaN", "-0", "x".repeat(5_000), "\ud800", "<script>alert(1)</script>"],
];

/** Small images that are whole: of grey, of colours, and two that WebP's encoder wrote. */
export const IMAGES = {
  PNG: [1, 3, 4].map((channels) => pngOf(5, 7, channels)),
  JPEG: [4, 19].map((side) =>
    Uint8Array.from(
      encodeJpeg({ width: side, height: side + 3, data: noiseOf(4 * side * (side + 3)) }, 90).data,
    )
  ),
  WebP: [
    "UklGRjoAAABXRUJQVlA4IC4AAABwAQCdASoIAAgAAUAmJYwC7AFAAAD++/Xg+te66rv9c5ghXOJiZdnt5v8zqAAA",
    "UklGRjQAAABXRUJQVlA4TCcAAAAvB8ABALmM6H/sIgrf/zAoatsG6smfdH8jMCkEEAAFTQViAh7vfgYA",
  ].map((file) => Uint8Array.fromBase64(file)),
};

function noiseOf(length: number): Uint8Array {
  return new Uint8Array(length).map((_, i) => (i * 2654435761) >>> 24);
}

function pngOf(width: number, height: number, channels: number): Uint8Array {
  return encodePng({ width, height, channels, data: noiseOf(width * height * channels) });
}

/** An image that is right, or says that it is of another size than it is. */
export function hostileImage(example: Uint8Array, random: RandomStream): Uint8Array {
  const bytes = example.slice();
  if (random.below(2) === 1) return bytes;
  const view = new DataView(bytes.buffer);
  const side = () => random.below(65536);
  if (bytes[0] === 0x89) {
    view.setUint32(16, side());
    view.setUint32(20, side());
    view.setUint32(29, crc32(bytes.subarray(12, 29)));
  } else if (bytes[0] === 0xff) {
    const frame = bytes.findIndex((byte, i) => byte === 0xff && bytes[i + 1] === 0xc0);
    view.setUint16(frame + 5, side());
    view.setUint16(frame + 7, side());
  } else view.setUint32(bytes[15] === 0x4c ? 21 : 26, side() * 65536 + side(), true);
  return bytes;
}

type Field = readonly [number, number | string | Uint8Array | bigint];

function message(fields: readonly Field[]): Uint8Array {
  const writer = new BinaryWriter();
  for (const [number, value] of fields) {
    if (typeof value === "number" || typeof value === "bigint") {
      writer.tag(number, WireType.Varint).int64(
        typeof value === "number"
          ? BigInt(Math.trunc(Math.max(-9e15, Math.min(9e15, value))))
          : value,
      );
    } else if (typeof value === "string") {
      writer.tag(number, WireType.LengthDelimited).string(value.toWellFormed());
    } else writer.tag(number, WireType.LengthDelimited).bytes(value);
  }
  return writer.finish();
}

const OPERATORS = [
  ...["Conv", "BatchNormalization", "Relu", "Add", "Sum", "Sub", "Mul", "Div", "MaxPool"],
  ...["AveragePool", "GlobalAveragePool", "ReduceMean", "Flatten", "Reshape", "Squeeze", "Gemm"],
  ...["Transpose", "MatMul", "Softmax", "Identity", "Cast", "Dropout", "Clip", "Shape", "Pad"],
  ...["ConstantOfShape", "Slice", "Concat", "Tile", "Expand", "Gather", "Unsqueeze", "Constant"],
  ...["InstanceNormalization", "LeakyRelu", "Sigmoid", "constructor", "QuantizeLinear"],
];
const ATTRIBUTES = [
  ...["strides", "pads", "kernel_shape", "dilations", "group", "axis", "axes", "perm", "epsilon"],
  ...["transB", "alpha", "keepdims", "value", "to", "start", "end", "auto_pad", "training_mode"],
];

/** A graph of operations on whatever values there are. */
export function hostileOnnx(random: RandomStream): Uint8Array {
  const extents = () =>
    Array.from(
      { length: random.below(6) },
      () => random.below(12) === 0 ? oneOf(NUMBERS, random) : 1 + random.below(4),
    );
  const tensor = (name: string) => {
    const shape = extents();
    const size = shape.reduce((a, b) => a * b, 1);
    const length = Number.isInteger(size) && size >= 0 && size < 10_000 ? size : random.below(50);
    const whole = random.below(3) === 0;
    const values = whole
      ? BigInt64Array.from({ length }, () => BigInt(random.below(7)) - 2n)
      : Float32Array.from({ length }, () => random.below(9) / 4 - 1);
    return message([
      ...shape.map((extent): Field => [1, extent]),
      ...[[2, whole ? 7 : 1], [8, name]] as const,
      [9, new Uint8Array(values.buffer)],
    ]);
  };
  const names = ["x", ...Array.from({ length: 1 + random.below(8) }, (_, i) => `t${i}`)];
  const tensors = names.slice(1).map(tensor);
  const count = random.below(20) === 0 ? 5_000 : 1 + random.below(60);
  const nodes: Uint8Array[] = [];
  for (let i = 0; i < count; i++) {
    const inputs = Array.from(
      { length: random.below(40) === 0 ? 3_000 : 1 + random.below(5) },
      () => random.below(3) === 0 ? names.at(-1)! : oneOf(names, random),
    );
    const attributes = Array.from({ length: random.below(4) }, (): Field => {
      const value = random.below(4);
      return [
        5,
        message([
          [1, oneOf(ATTRIBUTES, random)],
          ...(value === 0
            ? [[3, oneOf(NUMBERS, random)], [20, 2]] as const
            : value === 1
            ? [[4, oneOf(["SAME_UPPER", "SAME_LOWER", ...TEXTS], random)], [20, 3]] as const
            : value === 2
            ? [[5, tensor("a")], [20, 4]] as const
            : [...extents().map((extent): Field => [8, extent]), [20, 7]] as const),
        ]),
      ];
    });
    const output = random.below(30) === 0 ? oneOf(names, random) : `v${i}`;
    nodes.push(message([
      ...inputs.map((input): Field => [1, input]),
      ...[[2, output], [3, oneOf(TEXTS, random)], [4, oneOf(OPERATORS, random)]] as const,
      ...attributes,
    ]));
    names.push(output);
  }
  const shape = message(
    [1, 3, 1 + random.below(40), 32].map((extent): Field => [1, message([[1, extent]])]),
  );
  const image = message([[1, "x"], [2, message([[1, message([[1, 1], [2, shape]])]])]]);
  return message([[1, 8], [2, oneOf(TEXTS, random)], [
    7,
    message([
      ...nodes.map((node): Field => [1, node]),
      ...tensors.map((tensor): Field => [5, tensor]),
      [11, image],
      [12, message([[1, names.at(-1)!]])],
    ]),
  ], [8, message([[2, 13]])]]);
}

/** What a pickle must never get called. */
export const HOSTILE_GLOBALS = ["os system", "builtins eval", "builtins exec", "posix system"];
const GLOBALS = [
  ...["collections OrderedDict", "torch._utils _rebuild_tensor_v2", "torch FloatStorage"],
  ...["torch._utils _rebuild_parameter", "numpy dtype", "numpy.core.multiarray _reconstruct"],
  ...["argparse Namespace", "my.module Class", "pathlib PosixPath", "datetime datetime"],
];

/** A program of a pickle's operations, in an archive as PyTorch writes it. */
export function hostilePickle(random: RandomStream): Uint8Array {
  const program: Uint8Array[] = [Uint8Array.of(0x80, 2)];
  const push = (...bytes: number[]) => program.push(Uint8Array.of(...bytes));
  const text = (value: string) => {
    const bytes = encode(value);
    const view = new DataView(new ArrayBuffer(4));
    view.setUint32(0, bytes.length, true);
    program.push(encode("X"), new Uint8Array(view.buffer), bytes);
  };
  const global = () =>
    program.push(encode(
      `c${oneOf(random.below(6) === 0 ? HOSTILE_GLOBALS : GLOBALS, random).replace(" ", "\n")}\n`,
    ));
  const count = random.below(30) === 0 ? 20_000 : 5 + random.below(80);
  for (let i = 0; i < count; i++) {
    switch (random.below(16)) {
      case 0:
        program.push(encode(oneOf(["(", "}", "]", ")", "N", "0", "2"], random)));
        break;
      case 1:
      case 2:
        text(
          oneOf(["conv.weight", "state_dict", "storage", "0", "cpu", ...TEXTS], random)
            .toWellFormed(),
        );
        break;
      case 3:
        push(0x4b, random.below(256)); // BININT1
        break;
      case 4:
        push(0x4a, ...Array.from({ length: 4 }, () => random.below(256))); // BININT
        break;
      case 5:
      case 6:
        global();
        break;
      case 7:
        push(0x71, random.below(16)); // BINPUT
        break;
      case 8:
        push(0x68, random.below(16)); // BINGET
        break;
      default: {
        // Well-formed where they can be: each has what it takes before it.
        const form = random.below(8);
        if (form === 0) {
          program.push(encode("}(")), text("k"), push(0x4b, 1), program.push(encode("u"));
        } else if (form === 1) global(), program.push(encode("(tR"));
        else if (form === 2) global(), program.push(encode(")\x81}b"));
        else if (form === 3) program.push(encode("](")), push(0x4b, 3), program.push(encode("e"));
        else if (form === 4) push(0x4b, 2), push(0x4b, 3), push(0x86); // TUPLE2
        else if (form === 5) program.push(encode("(")), text("storage"), program.push(encode("tQ"));
        else if (form === 6) global(), push(0x4b, 1), push(0x85), program.push(encode("R"));
        else program.push(encode("]q\x01h\x01a"));
      }
    }
  }
  program.push(encode("."));
  return storedZip([
    ["archive/data.pkl", joined(program)],
    ["archive/byteorder", encode("little")],
    ["archive/data/0", new Uint8Array(64)],
  ]);
}

/** An archive whose directory says other things than its members. */
export function hostileZip(random: RandomStream): Uint8Array {
  const members = Array.from({ length: 1 + random.below(6) }, (_, i): [string, Uint8Array] => [
    oneOf(
      [`a${i}.npy`, "archive/data.pkl", "config.json", "model.weights.h5", `d${i}/x.npy`],
      random,
    ) +
    (random.below(3) === 0 ? "" : `${i}.npy`),
    Uint8Array.from({ length: random.below(200) }, () => random.below(256)),
  ]);
  const bytes = storedZip(members);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  // Fields of a directory's entry, and of the end's record, by their places.
  for (let at = 0; at + 46 < bytes.length; at++) {
    const signature = view.getUint32(at, true);
    const fields = signature === 0x02014b50
      ? [8, 10, 16, 20, 24, 28, 30, 32, 42]
      : signature === 0x06054b50
      ? [8, 10, 12, 16]
      : [];
    if (fields.length === 0 || random.below(2) === 0) continue;
    const field = oneOf(fields, random);
    const value = oneOf(
      [0, 1, 8, 0xffff, 0xffffffff, bytes.length, random.below(bytes.length)],
      random,
    );
    if (field < 16 && signature === 0x02014b50) view.setUint16(at + field, value & 0xffff, true);
    else view.setUint32(at + field, value >>> 0, true);
  }
  return bytes;
}

/** A file of safetensors with other things in its header. */
export function hostileSafetensors(random: RandomStream): Uint8Array {
  const entries: Record<string, unknown> = {};
  let at = 0;
  for (let i = 1 + random.below(12); i > 0; i--) {
    const shape = Array.from({ length: random.below(4) }, () => 1 + random.below(4));
    const end = at + 4 * shape.reduce((a, b) => a * b, 1);
    entries[`conv${i}.weight`] = { dtype: "F32", shape, data_offsets: [at, end] };
    at = end;
  }
  const header = altered(encode(JSON.stringify(entries)), random);
  const bytes = new Uint8Array(8 + header.length + at);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(header.length), true);
  bytes.set(header, 8);
  return bytes;
}

/** An HDF5 file in which blocks say other things of themselves. */
export function hostileHdf5(file: Uint8Array, random: RandomStream): Uint8Array {
  const bytes = file.slice();
  const view = new DataView(bytes.buffer);
  const blocks: number[] = [];
  for (let at = 0; at + 64 < bytes.length; at += 8) {
    const head = String.fromCharCode(...bytes.subarray(at, at + 4));
    // The first version's object headers have no signature: version 1, nothing, few messages.
    const isHeader = bytes[at] === 1 && bytes[at + 1] === 0 && bytes[at + 2] < 64 &&
      bytes[at + 4] === 1 && bytes[at + 12] === 0;
    if (/^(TREE|HEAP|SNOD|GCOL)$/.test(head) || isHeader) blocks.push(at);
  }
  for (let count = 1 + random.below(3); count > 0; count--) {
    const block = oneOf(blocks, random);
    const at = block + 4 + 2 * random.below(40);
    const place = oneOf(
      [0n, 1n, BigInt(bytes.length), 2n ** 63n, 2n ** 64n - 1n, BigInt(block)],
      random,
    );
    const other = BigInt(oneOf(blocks, random));
    if (at + 8 > bytes.length) continue;
    if (random.below(2) === 0) view.setBigUint64(at, random.below(2) === 0 ? place : other, true);
    else view.setUint16(at, oneOf([0, 1, 0xff, 0xffff, random.below(64)], random), true);
  }
  return bytes;
}

/** A Keras model with other layers, other blocks in its weights, or another directory. */
export function hostileKeras(example: Uint8Array, random: RandomStream): Uint8Array {
  if (random.below(4) === 0) return hostileZip(random);
  const members = storedMembers(example);
  return storedZip(members.map(([name, content]) => [
    name,
    name === "config.json" && random.below(3) > 0
      ? altered(content, random)
      : name.endsWith(".h5") && random.below(3) === 0
      ? hostileHdf5(content, random)
      : content,
  ]));
}

/** Name and content of each member of an archive that Python wrote without compression. */
function storedMembers(archive: Uint8Array): [string, Uint8Array][] {
  const view = new DataView(archive.buffer, archive.byteOffset, archive.byteLength);
  const members: [string, Uint8Array][] = [];
  for (let at = 0; view.getUint32(at, true) === 0x04034b50;) {
    const name = at + 30;
    const content = name + view.getUint16(at + 26, true) + view.getUint16(at + 28, true);
    const end = content + view.getUint32(at + 18, true);
    const text = new TextDecoder().decode(
      archive.subarray(name, name + view.getUint16(at + 26, true)),
    );
    members.push([text, archive.subarray(content, end)]);
    at = end;
  }
  return members;
}

/** A tree of MessagePack, with arrays as Flax has them and lengths that are not true. */
export function hostileMessagePack(random: RandomStream): Uint8Array {
  const parts: Uint8Array[] = [];
  const push = (...bytes: number[]): void => void parts.push(Uint8Array.of(...bytes));
  const text = (value: string) => {
    const bytes = encode(value).subarray(0, 31);
    push(0xa0 | bytes.length);
    parts.push(bytes);
  };
  const value = (depth: number): void => {
    switch (random.below(depth > 6 ? 5 : 8)) {
      case 0:
        return push(0xca, 0, 0, 0, random.below(256));
      case 1:
        return text(oneOf(TEXTS, random).toWellFormed());
      case 2: {
        const extent = random.below(8);
        const inner = [0x93, 0x91, extent, 0xa7, ...encode("float32"), 0xc4, 4 * extent];
        const wrong = random.below(4) === 0 ? random.below(256) : inner.length + 4 * extent;
        push(0xc7, wrong, 1, ...inner, ...new Uint8Array(4 * extent));
        return;
      }
      case 3:
        return random.below(6) === 0
          ? push(oneOf([0xdb, 0xdd, 0xdf, 0xc6, 0xc9], random), 0xff, 0xff, 0xff, 0xf0)
          : push(random.below(128));
      case 4:
        return push(0xc0);
      case 5: {
        const count = random.below(8);
        push(0x90 | count);
        for (let i = 0; i < count; i++) value(depth + 1);
        return;
      }
      default:
        return map(depth + 1, random.below(6));
    }
  };
  const map = (depth: number, count: number) => {
    push(0x80 | count);
    for (let i = 0; i < count; i++) {
      text(oneOf(["params", "batch_stats", "kernel", "bias", "__proto__", `Conv_${i}`], random));
      value(depth);
    }
  };
  map(0, 1 + random.below(5));
  return joined(parts);
}

/** What an entry of a tar archive may be by its type's letter, and letters that are none. */
const TAR_TYPES = [..."12345671xgLKSDVN?", "\0"];

/** A gzipped tar archive of whose entries the headers say other things than is there. */
export async function hostileTar(random: RandomStream): Promise<Uint8Array> {
  const blocks: Uint8Array[] = [];
  const isWhole = random.below(2) === 0;
  // Behind what is asked for may stand what nobody asks for.
  for (const [name, content] of isWhole ? Object.entries(TINY_FILES) : []) {
    const { size, padding } = { size: content.length, padding: (512 - content.length % 512) % 512 };
    blocks.push(tarHeader(name, size), content, new Uint8Array(padding));
  }
  const most = isWhole ? 2 : 8;
  for (let count = random.below(12) === 0 ? 300 : random.below(most + 1); count > 0; count--) {
    const content = random.below(3) === 0
      ? encode(paxRecords(random))
      : new Uint8Array(random.below(3) * random.below(700));
    const name = oneOf(["a.bin", "tiny-bin/b.bin", "t.bin", "/etc/passwd", ...TEXTS], random);
    blocks.push(tarHeader(name, content.length, random), content);
    // Whole blocks, or what follows is no header.
    if (random.below(10) > 0) blocks.push(new Uint8Array((512 - content.length % 512) % 512));
  }
  if (random.below(4) > 0) blocks.push(new Uint8Array(1024));
  const body = new Blob([joined(blocks) as Uint8Array<ArrayBuffer>]).stream();
  return await new Response(body.pipeThrough(new CompressionStream("gzip"))).bytes();
}

/** Lines of an extended header: sizes, paths and times, with lengths that are not all true. */
function paxRecords(random: RandomStream): string {
  return Array.from({ length: random.below(5) }, () => {
    const key = oneOf(["path", "size", "linkpath", "mtime", "GNU.sparse.size", ...TEXTS], random);
    const value = random.below(2) === 0 ? oneOf(NUMBERS, random) : oneOf(TEXTS, random);
    const line = ` ${key}=${value}\n`;
    return `${random.below(3) === 0 ? oneOf(NUMBERS, random) : line.length + 2}${line}`;
  }).join("");
}

/** The header of an entry: without a random stream the usual one, else one that says anything. */
function tarHeader(name: string, size: number, random?: RandomStream): Uint8Array {
  const header = new Uint8Array(512);
  const put = (at: number, text: string, length: number) =>
    header.set(encode(text).subarray(0, length), at);
  const octal = (value: number) => value.toString(8).padStart(11, "0") + "\0";
  const mostly = <T>(usual: T, others: readonly T[]) =>
    random === undefined || random.below(4) > 0 ? usual : oneOf([usual, ...others], random);
  const sizes = [octal(0), octal(2 ** 33 - 1), "-1", "99999999999", " "];
  put(0, name, 100);
  put(100, mostly("0000644\0", ["9999999\0", ""]), 8);
  put(124, mostly(octal(size), sizes), 12);
  put(136, mostly(octal(0), ["zzz"]), 12);
  put(156, mostly("0", TAR_TYPES), 1);
  put(157, mostly("", ["../../x", "a.bin"]), 100);
  put(257, mostly("ustar\x0000", ["ustar  \0", ""]), 8);
  put(345, mostly("", ["tiny-bin", "..", "/"]), 155);
  // A number of 95 bits instead of octal digits.
  if (random?.below(20) === 0) header.fill(0xff, 124, 136);
  header.fill(0x20, 148, 156);
  const sum = header.reduce((a, b) => a + b, 0);
  if (random?.below(12) !== 0) put(148, sum.toString(8).padStart(6, "0") + "\0 ", 8);
  return header;
}

/** NumPy's file with another header. */
export function hostileNpy(random: RandomStream): Uint8Array {
  const shape = Array.from(
    { length: random.below(5) },
    () => random.below(5) === 0 ? oneOf(NUMBERS, random) : random.below(5),
  );
  const type = oneOf(["<f4", ">f8", "|b1", "<i8", "|O", "<U9", "<c16", "__import__('os')"], random);
  const header = `{'descr': '${type}', 'fortran_order': ${
    oneOf(["True", "False", "0"], random)
  }, 'shape': (${shape.join(", ")},), }`;
  const bytes = new Uint8Array(10 + header.length + random.below(300));
  bytes.set([0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59, 1, 0, header.length & 255, header.length >> 8]);
  bytes.set(encode(header), 10);
  return bytes;
}

/** The one shard of {@linkcode TFJS_MODEL}. */
export const TFJS_SHARD = "w.bin";
/** Its size: 108 + 4 numbers. */
export const TFJS_SHARD_BYTES = 448;
/** A model of TensorFlow.js in miniature. */
export const TFJS_MODEL = {
  format: "layers-model",
  generatedBy: "TensorFlow.js tfjs-layers v4.22.0",
  modelTopology: {
    class_name: "Functional",
    config: {
      name: "m",
      layers: [
        layer("InputLayer", "i", { batch_input_shape: [null, 8, 8, 3] }),
        layer(
          "Conv2D",
          "c",
          { filters: 4, kernel_size: [3, 3], padding: "same", use_bias: false },
          "i",
        ),
        layer("ReLU", "r", { max_value: null }, "c"),
        layer("Add", "a", {}, "r", "c"),
        layer("GlobalAveragePooling2D", "g", { data_format: "channels_last" }, "a"),
        layer("Dense", "d", { units: 1, use_bias: false, activation: "softmax" }, "g"),
      ],
      input_layers: [["i", 0, 0]],
      output_layers: [["d", 0, 0]],
    },
  },
  weightsManifest: [{
    paths: [`./${TFJS_SHARD}`],
    weights: [
      { name: "c/kernel", shape: [3, 3, 3, 4], dtype: "float32" },
      { name: "d/kernel", shape: [4, 1], dtype: "float32" },
    ],
  }],
};

function layer(className: string, name: string, config: object, ...inputs: string[]) {
  return {
    ...{ class_name: className, name, config: { name, ...config } },
    inbound_nodes: inputs.length > 0 ? [inputs.map((input) => [input, 0, 0, {}])] : [],
  };
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}
