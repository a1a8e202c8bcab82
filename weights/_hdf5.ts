/**
 * A reader of HDF5 files that are held in memory, as far as Keras and h5py write
 * them: groups, attributes and arrays, with bounds for files from strangers.
 * Every object, name and number that is looked at is counted, so that no file
 * asks for endless work; nothing is copied but what is chunked or wanted.
 *
 * Source: the HDF5 file format specification, version 3.0 (The HDF Group). Not
 * read: links to other files, arrays in several files, and chunks that are
 * indexed as only `libver="latest"` does.
 */
import { inflate } from "../files/mod.ts";
import { ELEMENT_TYPES, type ElementType, MOST_AXES } from "./_elements.ts";
import { quote } from "../text/mod.ts";
import { sizeOf, WeightFileError } from "../resnet/mod.ts";

const SIGNATURE = [0x89, 0x48, 0x44, 0x46, 0x0d, 0x0a, 0x1a, 0x0a];
/** The file may begin behind a block of the user's, at these places. */
const STARTS = [0, 512, 1024, 2048];
/** Objects, messages, links and chunks; ResNet-1202 of Keras has about 50,000. */
const MOST_STEPS = 2_000_000;
/** Bytes of attributes; a model's description takes some 200 kB. */
const MOST_ATTRIBUTE_BYTES = 32 * 1024 * 1024;
/** The largest network here, ResNet-34 with 1,000 classes, has 87 MB of weights. */
const MOST_INFLATED_BYTES = 160 * 1024 * 1024;
const DEEPEST = 32;

/** An array of numbers. */
export interface Hdf5Array {
  readonly shape: readonly number[];
  /** Undefined for texts, references and the like. */
  readonly type: ElementType | undefined;
  /** Row-major elements, put together where they lie in chunks. */
  readonly read: () => Uint8Array;
}

/** A group or an array, with what is said of it. */
export interface Hdf5Object {
  /** Texts, and lists of texts; others are left out. */
  readonly attributes: ReadonlyMap<string, string | readonly string[]>;
  /** Of a group, by name, in the file's order, which is mostly the alphabet's. */
  readonly members?: ReadonlyMap<string, Hdf5Object>;
  readonly array?: Hdf5Array;
}

/** Whether bytes are an HDF5 file. */
export function isHdf5(bytes: Uint8Array): boolean {
  return startOf(bytes) !== undefined;
}

function startOf(bytes: Uint8Array): number | undefined {
  return STARTS.find((start) => SIGNATURE.every((byte, i) => bytes[start + i] === byte));
}

/**
 * Reads all groups and attributes of a file; arrays are read when they are asked for.
 *
 * @throws {WeightFileError} If it is malformed, or asks for too much.
 */
export function readHdf5(bytes: Uint8Array): Hdf5Object {
  return new FileReader(bytes).root();
}

function malformed(reason: string, cause?: unknown): WeightFileError {
  return new WeightFileError(`not a well-formed HDF5 file: ${reason}; get the file again`, {
    cause,
  });
}

function unread(what: string): WeightFileError {
  return new WeightFileError(
    `the HDF5 file has ${what}, which is not read; save it with h5py's own settings`,
  );
}

/** Where something lies that a message or a table tells of. */
type Place = number;

interface Message {
  readonly type: number;
  readonly at: Place;
  readonly end: Place;
}

/** An element as a file has it: a number, or a text. */
interface Type {
  readonly size: number;
  readonly number?: ElementType;
  readonly text?: "fixed" | "variable";
}

const MESSAGE = {
  dataspace: 0x01,
  linkInfo: 0x02,
  datatype: 0x03,
  link: 0x06,
  external: 0x07,
  layout: 0x08,
  filters: 0x0b,
  attribute: 0x0c,
  continuation: 0x10,
  symbolTable: 0x11,
  attributeInfo: 0x15,
} as const;

/** A place that says that there is nothing. */
const UNDEFINED = Number.MAX_SAFE_INTEGER;

class FileReader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #objects = new Set<Place>();
  #steps = 0;
  #attributeBytes = 0;
  #inflated = 0;
  #offsetSize = 8;
  #lengthSize = 8;

  constructor(bytes: Uint8Array) {
    // Every place counts from where the file begins.
    this.#bytes = bytes.subarray(startOf(bytes) ?? 0);
    this.#view = new DataView(
      this.#bytes.buffer,
      this.#bytes.byteOffset,
      this.#bytes.byteLength,
    );
  }

  root(): Hdf5Object {
    const version = this.#number(8, 1);
    if (version > 3) throw unread(`version ${version} of its first block`);
    const at = version < 2 ? 13 : 9;
    this.#offsetSize = this.#number(at, 1);
    this.#lengthSize = this.#number(at + 1, 1);
    if (![4, 8].includes(this.#offsetSize) || ![4, 8].includes(this.#lengthSize)) {
      throw malformed(`numbers of ${this.#offsetSize} and ${this.#lengthSize} bytes`);
    }
    const size = this.#offsetSize;
    // Before version 2 the root is an entry of a table, behind four places.
    const root = version < 2
      ? this.#offset(24 + (version === 1 ? 4 : 0) + 4 * size + size)
      : this.#offset(12 + 3 * size);
    return this.#object(root, 0);
  }

  #step(count = 1): void {
    this.#steps += count;
    if (!(this.#steps <= MOST_STEPS)) {
      throw new WeightFileError(
        `an HDF5 file of at most ${MOST_STEPS} objects, links and chunks is read, this one has more`,
      );
    }
  }

  #number(at: Place, size: number): number {
    if (!(at >= 0 && at + size <= this.#bytes.length)) throw malformed("it is cut off");
    switch (size) {
      case 1:
        return this.#view.getUint8(at);
      case 2:
        return this.#view.getUint16(at, true);
      case 4:
        return this.#view.getUint32(at, true);
      case 8: {
        const number = this.#view.getBigUint64(at, true);
        // All ones say that there is nothing.
        return number > BigInt(UNDEFINED) ? UNDEFINED : Number(number);
      }
      default:
        throw malformed(`a number of ${size} bytes`);
    }
  }

  #offset(at: Place): Place {
    const place = this.#number(at, this.#offsetSize);
    return this.#offsetSize === 4 && place === 0xffffffff ? UNDEFINED : place;
  }

  #length(at: Place): number {
    return this.#number(at, this.#lengthSize);
  }

  #slice(at: Place, length: number): Uint8Array {
    if (!(at >= 0 && length >= 0 && at + length <= this.#bytes.length)) {
      throw malformed(
        `${length} bytes from byte ${at} lie outside of a file of ${this.#bytes.length}`,
      );
    }
    return this.#bytes.subarray(at, at + length);
  }

  #expect(at: Place, signature: string): void {
    const found = String.fromCharCode(...this.#slice(at, 4));
    if (found !== signature) {
      throw malformed(`${quote(signature)} must stand at byte ${at}, not ${quote(found)}`);
    }
  }

  #text(bytes: Uint8Array): string {
    this.#step();
    this.#attributeBytes += bytes.length;
    if (this.#attributeBytes > MOST_ATTRIBUTE_BYTES) {
      throw new WeightFileError(
        `attributes and names of at most ${MOST_ATTRIBUTE_BYTES} bytes are read, this file has more`,
      );
    }
    const end = bytes.indexOf(0);
    return new TextDecoder().decode(end < 0 ? bytes : bytes.subarray(0, end));
  }

  #object(at: Place, depth: number): Hdf5Object {
    if (depth > DEEPEST) throw malformed(`groups stand in each other more than ${DEEPEST} deep`);
    // A group that holds itself has no end, and one that is held twice too many names.
    if (this.#objects.has(at)) throw unread("an object that has two names");
    this.#objects.add(at);
    const messages = this.#messages(at);
    const find = (type: number) => messages.find((message) => message.type === type);
    const attributes = new Map<string, string | readonly string[]>();
    for (const message of messages) {
      if (message.type === MESSAGE.attribute) {
        const [name, value] = this.#attribute(message);
        if (value !== undefined) attributes.set(name, value);
      }
    }
    const layout = find(MESSAGE.layout);
    if (layout) {
      return { attributes, array: this.#array(messages, layout) };
    }
    const members = new Map<string, Hdf5Object>();
    const add = (name: string, place: Place) => {
      if (members.has(name)) throw malformed(`two objects of a group are named ${quote(name)}`);
      members.set(name, this.#object(place, depth + 1));
    };
    for (const message of messages) {
      if (message.type === MESSAGE.symbolTable) this.#symbols(message.at, add);
      else if (message.type === MESSAGE.link) this.#link(message, add);
      else if (message.type === MESSAGE.linkInfo) this.#refuseDense(message, 2, "links");
      else if (message.type === MESSAGE.attributeInfo) this.#refuseDense(message, 2, "attributes");
    }
    return { attributes, members };
  }

  /** The messages of an object's header, those of its further blocks too. */
  #messages(at: Place): Message[] {
    const messages: Message[] = [];
    const blocks: [Place, number][] = [];
    const second = this.#number(at, 1) !== 1;
    let tracked = false;
    if (second) {
      this.#expect(at, "OHDR");
      const flags = this.#number(at + 5, 1);
      tracked = (flags & 4) !== 0;
      const start = at + 6 + (flags & 0x20 ? 16 : 0) + (flags & 0x10 ? 4 : 0);
      const width = 1 << (flags & 3);
      blocks.push([start + width, this.#number(start, width)]);
    } else {
      blocks.push([at + 16, this.#number(at + 8, 4)]);
    }
    // The list grows while it is walked.
    for (const [start, length] of blocks) {
      this.#slice(start, length);
      const end = start + length;
      const head = second ? (tracked ? 6 : 4) : 8;
      let position = start;
      while (position + head <= end) {
        this.#step();
        const type = second ? this.#number(position, 1) : this.#number(position, 2);
        const size = this.#number(position + (second ? 1 : 2), 2);
        const shared = (this.#number(position + (second ? 3 : 4), 1) & 2) !== 0;
        const message = { type, at: position + head, end: position + head + size };
        if (message.end > end) throw malformed("a message reaches beyond its block");
        if (shared && type !== 0) throw unread("types that several objects share");
        if (type === MESSAGE.continuation) {
          const place = this.#offset(message.at);
          const bytes = this.#length(message.at + this.#offsetSize);
          if (second) {
            this.#expect(place, "OCHK");
            blocks.push([place + 4, bytes - 8]);
          } else blocks.push([place, bytes]);
        } else messages.push(message);
        position = message.end;
      }
    }
    return messages;
  }

  /** Many links or attributes lie in a heap of their own, which only new versions write. */
  #refuseDense({ at }: Message, fields: number, what: string): void {
    const flags = this.#number(at + 1, 1);
    const first = at + fields + (flags & 1 ? (what === "links" ? 8 : 2) : 0);
    if (this.#offset(first) !== UNDEFINED) throw unread(`${what} in a heap`);
  }

  #link({ at }: Message, add: (name: string, place: Place) => void): void {
    const flags = this.#number(at + 1, 1);
    let position = at + 2;
    const kind = flags & 8 ? this.#number(position++, 1) : 0;
    if (flags & 4) position += 8;
    if (flags & 16) position += 1;
    const width = 1 << (flags & 3);
    const length = this.#number(position, width);
    position += width;
    const name = this.#text(this.#slice(position, length));
    if (kind !== 0) throw unread(`the link ${quote(name)} to another place`);
    add(name, this.#offset(position + length));
  }

  /** A group of the first version: a tree of nodes, whose names lie in a heap. */
  #symbols(at: Place, add: (name: string, place: Place) => void): void {
    const heap = this.#offset(at + this.#offsetSize);
    this.#expect(heap, "HEAP");
    const data = this.#offset(heap + 8 + 2 * this.#lengthSize);
    const names = this.#slice(data, this.#length(heap + 8));
    this.#walk(this.#offset(at), 0, (node) => {
      this.#expect(node, "SNOD");
      const count = this.#number(node + 6, 2);
      const entry = 2 * this.#offsetSize + 24;
      for (let i = 0; i < count; i++) {
        this.#step();
        const position = node + 8 + i * entry;
        const start = this.#offset(position);
        if (this.#number(position + 2 * this.#offsetSize, 4) === 2) {
          throw unread("a link to another place");
        }
        if (start > names.length) throw malformed("a name lies outside of its heap");
        const length = names.subarray(start, start + 1024).indexOf(0);
        const name = this.#text(names.subarray(start, start + Math.max(0, length)));
        add(name, this.#offset(position + this.#offsetSize));
      }
    });
  }

  /**
   * The leaves of a tree of the first version.
   *
   * @param keyBytes What stands before each child: of groups a length, of chunks more.
   * @param visit Given each child of a leaf, and where its key stands.
   */
  #walk(
    root: Place,
    kind: 0 | 1,
    visit: (child: Place, key: Place) => void,
    keyBytes = this.#lengthSize,
  ): void {
    const seen = new Set<Place>();
    const under = (at: Place, above: number) => {
      this.#step();
      if (seen.has(at)) throw malformed("a tree holds itself");
      seen.add(at);
      this.#expect(at, "TREE");
      const level = this.#number(at + 5, 1);
      if (this.#number(at + 4, 1) !== kind || level >= above) throw malformed("a tree is damaged");
      const count = this.#number(at + 6, 2);
      let position = at + 8 + 2 * this.#offsetSize;
      for (let i = 0; i < count; i++) {
        this.#step();
        const child = this.#offset(position + keyBytes);
        if (level > 0) under(child, level);
        else visit(child, position);
        position += keyBytes + this.#offsetSize;
      }
    };
    if (root !== UNDEFINED) under(root, DEEPEST);
  }

  #attribute({ at }: Message): [string, string | readonly string[] | undefined] {
    const version = this.#number(at, 1);
    if (version < 1 || version > 3) throw malformed(`an attribute of version ${version}`);
    const [nameSize, typeSize, spaceSize] = [2, 4, 6].map((i) => this.#number(at + i, 2));
    // The first version fills every part up to a multiple of 8.
    const padded = (size: number) => version === 1 ? Math.ceil(size / 8) * 8 : size;
    const start = at + 8 + (version === 3 ? 1 : 0);
    const name = this.#text(this.#slice(start, nameSize));
    if (version > 1 && (this.#number(at + 1, 1) & 3) !== 0) return [name, undefined];
    const typeAt = start + padded(nameSize);
    const spaceAt = typeAt + padded(typeSize);
    const type = this.#type(typeAt);
    const shape = this.#shape(spaceAt);
    if (!type.text || !shape || shape.length > 1) return [name, undefined];
    const count = sizeOf(shape);
    const data = spaceAt + padded(spaceSize);
    const texts: string[] = [];
    this.#step(count);
    for (let i = 0; i < count; i++) {
      const position = data + i * type.size;
      texts.push(
        this.#text(
          type.text === "fixed" ? this.#slice(position, type.size) : this.#fromHeap(position),
        ),
      );
    }
    return [name, shape.length === 0 ? texts[0] : texts];
  }

  /** A text of any length, which lies in a heap of the whole file. */
  #fromHeap(at: Place): Uint8Array {
    const length = this.#number(at, 4);
    const heap = this.#offset(at + 4);
    const wanted = this.#number(at + 4 + this.#offsetSize, 4);
    if (length === 0 || heap === 0) return new Uint8Array(0);
    this.#expect(heap, "GCOL");
    const end = heap + this.#length(heap + 8);
    let position = heap + 8 + this.#lengthSize;
    while (position + 8 + this.#lengthSize <= end) {
      this.#step();
      const index = this.#number(position, 2);
      const size = this.#length(position + 8);
      if (index === wanted) {
        return this.#slice(position + 8 + this.#lengthSize, Math.min(length, size));
      }
      if (index === 0) break;
      position += 8 + this.#lengthSize + Math.ceil(size / 8) * 8;
    }
    throw malformed(`text ${wanted} is missing in its heap`);
  }

  #type(at: Place): Type {
    const head = this.#number(at, 1);
    const size = this.#number(at + 4, 4);
    const bits = this.#number(at + 1, 1);
    const named = (name: string) => ({ size, number: ELEMENT_TYPES.get(name) });
    switch (head & 15) {
      case 0:
        return (bits & 1) === 0 ? named(`${bits & 8 ? "I" : "U"}${8 * size}`) : { size };
      case 1:
        return (bits & 1) === 0 ? named(`F${8 * size}`) : { size };
      case 3:
        return { size, text: "fixed" };
      case 9:
        return (bits & 15) === 1 ? { size, text: "variable" } : { size };
      default:
        return { size };
    }
  }

  /** Undefined for nothing at all. */
  #shape(at: Place): number[] | undefined {
    const version = this.#number(at, 1);
    const rank = this.#number(at + 1, 1);
    if (version < 1 || version > 2) throw malformed(`a shape of version ${version}`);
    if (rank > MOST_AXES) throw malformed(`an array of ${rank} axes`);
    if (version === 2 && this.#number(at + 3, 1) === 2) return undefined;
    const start = at + (version === 1 ? 8 : 4);
    return Array.from({ length: rank }, (_, i) => this.#length(start + i * this.#lengthSize));
  }

  #array(messages: readonly Message[], layout: Message): Hdf5Array {
    const needed = (type: number, what: string) => {
      const found = messages.find((message) => message.type === type);
      if (!found) throw malformed(`an array has no ${what}`);
      return found.at;
    };
    if (messages.some(({ type }) => type === MESSAGE.external)) {
      throw unread("an array in another file");
    }
    const type = this.#type(needed(MESSAGE.datatype, "type"));
    const shape = this.#shape(needed(MESSAGE.dataspace, "shape")) ?? [0];
    const filters = messages.find((message) => message.type === MESSAGE.filters);
    const bytes = sizeOf(shape) * type.size;
    return {
      shape,
      type: type.number,
      read: () => {
        const content = this.#content(layout, shape, type.size, bytes, filters);
        if (content.length < bytes) {
          throw malformed(`an array of ${bytes} bytes has ${content.length}`);
        }
        return content.subarray(0, bytes);
      },
    };
  }

  #content(
    { at }: Message,
    shape: readonly number[],
    elementBytes: number,
    bytes: number,
    filters: Message | undefined,
  ): Uint8Array {
    if (bytes === 0) return new Uint8Array(0);
    const version = this.#number(at, 1);
    if (version !== 3 && version !== 4) throw unread(`a layout of version ${version}`);
    switch (this.#number(at + 1, 1)) {
      case 0:
        return this.#slice(at + 4, this.#number(at + 2, 2));
      case 1: {
        const place = this.#offset(at + 2);
        if (place === UNDEFINED) return this.#zeros(bytes);
        return this.#slice(place, this.#length(at + 2 + this.#offsetSize));
      }
      case 2:
        break;
      default:
        throw unread("an array of another layout");
    }
    if (version === 4) throw unread("chunks with an index of a new version");
    const rank = this.#number(at + 2, 1) - 1;
    if (rank !== shape.length) throw malformed("chunks have other axes than their array");
    const first = at + 3 + this.#offsetSize;
    const extents = shape.map((_, i) => this.#number(first + 4 * i, 4));
    if (extents.some((extent) => extent === 0)) throw malformed("chunks have no elements");
    const pipeline = filters ? this.#pipeline(filters.at) : [];
    const target = this.#zeros(bytes);
    const keyBytes = 8 + 8 * (rank + 1);
    const chunkBytes = sizeOf(extents) * elementBytes;
    let left = bytes;
    this.#walk(this.#offset(at + 3), 1, (place, key) => {
      const stored = this.#slice(place, this.#number(key, 4));
      const skipped = this.#number(key + 4, 4);
      const start = shape.map((_, i) => this.#number(key + 8 + 8 * i, 8));
      const chunk = this.#unfiltered(stored, pipeline, skipped, chunkBytes, elementBytes);
      left -= this.#put(target, shape, chunk, extents, start, elementBytes);
      if (left < 0) throw malformed("chunks of an array lie upon each other");
    }, keyBytes);
    return target;
  }

  #zeros(bytes: number): Uint8Array {
    this.#charge(bytes);
    return new Uint8Array(bytes);
  }

  #charge(bytes: number): void {
    this.#inflated += bytes;
    if (!(this.#inflated <= MOST_INFLATED_BYTES)) {
      throw new WeightFileError(
        `arrays of at most ${MOST_INFLATED_BYTES} bytes are put together from chunks, this file has more`,
      );
    }
  }

  /** Numbers of the filters, in the order in which they were applied. */
  #pipeline(at: Place): number[] {
    const version = this.#number(at, 1);
    const count = this.#number(at + 1, 1);
    let position = at + (version === 1 ? 8 : 2);
    return Array.from({ length: count }, () => {
      this.#step();
      const id = this.#number(position, 2);
      const hasName = version === 1 || id >= 256;
      const nameBytes = hasName ? this.#number(position + 2, 2) : 0;
      position += hasName ? 4 : 2;
      const values = this.#number(position + 2, 2);
      position += 4 + (version === 1 ? Math.ceil(nameBytes / 8) * 8 : nameBytes) + 4 * values;
      if (version === 1 && values % 2 === 1) position += 4;
      return id;
    });
  }

  #unfiltered(
    stored: Uint8Array,
    pipeline: readonly number[],
    skipped: number,
    chunkBytes: number,
    elementBytes: number,
  ): Uint8Array {
    let bytes = stored;
    for (let i = pipeline.length - 1; i >= 0; i--) {
      if (skipped & (1 << i)) continue;
      this.#charge(chunkBytes);
      if (pipeline[i] === 1) bytes = inflated(bytes, chunkBytes);
      else if (pipeline[i] === 2) bytes = unshuffled(bytes, elementBytes);
      else if (pipeline[i] === 3) bytes = bytes.subarray(0, Math.max(0, bytes.length - 4));
      else throw unread(`compression by filter ${pipeline[i]}`);
    }
    if (bytes.length < chunkBytes) {
      throw malformed(`a chunk of ${chunkBytes} bytes has ${bytes.length}`);
    }
    return bytes;
  }

  /** Puts the part of a chunk that lies within the array into it, row by row; returns its bytes. */
  #put(
    target: Uint8Array,
    shape: readonly number[],
    chunk: Uint8Array,
    extents: readonly number[],
    start: readonly number[],
    elementBytes: number,
  ): number {
    const rank = shape.length;
    const inside = extents.map((extent, i) => Math.min(extent, shape[i] - start[i]));
    if (inside.some((extent) => !(extent > 0))) return 0;
    const last = rank - 1;
    const rows = rank === 0 ? 1 : sizeOf(inside.slice(0, last));
    this.#step(rows);
    const rowBytes = (rank === 0 ? 1 : inside[last]) * elementBytes;
    const index = new Array<number>(rank).fill(0);
    for (let row = 0; row < rows; row++) {
      let [from, to] = [0, 0];
      for (let axis = 0; axis < rank; axis++) {
        from = from * extents[axis] + index[axis];
        to = to * shape[axis] + start[axis] + index[axis];
      }
      target.set(
        chunk.subarray(from * elementBytes, from * elementBytes + rowBytes),
        to * elementBytes,
      );
      for (let axis = last - 1; axis >= 0; axis--) {
        if (++index[axis] < inside[axis]) break;
        index[axis] = 0;
      }
    }
    return rows * rowBytes;
  }
}

function inflated(bytes: Uint8Array, most: number): Uint8Array {
  try {
    return inflate(bytes, most, true);
  } catch (error) {
    throw malformed(`a chunk can't be inflated: ${(error as Error).message}`, error);
  }
}

/** First bytes of all elements, then second ones, and so on, put back. */
function unshuffled(bytes: Uint8Array, width: number): Uint8Array {
  const count = Math.floor(bytes.length / width);
  const result = new Uint8Array(bytes.length);
  for (let i = 0; i < count; i++) {
    for (let j = 0; j < width; j++) result[i * width + j] = bytes[j * count + i];
  }
  result.set(bytes.subarray(count * width), count * width);
  return result;
}
