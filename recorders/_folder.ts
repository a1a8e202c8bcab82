/** The folder that a recorder writes: the log, and files that are there whole or not at all. */
import { createHash } from "node:crypto";
import { mkdirSync, openSync, renameSync, writeFileSync, writeSync } from "node:fs";

/** An array on its way into a file. */
export interface WrittenArray {
  /** In rows. */
  readonly shape: readonly number[];
  /** Row by row. */
  readonly values: Float32Array | BigInt64Array;
}

/** A file as a line names it. */
export interface WrittenFile {
  /** In the folder. */
  readonly path: string;
  /** Of its content. */
  readonly sha256: string;
  /** Its length. */
  readonly bytes: number;
}

/** Only what it holds is ever written to. Errors of the file system are the caller's. */
export class RecordingFolder {
  readonly #path: string;
  readonly #log: number;
  readonly #digest = createHash("sha256");
  readonly #mostBytes: number;
  #bytes = 0;

  /**
   * Makes the folder, and its log, which must not be there.
   *
   * @param path Of the folder.
   * @param mostBytes What it may grow to.
   */
  constructor(path: string, mostBytes: number) {
    mkdirSync(path, { recursive: true });
    this.#path = path;
    this.#mostBytes = mostBytes;
    this.#log = openSync(`${path}/recording.jsonl`, "ax");
  }

  /** SHA-256 of the log so far. */
  get logSha256(): string {
    return this.#digest.copy().digest("hex");
  }

  /** Whether so many bytes may still be written, for images or weights. */
  hasRoom(bytes: number): boolean {
    return this.#bytes + bytes <= this.#mostBytes;
  }

  /** Appends a line; false where the log may not grow any more. */
  line(event: Readonly<Record<string, unknown>>): boolean {
    const bytes = new TextEncoder().encode(JSON.stringify(event, finite) + "\n");
    const isLast = event.type === "end" || event.type === "failure";
    if (!isLast && !this.hasRoom(bytes.length)) return false;
    for (let written = 0; written < bytes.length;) {
      written += writeSync(this.#log, bytes, written);
    }
    this.#digest.update(bytes);
    this.#bytes += bytes.length;
    return true;
  }

  /** Writes a safetensors file. */
  file(
    name: string,
    arrays: ReadonlyMap<string, WrittenArray>,
    metadata: Readonly<Record<string, string>>,
  ): WrittenFile {
    const header: Record<string, unknown> = { __metadata__: metadata };
    let end = 0;
    for (const [key, { shape, values }] of arrays) {
      const begin = end;
      end += values.byteLength;
      const dtype = values instanceof BigInt64Array ? "I64" : "F32";
      header[key] = { dtype, shape, data_offsets: [begin, end] };
    }
    const text = JSON.stringify(header);
    const head = new TextEncoder().encode(text + " ".repeat((8 - text.length % 8) % 8));
    const content = new Uint8Array(8 + head.length + end);
    new DataView(content.buffer).setBigUint64(0, BigInt(head.length), true);
    content.set(head, 8);
    let at = 8 + head.length;
    for (const { values } of arrays.values()) {
      content.set(new Uint8Array(values.buffer, values.byteOffset, values.byteLength), at);
      at += values.byteLength;
    }
    const path = `${name}.safetensors`;
    writeFileSync(`${this.#path}/${path}.part`, content);
    renameSync(`${this.#path}/${path}.part`, `${this.#path}/${path}`);
    this.#bytes += content.length;
    const sha256 = createHash("sha256").update(content).digest("hex");
    return { path, sha256, bytes: content.length };
  }
}

/** JSON has no NaN: it and the infinities are texts. */
function finite(_key: string, value: unknown): unknown {
  return typeof value === "number" && !Number.isFinite(value) ? String(value) : value;
}

/** Little-endian words in base64. */
export function base64(words: Int32Array | BigUint64Array): string {
  return new Uint8Array(words.buffer, words.byteOffset, words.byteLength).toBase64();
}

/**
 * A hash of 64 bits of each image's values.
 *
 * @param values [N, ...], row by row.
 * @param count Images.
 */
export function hashImages(values: Float32Array, count: number): BigUint64Array {
  const bits = new Int32Array(values.buffer, values.byteOffset, values.length);
  const size = bits.length / count;
  const words = new Uint32Array(2 * count);
  for (let image = 0; image < count; image++) {
    let [low, high] = [0x811c9dc5, 0x1234567];
    for (let i = image * size; i < (image + 1) * size; i++) {
      low = Math.imul(low ^ bits[i], 0x01000193);
      low ^= low >>> 15;
      high = Math.imul(high ^ bits[i], 0x85ebca6b);
      high ^= high >>> 13;
    }
    words[2 * image] = low;
    words[2 * image + 1] = high;
  }
  return new BigUint64Array(words.buffer);
}
