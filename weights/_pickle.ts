/**
 * A reader of Python pickles that runs nothing: it builds containers, numbers
 * and strings, and whatever the caller's table of globals offers. Every other
 * global is refused by name before it could be called.
 *
 * The opcodes are those that `torch.save` writes (protocols 2 to 5). Source:
 * CPython's Lib/pickletools.py, which defines each opcode. Lists and tuples
 * become arrays, dicts become Maps, and integers beyond 2^53 bigints.
 */
import { quote } from "../text/mod.ts";
import { WeightFileError } from "../resnet/mod.ts";

/** Something that a pickle may name; with `call`, it may also be called. */
export class PickleGlobal {
  constructor(
    /** As `module.name`. */
    readonly name: string,
    readonly call?: (parameters: readonly unknown[]) => unknown,
  ) {}
}

/** What a pickle may ask of its reader. */
export interface PickleEnvironment {
  /** By their names. */
  readonly globals: ReadonlyMap<string, PickleGlobal>;
  /** The object behind a persistent id. */
  readonly persistent: (id: unknown) => unknown;
}

/** A value and where the next one begins. */
export interface Unpickled {
  readonly value: unknown;
  readonly end: number;
}

/**
 * Each operation may allocate about 200 bytes, so this bounds the memory.
 * ResNet-1202 with its momentum takes some 330,000.
 */
const MOST_OPERATIONS = 500_000;
/** As text takes twice its bytes in memory, this bounds it too. */
const LONGEST_PICKLE = 16 * 1024 * 1024;
const HIGHEST_PROTOCOL = 5;
/** Characters of a module or class; what is longer is no name. */
const LONGEST_NAME = 1000;

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Opcodes by name; pickletools gives their meaning. */
const OPCODES = {
  PROTO: 0x80,
  FRAME: 0x95,
  STOP: 0x2e,
  MARK: 0x28,
  POP: 0x30,
  NONE: 0x4e,
  NEWTRUE: 0x88,
  NEWFALSE: 0x89,
  BININT: 0x4a,
  BININT1: 0x4b,
  BININT2: 0x4d,
  LONG1: 0x8a,
  BINFLOAT: 0x47,
  BINUNICODE: 0x58,
  SHORT_BINUNICODE: 0x8c,
  BINSTRING: 0x54,
  SHORT_BINSTRING: 0x55,
  EMPTY_LIST: 0x5d,
  APPEND: 0x61,
  APPENDS: 0x65,
  EMPTY_DICT: 0x7d,
  SETITEM: 0x73,
  SETITEMS: 0x75,
  EMPTY_TUPLE: 0x29,
  TUPLE: 0x74,
  TUPLE1: 0x85,
  TUPLE2: 0x86,
  TUPLE3: 0x87,
  BINPUT: 0x71,
  LONG_BINPUT: 0x72,
  MEMOIZE: 0x94,
  BINGET: 0x68,
  LONG_BINGET: 0x6a,
  BINPERSID: 0x51,
  GLOBAL: 0x63,
  STACK_GLOBAL: 0x93,
  REDUCE: 0x52,
  BUILD: 0x62,
  NEWOBJ: 0x81,
  NEWOBJ_EX: 0x92,
  INST: 0x69,
} as const;

/**
 * Reads the pickle that begins at `start`.
 *
 * @throws {WeightFileError} If it is malformed, too large, or asks for anything
 *   outside of `environment`.
 */
export function unpickle(
  bytes: Uint8Array,
  start: number,
  environment: PickleEnvironment,
): Unpickled {
  return new Unpickler(bytes, start, environment).run();
}

class Unpickler {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #environment: PickleEnvironment;
  readonly #start: number;
  readonly #limit: number;
  #position: number;
  readonly #stack: unknown[] = [];
  /** Heights of the stack at which MARKs stand. */
  readonly #marks: number[] = [];
  readonly #memo = new Map<number, unknown>();

  constructor(bytes: Uint8Array, start: number, environment: PickleEnvironment) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#environment = environment;
    this.#start = this.#position = start;
    this.#limit = Math.min(bytes.length, start + LONGEST_PICKLE);
  }

  run(): Unpickled {
    for (let operation = 0; operation < MOST_OPERATIONS; operation++) {
      const opcode = this.#unsigned(1);
      if (opcode === OPCODES.STOP) {
        const value = this.#pop();
        if (this.#stack.length > 0 || this.#marks.length > 0) {
          throw this.#malformed("values are left over at its end");
        }
        return { value, end: this.#position };
      }
      this.#execute(opcode);
    }
    throw this.#malformed(`it has more than ${MOST_OPERATIONS} operations`);
  }

  #execute(opcode: number): void {
    switch (opcode) {
      case OPCODES.PROTO: {
        const protocol = this.#unsigned(1);
        if (protocol > HIGHEST_PROTOCOL) {
          throw this.#malformed(
            `protocols up to ${HIGHEST_PROTOCOL} are read, this is ${protocol}`,
          );
        }
        return;
      }
      case OPCODES.FRAME:
        // Frames only help to read ahead.
        this.#take(8);
        return;
      case OPCODES.MARK:
        this.#marks.push(this.#stack.length);
        return;
      case OPCODES.POP:
        this.#pop();
        return;

      case OPCODES.NONE:
        return this.#push(null);
      case OPCODES.NEWTRUE:
        return this.#push(true);
      case OPCODES.NEWFALSE:
        return this.#push(false);
      case OPCODES.BININT:
        return this.#push(this.#view.getInt32(this.#take(4), true));
      case OPCODES.BININT1:
        return this.#push(this.#unsigned(1));
      case OPCODES.BININT2:
        return this.#push(this.#unsigned(2));
      case OPCODES.LONG1:
        return this.#push(this.#integer(this.#unsigned(1)));
      case OPCODES.BINFLOAT:
        return this.#push(this.#view.getFloat64(this.#take(8), false));
      case OPCODES.BINUNICODE:
      case OPCODES.BINSTRING:
        return this.#push(this.#text(this.#unsigned(4)));
      case OPCODES.SHORT_BINUNICODE:
      case OPCODES.SHORT_BINSTRING:
        return this.#push(this.#text(this.#unsigned(1)));

      case OPCODES.EMPTY_LIST:
      case OPCODES.EMPTY_TUPLE:
        return this.#push([]);
      case OPCODES.TUPLE:
        return this.#push(this.#popToMark());
      case OPCODES.TUPLE1:
      case OPCODES.TUPLE2:
      case OPCODES.TUPLE3:
        return this.#push(this.#popMany(opcode - OPCODES.TUPLE1 + 1));
      case OPCODES.APPEND:
        return this.#append(this.#popMany(1));
      case OPCODES.APPENDS:
        return this.#append(this.#popToMark());
      case OPCODES.EMPTY_DICT:
        return this.#push(new Map());
      case OPCODES.SETITEM:
        return this.#setItems(this.#popMany(2));
      case OPCODES.SETITEMS:
        return this.#setItems(this.#popToMark());

      case OPCODES.BINPUT:
        return this.#memorise(this.#unsigned(1));
      case OPCODES.LONG_BINPUT:
        return this.#memorise(this.#unsigned(4));
      case OPCODES.MEMOIZE:
        return this.#memorise(this.#memo.size);
      case OPCODES.BINGET:
        return this.#recall(this.#unsigned(1));
      case OPCODES.LONG_BINGET:
        return this.#recall(this.#unsigned(4));

      case OPCODES.BINPERSID:
        return this.#push(this.#environment.persistent(this.#pop()));
      case OPCODES.GLOBAL:
        return this.#push(this.#global(this.#line(), this.#line()));
      case OPCODES.STACK_GLOBAL: {
        const [module, name] = this.#popMany(2);
        return this.#push(this.#global(module, name));
      }
      case OPCODES.REDUCE: {
        const [callable, parameters] = this.#popMany(2);
        return this.#push(this.#call(callable, parameters));
      }
      case OPCODES.BUILD: {
        // A state dict carries its modules' versions as an attribute of the dict.
        this.#pop();
        if (!(this.#top() instanceof Map)) {
          throw this.#malformed("only a dict may be given attributes");
        }
        return;
      }
      case OPCODES.NEWOBJ:
      case OPCODES.NEWOBJ_EX: {
        const [type] = this.#popMany(opcode === OPCODES.NEWOBJ ? 2 : 3);
        throw this.#refused(`an object of ${this.#nameOf(type)}`);
      }
      case OPCODES.INST:
        throw this.#refused(`an object of ${quote(`${this.#line()}.${this.#line()}`)}`);
      default:
        throw this.#malformed(
          `the operation 0x${opcode.toString(16).padStart(2, "0")} before byte ${
            this.#position - this.#start
          } is none that torch.save writes`,
        );
    }
  }

  #push(value: unknown): void {
    this.#stack.push(value);
  }

  #pop(): unknown {
    return this.#popMany(1)[0];
  }

  /** The uppermost values, in the order in which they were pushed. */
  #popMany(count: number): unknown[] {
    if (this.#stack.length - count < (this.#marks.at(-1) ?? 0)) {
      throw this.#malformed(`it takes ${count} values where fewer are there`);
    }
    return this.#stack.splice(this.#stack.length - count);
  }

  #popToMark(): unknown[] {
    const mark = this.#marks.pop();
    if (mark === undefined) throw this.#malformed("it has no mark where one is needed");
    return this.#stack.splice(mark);
  }

  #top(): unknown {
    if (this.#stack.length <= (this.#marks.at(-1) ?? 0)) {
      throw this.#malformed("it looks at a value where none is there");
    }
    return this.#stack.at(-1);
  }

  #append(items: readonly unknown[]): void {
    const list = this.#top();
    if (!Array.isArray(list)) throw this.#malformed("only a list can be appended to");
    for (const item of items) list.push(item);
  }

  #setItems(items: readonly unknown[]): void {
    const dict = this.#top();
    if (!(dict instanceof Map)) throw this.#malformed("only a dict can be given items");
    if (items.length % 2 !== 0) throw this.#malformed("a dict's key has no value");
    for (let i = 0; i < items.length; i += 2) dict.set(items[i], items[i + 1]);
  }

  #memorise(key: number): void {
    this.#memo.set(key, this.#top());
  }

  #recall(key: number): void {
    if (!this.#memo.has(key)) throw this.#malformed(`it recalls value ${key}, which it never kept`);
    this.#push(this.#memo.get(key));
  }

  #global(module: unknown, name: unknown): PickleGlobal {
    if (typeof module !== "string" || typeof name !== "string") {
      throw this.#malformed("a global's name is no text");
    }
    const full = `${module}.${name}`;
    const found = this.#environment.globals.get(full);
    if (!found) throw this.#refused(quote(full));
    return found;
  }

  #call(callable: unknown, parameters: unknown): unknown {
    const call = callable instanceof PickleGlobal ? callable.call : undefined;
    if (!call) throw this.#refused(`a call of ${this.#nameOf(callable)}`);
    if (!Array.isArray(parameters)) throw this.#malformed("the arguments of a call are no tuple");
    return call(parameters);
  }

  #nameOf(value: unknown): string {
    return value instanceof PickleGlobal ? quote(value.name) : `a value of type ${typeof value}`;
  }

  /** Moves on by `count` bytes and returns where they begin. */
  #take(count: number): number {
    const at = this.#position;
    if (at + count > this.#limit) {
      throw this.#malformed(
        `it needs byte ${at + count - this.#start} of ${
          this.#limit - this.#start
        }; the file is cut off or too large`,
      );
    }
    this.#position += count;
    return at;
  }

  #unsigned(bytes: 1 | 2 | 4): number {
    const at = this.#take(bytes);
    if (bytes === 1) return this.#view.getUint8(at);
    return bytes === 2 ? this.#view.getUint16(at, true) : this.#view.getUint32(at, true);
  }

  /** Little-endian two's complement of up to 255 bytes. */
  #integer(bytes: number): number | bigint {
    const at = this.#take(bytes);
    let value = 0n;
    for (let i = bytes - 1; i >= 0; i--) value = value << 8n | BigInt(this.#bytes[at + i]);
    value = BigInt.asIntN(8 * bytes, value);
    const number = Number(value);
    return Number.isSafeInteger(number) ? number : value;
  }

  #text(bytes: number): string {
    const at = this.#take(bytes);
    try {
      return utf8.decode(this.#bytes.subarray(at, at + bytes));
    } catch (error) {
      throw this.#malformed("a text is not UTF-8", error);
    }
  }

  /** Text up to a line feed. */
  #line(): string {
    const end = this.#bytes.indexOf(0x0a, this.#position);
    if (end < 0 || end - this.#position > LONGEST_NAME) {
      throw this.#malformed("a global's name has no end");
    }
    const text = this.#text(end - this.#position);
    this.#take(1);
    return text;
  }

  #refused(what: string): WeightFileError {
    return new WeightFileError(
      `the pickle asks for ${what}, and only tensors, containers, numbers and strings are built from a weight file; save the model's state_dict() alone`,
    );
  }

  #malformed(reason: string, cause?: unknown): WeightFileError {
    return new WeightFileError(`not a well-formed pickle: ${reason}`, { cause });
  }
}
