/** The folder that a recorder writes: the log, and files that are there whole or not at all. */
import { Buffer } from "node:buffer";
import { createHash, randomBytes } from "node:crypto";
import {
  closeSync,
  existsSync,
  fstatSync,
  fsyncSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readSync,
  renameSync,
  unlinkSync,
  writeSync,
} from "node:fs";
import { platform } from "node:process";

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

const LOG = "recording.jsonl";
/** What a recorder writes beside its log, whole or not. */
const OWN_FILES = /^(batches|weights|indices)-[a-z0-9-]+\.safetensors(\.[0-9a-f]{8}\.part)?$/;

/** Only what it holds is ever written to. Errors of the file system are the caller's. */
export class RecordingFolder {
  readonly #path: string;
  readonly #log: number;
  readonly #digest = createHash("sha256");
  readonly #mostBytes: number;
  #bytes = 0;

  readonly #lock: Lock | undefined;

  /**
   * Makes the folder, and its log, which must not be there. A recording that
   * broke off goes into a folder of its own in it, where nobody writes it any more.
   *
   * @param path Of the folder.
   * @param mostBytes What it may grow to.
   */
  constructor(path: string, mostBytes: number) {
    mkdirSync(path, { recursive: true });
    this.#path = path;
    this.#mostBytes = mostBytes;
    try {
      this.#log = openSync(`${path}/${LOG}`, "ax");
    } catch (error) {
      if (!setAside(path)) throw error;
      this.#log = openSync(`${path}/${LOG}`, "ax");
    }
    this.#lock = lockOf(`${path}/${LOG}`);
  }

  /** Returns when the log is on the disk, and lets go of it. */
  close(): void {
    fsyncSync(this.#log);
    syncFolder(this.#path);
    closeSync(this.#log);
    this.#lock?.close();
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
    writeAll(this.#log, bytes);
    this.#digest.update(bytes);
    this.#bytes += bytes.length;
    return true;
  }

  /** Writes beside, under a random name that must be new, syncs and renames. */
  #write(path: string, content: Uint8Array): void {
    const beside = `${path}.${randomBytes(4).toString("hex")}.part`;
    const file = openSync(beside, "wx");
    try {
      writeAll(file, content);
      fsyncSync(file);
      renameSync(beside, path);
    } catch (error) {
      try {
        unlinkSync(beside);
      } catch {
        // The first error is the one that matters.
      }
      throw error;
    } finally {
      closeSync(file);
    }
    syncFolder(this.#path);
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
    this.#write(`${this.#path}/${path}`, content);
    this.#bytes += content.length;
    const sha256 = createHash("sha256").update(content).digest("hex");
    return { path, sha256, bytes: content.length };
  }
}

/** A file of Deno's that is locked until its process ends. */
interface Lock {
  tryLockSync(exclusive: boolean): boolean;
  close(): void;
}

/**
 * Locks a file, so that it is known to be written as long as its process lives.
 *
 * @returns The lock; undefined where another process has it, or no file can be locked: under Node.
 */
function lockOf(path: string): Lock | undefined {
  const { Deno: deno } = globalThis as {
    readonly Deno?: { openSync(path: string, options: object): Lock };
  };
  const lock = deno?.openSync(path, { read: true, write: true });
  if (lock?.tryLockSync(true)) return lock;
  lock?.close();
}

/**
 * Makes room where a training was killed.
 *
 * @returns Whether room was made: not for a recording that has its end, or that somebody may be
 *   writing, nor for a file that is none.
 */
function setAside(path: string): boolean {
  if (!lstatSync(`${path}/${LOG}`).isFile() || !brokeOff(`${path}/${LOG}`)) return false;
  const lock = lockOf(`${path}/${LOG}`);
  if (lock === undefined) return false;
  try {
    let number = 1;
    while (existsSync(`${path}/broken-off-${number}`)) number++;
    const aside = `${path}/broken-off-${number}`;
    mkdirSync(aside);
    // The log last: where this breaks off, the next start finds it, and goes on.
    for (const name of [...readdirSync(path).filter((name) => OWN_FILES.test(name)), LOG]) {
      renameSync(`${path}/${name}`, `${aside}/${name}`);
    }
    console.error(`tfjs recorder: a recording that broke off is now in ${aside}`);
    return true;
  } finally {
    lock.close();
  }
}

/** Whether a file is a log, and its last line does not say that the training was over. */
function brokeOff(path: string): boolean {
  const file = openSync(path, "r");
  try {
    const { size } = fstatSync(file);
    const part = (from: number) => {
      const bytes = new Uint8Array(Math.min(LINE_BYTES, size - from));
      return new TextDecoder().decode(
        bytes.subarray(0, readSync(file, bytes, 0, bytes.length, from)),
      );
    };
    const first = `{"type":"start"`;
    const begin = part(0).slice(0, first.length);
    const lines = part(Math.max(0, size - LINE_BYTES)).split("\n");
    const isEnded = lines.at(-1) === "" && /^{"type":"(end|failure)"/.test(lines.at(-2) ?? "");
    return first.startsWith(begin) && !isEnded;
  } finally {
    closeSync(file);
  }
}

/** The longest that a line may be. */
const LINE_BYTES = 8 * 2 ** 20;

function writeAll(file: number, bytes: Uint8Array): void {
  for (let written = 0; written < bytes.length;) written += writeSync(file, bytes, written);
}

/** Windows can't open a folder, and renames durably by itself. */
function syncFolder(path: string): void {
  if (platform === "win32") return;
  const folder = openSync(path, "r");
  try {
    fsyncSync(folder);
  } finally {
    closeSync(folder);
  }
}

/** JSON has no NaN: it and the infinities are texts. */
function finite(_key: string, value: unknown): unknown {
  return typeof value === "number" && !Number.isFinite(value) ? String(value) : value;
}

/** Little-endian words in base64. */
export function base64(words: Int32Array | BigUint64Array): string {
  return Buffer.from(words.buffer, words.byteOffset, words.byteLength).toString("base64");
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
