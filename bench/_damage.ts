/** Ways in which a file can be damaged, drawn from a seed. */
import type { RandomStream } from "../random/mod.ts";

/** A damaged file. */
export interface Damage {
  /** How it was damaged. */
  readonly kind: "cut" | "flip" | "splice" | "length" | "global" | "altered";
  /** The file. */
  readonly bytes: Uint8Array;
  /** What a pickle was made to ask for, as `module.name`. */
  readonly hostile?: string;
}

/** Code that a pickle's reader must never look up. */
const HOSTILE = [
  ...["os.system", "posix.system", "builtins.eval", "builtins.exec", "subprocess.Popen"],
  ...["torch.load", "torch.hub.load", "runpy._run_code", "constructor.constructor"],
];
/** The operation PROTO, with which a pickle begins. */
const PICKLE = 0x80;
/** Heads and tails hold what tells where everything else is. */
const EDGE = 2048;

/**
 * Damages one of `files`: a quarter are cut off; the others have bytes flipped,
 * parts moved, lengths changed or, in pickles, globals replaced.
 */
export function damage(
  files: readonly Uint8Array[],
  which: number,
  random: RandomStream,
): Damage {
  const file = files[which];
  switch (random.below(8)) {
    case 0:
    case 1:
      return { kind: "cut", bytes: file.slice(0, random.below(file.length)) };
    case 2:
    case 3:
      return { kind: "flip", bytes: flipped(file, random) };
    case 4:
      return { kind: "splice", bytes: spliced(file, files[random.below(files.length)], random) };
    case 5:
      return withGlobal(file, random) ?? { kind: "length", bytes: withLength(file, random) };
    default:
      return { kind: "length", bytes: withLength(file, random) };
  }
}

/** A position, more often near the file's ends. */
function place(length: number, random: RandomStream): number {
  const edge = Math.min(EDGE, length);
  return [random.below(length), random.below(edge), length - 1 - random.below(edge)][
    random.below(3)
  ];
}

function flipped(file: Uint8Array, random: RandomStream): Uint8Array {
  const copy = file.slice();
  for (let count = 1 + random.below(4); count > 0; count--) {
    const at = place(copy.length, random);
    // Extreme bytes make extreme lengths; others are any byte or one flipped bit.
    copy[at] = [0x00, 0xff, random.below(256), copy[at] ^ (1 << random.below(8))][random.below(4)];
  }
  return copy;
}

/** A part of one file stands in another, in addition to what was there or in its place. */
function spliced(file: Uint8Array, from: Uint8Array, random: RandomStream): Uint8Array {
  const start = place(from.length, random);
  const part = from.subarray(start, start + random.below(256));
  const at = place(file.length, random);
  return joined(file.subarray(0, at), part, file.subarray(at + random.below(256)));
}

/** A number is replaced by an extreme one: in decimals where some stand, or in binary. */
function withLength(file: Uint8Array, random: RandomStream): Uint8Array {
  const at = place(file.length, random);
  const isDigit = (byte: number) => byte >= 0x30 && byte <= 0x39;
  const digit = file.subarray(at, at + 200).findIndex(isDigit);
  if (digit >= 0 && random.below(2) === 0) {
    const begin = at + digit;
    let end = begin;
    while (isDigit(file[end])) end++;
    const decimals = ["0", "-1", "4294967296", "9007199254740993", "1e308", "1e999", "0.5", ""];
    const value = new TextEncoder().encode(decimals[random.below(decimals.length)]);
    return joined(file.subarray(0, begin), value, file.subarray(end));
  }
  const width = [1, 2, 4, 8][random.below(4)];
  const most = 2n ** BigInt(8 * width) - 1n;
  const size = BigInt(file.length);
  const values = [0n, 1n, size - 1n, size, size + 1n, most / 2n, most / 2n + 1n, most];
  const value = values[random.below(values.length)];
  const littleEndian = random.below(4) > 0;
  const copy = file.slice();
  for (let i = 0; i < width && at + i < copy.length; i++) {
    const shift = 8n * BigInt(littleEndian ? i : width - 1 - i);
    copy[at + i] = Number((value >> shift) & 0xffn);
  }
  return copy;
}

/** Another name where a pickle's GLOBAL (`c`, module, line feed, name, line feed) asks for one. */
function withGlobal(file: Uint8Array, random: RandomStream): Damage | undefined {
  // An archive's checksums would refuse it before the pickle; what else begins otherwise is none.
  if (file[0] !== PICKLE) return undefined;
  // Latin-1 keeps one character a byte.
  const text = Array.from(file, (byte) => String.fromCharCode(byte)).join("");
  const found = [...text.matchAll(/c(?:torch|collections)[\w.]*\n\w+\n/g)];
  if (found.length === 0) return undefined;
  const { index, 0: old } = found[random.below(found.length)];
  const hostile = HOSTILE[random.below(HOSTILE.length)];
  const dot = hostile.lastIndexOf(".");
  const opcode = `c${hostile.slice(0, dot)}\n${hostile.slice(dot + 1)}\n`;
  const bytes = joined(
    file.subarray(0, index),
    new TextEncoder().encode(opcode),
    file.subarray(index + old.length),
  );
  return { kind: "global", bytes, hostile };
}

function joined(...parts: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

/** What may stand anywhere in JSON, and is hardly ever expected. */
const EXTREMES: readonly unknown[] = [
  ...[null, true, "", "x", [], {}, 0, -1, 0.5, 1e308, 2 ** 31, 2 ** 53, [[]], [null]],
];

/**
 * Alters a log of JSON lines whose form stays that of JSON: up to four values are
 * replaced by others of the log or by extremes, left out, or repeated; lines
 * are left out, repeated or moved.
 */
export function altered(log: Uint8Array, random: RandomStream): Uint8Array<ArrayBuffer> {
  const lines: unknown[] = new TextDecoder().decode(log).trimEnd().split("\n")
    .map((line) => JSON.parse(line));
  for (let count = 1 + random.below(4); count > 0; count--) {
    const at = random.below(lines.length);
    // A file of one line is JSON as a whole.
    if (lines.length > 1 && random.below(6) === 0) {
      const [line] = lines.splice(at, 1);
      const where = random.below(lines.length + 1);
      if (random.below(3) > 0) lines.splice(where, 0, line, ...random.below(2) ? [line] : []);
    } else lines[at] = alteredValue(lines[at], random, lines);
  }
  return new TextEncoder().encode(lines.map((line) => JSON.stringify(line) + "\n").join(""));
}

function alteredValue(value: unknown, random: RandomStream, lines: readonly unknown[]): unknown {
  if (typeof value !== "object" || value === null || random.below(8) === 0) {
    return random.below(2) ? EXTREMES[random.below(EXTREMES.length)] : partOf(lines, random);
  }
  if (Array.isArray(value)) {
    if (value.length === 0) return [EXTREMES[random.below(EXTREMES.length)]];
    const at = random.below(value.length);
    switch (random.below(6)) {
      case 0:
        return value.toSpliced(at, 1);
      case 1:
        return value.toSpliced(at, 0, value[random.below(value.length)]);
      default:
        return value.with(at, alteredValue(value[at], random, lines));
    }
  }
  const names = Object.keys(value).filter((name) => name !== "type");
  if (names.length === 0) return EXTREMES[random.below(EXTREMES.length)];
  const name = names[random.below(names.length)];
  const { [name]: one, ...rest } = value as Record<string, unknown>;
  return random.below(6) === 0 ? rest : { ...rest, [name]: alteredValue(one, random, lines) };
}

/** Any value of the log, which may have a form that is right elsewhere. */
function partOf(value: unknown, random: RandomStream): unknown {
  const parts = typeof value === "object" && value !== null ? Object.values(value) : [];
  if (parts.length === 0) return value;
  const part: unknown = parts[random.below(parts.length)];
  return random.below(3) === 0 ? part : partOf(part, random);
}
