/**
 * Writes HDF5 files of what Keras keeps in them: groups, and arrays of 32-bit floats.
 *
 * No package writes HDF5 without a compiled library of several megabytes; this much of the format
 * is a superblock, and one header for each group and array.
 *
 * Source: the HDF5 File Format Specification 3.0, sections II.A (superblock 2), IV.A.1.b (object
 * headers 2) and the messages of IV.A.2 by their numbers; the checksum is Bob Jenkins's lookup3.
 */
import type { Tensor } from "../resnet/mod.ts";

/** A group's members by name. */
export interface Hdf5Group extends ReadonlyMap<string, Hdf5Group | Tensor> {}

const SIGNATURE = [0x89, 0x48, 0x44, 0x46, 0x0d, 0x0a, 0x1a, 0x0a];
const SUPERBLOCK_BYTES = 48;
const CHECKSUM_BYTES = 4;
/** "No address". */
const UNDEFINED = 2n ** 64n - 1n;

const DATASPACE = 1, LINK_INFO = 2, DATATYPE = 3, FILL_VALUE = 5, LINK = 6;
const LAYOUT = 8, GROUP_INFO = 10;

/** IEEE 754 of 32 bits, little-endian: class, bit fields, size, offset, precision, exponent, ... */
const FLOAT = [0x11, 0x20, 31, 0, 4, 0, 0, 0, 0, 0, 32, 0, 23, 8, 0, 23, 127, 0, 0, 0];
/** Version 3: room is taken late, filled if something was set; the value is zero. */
const FILLED_BY_ZEROS = [3, 0x0a];

/**
 * A file with the given members at its root.
 *
 * @param root Names of at most 255 characters of ASCII.
 */
export function encodeHdf5(root: Hdf5Group): Uint8Array {
  const file = new Bytes();
  file.bytes(new Uint8Array(SUPERBLOCK_BYTES));
  const address = writeGroup(file, root);
  const superblock = new Bytes();
  superblock.bytes(SIGNATURE);
  // Version 2; addresses and lengths of 8 bytes; no flags.
  superblock.bytes([2, 8, 8, 0]);
  for (const field of [0n, UNDEFINED, BigInt(file.length), BigInt(address)]) superblock.long(field);
  superblock.checksum(0);
  const whole = file.joined();
  whole.set(superblock.joined());
  return whole;
}

/** Writes what a group holds and then its header; returns the header's address. */
function writeGroup(file: Bytes, group: Hdf5Group): number {
  const links: Message[] = [];
  for (const [name, member] of group) {
    const isArray = "data" in member;
    const address = isArray ? writeArray(file, member as Tensor) : writeGroup(file, member);
    const link = new Bytes();
    const text = new TextEncoder().encode(name);
    // Version 1; flags: a hard link, its name's length in one byte.
    link.bytes([1, 0, text.length]);
    link.bytes(text);
    link.long(BigInt(address));
    links.push([LINK, link.joined()]);
  }
  const info = new Bytes();
  // Links stand in the header itself: no heap and no tree.
  info.bytes([0, 0]);
  info.long(UNDEFINED);
  info.long(UNDEFINED);
  return writeHeader(file, [[LINK_INFO, info.joined()], [GROUP_INFO, [0, 0]], ...links]);
}

function writeArray(file: Bytes, { shape, data }: Tensor): number {
  file.align();
  const address = file.length;
  const values = new DataView(new ArrayBuffer(4 * data.length));
  data.forEach((value, i) => values.setFloat32(4 * i, value, true));
  file.bytes(new Uint8Array(values.buffer));
  const space = new Bytes();
  // Version 2; a simple space whose extents do not grow.
  space.bytes([2, shape.length, 0, 1]);
  for (const extent of shape) space.long(BigInt(extent));
  const layout = new Bytes();
  // Version 3, contiguous.
  layout.bytes([3, 1]);
  layout.long(BigInt(address));
  layout.long(BigInt(4 * data.length));
  return writeHeader(file, [
    [DATASPACE, space.joined()],
    [DATATYPE, FLOAT],
    [FILL_VALUE, FILLED_BY_ZEROS],
    [LAYOUT, layout.joined()],
  ]);
}

type Message = readonly [type: number, body: ArrayLike<number>];

function writeHeader(file: Bytes, messages: readonly Message[]): number {
  file.align();
  const address = file.length;
  const header = new Bytes();
  header.bytes(new TextEncoder().encode("OHDR"));
  // Version 2; flags: the length of what follows takes 4 bytes.
  header.bytes([2, 2]);
  header.number(messages.reduce((sum, [, body]) => sum + 4 + body.length, 0), 4);
  for (const [type, body] of messages) {
    header.bytes([type]);
    header.number(body.length, 2);
    header.bytes([0]);
    header.bytes(body);
  }
  header.checksum(0);
  file.bytes(header.joined());
  return address;
}

/** Bytes that are put one after another, numbers little-endian. */
class Bytes {
  readonly #parts: Uint8Array[] = [];
  length = 0;

  bytes(content: ArrayLike<number>): void {
    const part = Uint8Array.from(content);
    this.#parts.push(part);
    this.length += part.length;
  }

  number(value: number, size: 2 | 4): void {
    this.bytes(new Uint8Array(Uint32Array.of(value).buffer, 0, size));
  }

  long(value: bigint): void {
    this.bytes(new Uint8Array(BigUint64Array.of(value).buffer));
  }

  /** To a multiple of 8. */
  align(): void {
    this.bytes(new Uint8Array(-this.length & 7));
  }

  checksum(start: number): void {
    this.number(lookup3(this.joined().subarray(start)), CHECKSUM_BYTES);
  }

  joined(): Uint8Array {
    const whole = new Uint8Array(this.length);
    let at = 0;
    for (const part of this.#parts) {
      whole.set(part, at);
      at += part.length;
    }
    return whole;
  }
}

/** hashlittle() of lookup3.c, public domain, with the initial value 0. */
export function lookup3(bytes: Uint8Array): number {
  let a = (0xdeadbeef + bytes.length) | 0, b = a, c = a;
  const rotated = (value: number, by: number) => (value << by) | (value >>> (32 - by));
  const words = new DataView(new ArrayBuffer(12));
  for (let at = 0; bytes.length > 0 && at < bytes.length; at += 12) {
    const part = new Uint8Array(words.buffer);
    part.fill(0).set(bytes.subarray(at, at + 12));
    a = (a + words.getUint32(0, true)) | 0;
    b = (b + words.getUint32(4, true)) | 0;
    c = (c + words.getUint32(8, true)) | 0;
    if (at + 12 < bytes.length) {
      a = (a - c) ^ rotated(c, 4), c = (c + b) | 0;
      b = (b - a) ^ rotated(a, 6), a = (a + c) | 0;
      c = (c - b) ^ rotated(b, 8), b = (b + a) | 0;
      a = (a - c) ^ rotated(c, 16), c = (c + b) | 0;
      b = (b - a) ^ rotated(a, 19), a = (a + c) | 0;
      c = (c - b) ^ rotated(b, 4), b = (b + a) | 0;
    } else {
      c = ((c ^ b) - rotated(b, 14)) | 0;
      a = ((a ^ c) - rotated(c, 11)) | 0;
      b = ((b ^ a) - rotated(a, 25)) | 0;
      c = ((c ^ b) - rotated(b, 16)) | 0;
      a = ((a ^ c) - rotated(c, 4)) | 0;
      b = ((b ^ a) - rotated(a, 14)) | 0;
      c = ((c ^ b) - rotated(b, 24)) | 0;
    }
  }
  return c >>> 0;
}
