/**
 * A reader of zip archives that are held in memory, with bounds for files from
 * strangers: nothing is copied but deflated members, and those only up to the
 * size that the archive declares and the caller allows.
 *
 * Source: PKWARE's APPNOTE.TXT, sections 4.3.7, 4.3.12 and 4.3.16. Zip64's
 * larger fields are not read: such members exceed every limit here.
 */
import { crc32, inflate } from "../files/mod.ts";
import { quote } from "../text/mod.ts";
import { WeightFileError } from "../resnet/mod.ts";

const LOCAL_HEADER = 0x04034b50;
const CENTRAL_HEADER = 0x02014b50;
const END_OF_DIRECTORY = 0x06054b50;
const LOCAL_BYTES = 30;
const CENTRAL_BYTES = 46;
const END_BYTES = 22;
const LONGEST_COMMENT = 0xffff;
const STORED = 0;
const DEFLATED = 8;
const ENCRYPTED_FLAG = 1;

/** The largest network here, ResNet-34 with 1,000 classes, has 87 MB of weights. */
const MOST_INFLATED_BYTES = 96 * 1024 * 1024;

const archives = new WeakMap<Uint8Array, ZipArchive>();

/**
 * The archive in a file; undefined if the file is none.
 *
 * @throws {WeightFileError} If it begins as one and its directory is malformed.
 */
export function zipOf(bytes: Uint8Array): ZipArchive | undefined {
  const known = archives.get(bytes);
  if (known) return known;
  const signature = [0x50, 0x4b, 0x03, 0x04];
  if (!signature.every((byte, i) => bytes[i] === byte)) return undefined;
  const archive = new ZipArchive(bytes, MOST_INFLATED_BYTES);
  archives.set(bytes, archive);
  return archive;
}

/** One member of an archive. */
export interface ZipMember {
  readonly name: string;
  /** Bytes of the content after decompression. */
  readonly size: number;
  /** Compression method: 0 stored, 8 deflated. */
  readonly method: number;
}

interface Entry extends ZipMember {
  readonly compressed: number;
  readonly crc: number;
  readonly encrypted: boolean;
  readonly offset: number;
}

/** An archive whose directory has been read and checked. */
export class ZipArchive {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #entries = new Map<string, Entry>();
  #inflatable: number;

  /**
   * @param bytes The whole archive.
   * @param inflatable How many bytes may be inflated in all.
   * @throws {WeightFileError} If the directory is malformed.
   */
  constructor(bytes: Uint8Array, inflatable: number) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#inflatable = inflatable;
    this.#readDirectory();
  }

  /** Every member, by name, in the directory's order. */
  get members(): ReadonlyMap<string, ZipMember> {
    return this.#entries;
  }

  /**
   * The content of a member; a view of the archive where it is stored uncompressed.
   *
   * @throws {WeightFileError} If there is no such member or it is damaged.
   */
  read(name: string): Uint8Array {
    const entry = this.#entries.get(name);
    if (!entry) throw malformed(`it has no member ${quote(name)}`);
    if (entry.encrypted) throw malformed(`${quote(name)} is encrypted; decrypt the file first`);
    const { offset, compressed } = entry;
    if (!this.#has(offset, LOCAL_BYTES, LOCAL_HEADER)) {
      throw malformed(`${quote(name)} must begin at byte ${offset}, and no member begins there`);
    }
    const start = offset + LOCAL_BYTES + this.#view.getUint16(offset + 26, true) +
      this.#view.getUint16(offset + 28, true);
    if (start + compressed > this.#bytes.length) {
      throw malformed(
        `${quote(name)} ends at byte ${
          start + compressed
        } of a file of ${this.#bytes.length}; the file is cut off`,
      );
    }
    const content = this.#expand(entry, this.#bytes.subarray(start, start + compressed));
    if (content.length !== entry.size || crc32(content) !== entry.crc) {
      throw malformed(
        `${
          quote(name)
        } is damaged: its length or CRC-32 is not the directory's; get the file again`,
      );
    }
    return content;
  }

  #expand({ name, size, method }: Entry, content: Uint8Array): Uint8Array {
    if (method === STORED) return content;
    if (method !== DEFLATED) {
      throw malformed(
        `${
          quote(name)
        } is compressed by method ${method}, and only 0 (stored) and 8 (deflated) are read`,
      );
    }
    if (size > this.#inflatable) {
      throw malformed(
        `${
          quote(name)
        } inflates to ${size} bytes where ${this.#inflatable} are left of the limit; store the archive uncompressed, as torch.save does`,
      );
    }
    this.#inflatable -= size;
    try {
      return inflate(content, size);
    } catch (error) {
      throw malformed(`${quote(name)} can't be inflated: ${(error as Error).message}`, error);
    }
  }

  #readDirectory(): void {
    const end = this.#findEnd();
    const view = this.#view;
    const count = view.getUint16(end + 10, true);
    const length = view.getUint32(end + 12, true);
    let position = view.getUint32(end + 16, true);
    const directoryEnd = position + length;
    if (directoryEnd > end) {
      throw malformed(`its directory would end at byte ${directoryEnd}, after its own end record`);
    }
    let compressedBytes = 0;
    for (let i = 0; i < count; i++) {
      if (!this.#has(position, CENTRAL_BYTES, CENTRAL_HEADER)) {
        throw malformed(`entry ${i} of ${count} in the directory is missing`);
      }
      const nameStart = position + CENTRAL_BYTES;
      const nameEnd = nameStart + view.getUint16(position + 28, true);
      const next = nameEnd + view.getUint16(position + 30, true) +
        view.getUint16(position + 32, true);
      if (next > directoryEnd) throw malformed(`entry ${i} leaves the directory`);
      const name = new TextDecoder().decode(this.#bytes.subarray(nameStart, nameEnd));
      const entry: Entry = {
        name,
        encrypted: (view.getUint16(position + 8, true) & ENCRYPTED_FLAG) !== 0,
        method: view.getUint16(position + 10, true),
        crc: view.getUint32(position + 16, true),
        compressed: view.getUint32(position + 20, true),
        size: view.getUint32(position + 24, true),
        offset: view.getUint32(position + 42, true),
      };
      if (this.#entries.has(name)) throw malformed(`two members are named ${quote(name)}`);
      this.#entries.set(name, entry);
      compressedBytes += entry.compressed;
      position = next;
    }
    // Members that share bytes are how a small archive asks for endless work.
    if (compressedBytes > this.#bytes.length) {
      throw malformed(
        `its members take ${compressedBytes} bytes together, and the file has ${this.#bytes.length}`,
      );
    }
  }

  /** Offset of the end record, which stands before a comment of unknown length. */
  #findEnd(): number {
    const last = this.#bytes.length - END_BYTES;
    for (let at = last; at >= Math.max(0, last - LONGEST_COMMENT); at--) {
      if (
        this.#has(at, END_BYTES, END_OF_DIRECTORY) &&
        at + END_BYTES + this.#view.getUint16(at + 20, true) === this.#bytes.length
      ) return at;
    }
    throw malformed("its end record is missing; the file is cut off");
  }

  #has(at: number, bytes: number, signature: number): boolean {
    return at + bytes <= this.#bytes.length && this.#view.getUint32(at, true) === signature;
  }
}

function malformed(reason: string, cause?: unknown): WeightFileError {
  return new WeightFileError(`not a well-formed zip archive: ${reason}`, { cause });
}
