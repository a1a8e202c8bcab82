/**
 * A reader of Python pickles that runs nothing: it builds containers, numbers
 * and strings, and what the caller's table of globals offers. Every other
 * object becomes an {@linkcode InertObject}: the name of its class and what it
 * would be made from. No global is ever looked up anywhere.
 *
 * All opcodes of protocols 0 to 5 are read, but for buffers outside of the
 * stream and the registry of extensions. Source: CPython's Lib/pickletools.py,
 * which defines each opcode. Lists, tuples and sets become arrays, dicts Maps,
 * bytes Uint8Arrays, and integers beyond 2^53 bigints.
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

/** An object of a class that is not known here: what it is called and what it holds. */
export class InertObject {
  /** Its attributes, as BUILD gives them: mostly a dict. */
  state: unknown = undefined;
  /** Its items, where it is a kind of list. */
  list?: unknown[];
  /** Its entries, where it is a kind of dict. */
  entries?: Map<unknown, unknown>;

  constructor(
    /** The class or function, as `module.name`. */
    readonly name: string,
    /** What it would be called with. */
    readonly parameters: readonly unknown[],
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
 * What runs code or reaches out of the process. Nothing would be called here,
 * but no file of weights has a use for it: a file that names it attacks those
 * who load it elsewhere. Safety does not rest on this list.
 */
const HOSTILE = new RegExp(
  "^(" + [
    "os|posix|nt|subprocess|pty|sys|runpy|importlib|ctypes|socket|shutil|webbrowser|pickle|_pickle",
    "(builtins|__builtin__)\\.(eval|exec|execfile|compile|open|file|input|apply|__import__|globals)",
    "torch\\.(load|hub|jit\\.load|ops|serialization)",
    "constructor",
  ].join("|") + ")(\\.|$)",
);

/**
 * Bytes that what is made may take, by `costOf`. ResNet-1202 with its momentum takes 35 MB, a
 * history of 64,000 losses that are tensors 154.
 */
const MOST_BYTES = 200_000_000;
/** As text takes twice its bytes in memory, this bounds it too. */
const LONGEST_PICKLE = 16 * 1024 * 1024;
const HIGHEST_PROTOCOL = 5;
/** Characters of a module or class; what is longer is no name. */
const LONGEST_NAME = 1000;
/** Bytes of a whole number: the states of random generators are lists of shorter ones. */
const LONGEST_INTEGER = 255;

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Opcodes by name; pickletools gives their meaning. */
const OPCODES = {
  INT: 0x49,
  LONG: 0x4c,
  FLOAT: 0x46,
  STRING: 0x53,
  UNICODE: 0x56,
  LIST: 0x6c,
  DICT: 0x64,
  PUT: 0x70,
  GET: 0x67,
  DUP: 0x32,
  POP_MARK: 0x31,
  PERSID: 0x50,
  OBJ: 0x6f,
  BINBYTES: 0x42,
  SHORT_BINBYTES: 0x43,
  BINBYTES8: 0x8e,
  BYTEARRAY8: 0x96,
  BINUNICODE8: 0x8d,
  EMPTY_SET: 0x8f,
  ADDITEMS: 0x90,
  FROZENSET: 0x91,
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
  LONG4: 0x8b,
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

/** About what an operation keeps in memory, in bytes, as V8 of Deno 2.9 does; without texts. */
function costOf(opcode: number): number {
  switch (opcode) {
    case OPCODES.EMPTY_DICT:
    case OPCODES.DICT:
    case OPCODES.REDUCE:
    case OPCODES.NEWOBJ:
    case OPCODES.NEWOBJ_EX:
    case OPCODES.OBJ:
    case OPCODES.INST:
    case OPCODES.PERSID:
    case OPCODES.BINPERSID:
      return 256;
    case OPCODES.EMPTY_LIST:
    case OPCODES.EMPTY_TUPLE:
    case OPCODES.EMPTY_SET:
    case OPCODES.TUPLE:
    case OPCODES.LIST:
    case OPCODES.FROZENSET:
    case OPCODES.TUPLE1:
    case OPCODES.TUPLE2:
    case OPCODES.TUPLE3:
    case OPCODES.GLOBAL:
    case OPCODES.STACK_GLOBAL:
    case OPCODES.BINPUT:
    case OPCODES.LONG_BINPUT:
    case OPCODES.MEMOIZE:
    case OPCODES.PUT:
    case OPCODES.LONG1:
    case OPCODES.LONG4:
      return 128;
    default:
      return 32;
  }
}

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
    for (let bytes = 0; bytes <= MOST_BYTES;) {
      const opcode = this.#unsigned(1);
      bytes += costOf(opcode);
      if (opcode === OPCODES.STOP) {
        const value = this.#pop();
        if (this.#stack.length > 0 || this.#marks.length > 0) {
          throw this.#malformed("values are left over at its end");
        }
        return { value, end: this.#position };
      }
      this.#execute(opcode);
    }
    throw new WeightFileError(
      `the pickle makes objects of more than ${MOST_BYTES} bytes; save the state_dict() alone, without what the training kept beside it`,
    );
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
        // A mark may be popped as a value is.
        if (this.#stack.length === this.#marks.at(-1)) this.#marks.pop();
        else this.#pop();
        return;
      case OPCODES.POP_MARK:
        this.#popToMark();
        return;
      case OPCODES.DUP:
        return this.#push(this.#top());

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
      case OPCODES.LONG4:
        return this.#push(this.#integer(this.#unsigned(4)));
      case OPCODES.INT: {
        const text = this.#line();
        // Protocol 0 writes booleans so.
        if (text === "00" || text === "01") return this.#push(text === "01");
        return this.#push(this.#decimal(text));
      }
      case OPCODES.LONG:
        return this.#push(this.#decimal(this.#line().replace(/L$/, "")));
      case OPCODES.FLOAT:
        return this.#push(Number(this.#line()));
      case OPCODES.STRING:
        return this.#push(this.#line(this.#limit).replace(/^(['"])(.*)\1$/s, "$2"));
      case OPCODES.UNICODE:
        return this.#push(this.#line(this.#limit));
      case OPCODES.BINBYTES:
        return this.#push(this.#content(this.#unsigned(4)));
      case OPCODES.SHORT_BINBYTES:
        return this.#push(this.#content(this.#unsigned(1)));
      case OPCODES.BINBYTES8:
      case OPCODES.BYTEARRAY8:
        return this.#push(this.#content(this.#length8()));
      case OPCODES.BINUNICODE8:
        return this.#push(this.#text(this.#length8()));
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
      case OPCODES.EMPTY_SET:
        return this.#push([]);
      case OPCODES.TUPLE:
      case OPCODES.LIST:
      case OPCODES.FROZENSET:
        return this.#push(this.#popToMark());
      case OPCODES.TUPLE1:
      case OPCODES.TUPLE2:
      case OPCODES.TUPLE3:
        return this.#push(this.#popMany(opcode - OPCODES.TUPLE1 + 1));
      case OPCODES.APPEND:
        return this.#append(this.#popMany(1));
      case OPCODES.APPENDS:
      case OPCODES.ADDITEMS:
        return this.#append(this.#popToMark());
      case OPCODES.EMPTY_DICT:
        return this.#push(new Map());
      case OPCODES.DICT: {
        const items = this.#popToMark();
        this.#push(new Map());
        return this.#setItems(items);
      }
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
      case OPCODES.PUT:
        return this.#memorise(Number(this.#line()));
      case OPCODES.GET:
        return this.#recall(Number(this.#line()));
      case OPCODES.BINGET:
        return this.#recall(this.#unsigned(1));
      case OPCODES.LONG_BINGET:
        return this.#recall(this.#unsigned(4));

      case OPCODES.BINPERSID:
        return this.#push(this.#environment.persistent(this.#pop()));
      case OPCODES.PERSID:
        return this.#push(this.#environment.persistent(this.#line()));
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
        const state = this.#pop();
        const object = this.#top();
        // A state dict carries its modules' versions as an attribute of the dict.
        if (object instanceof InertObject) object.state = state;
        else if (!(object instanceof Map || Array.isArray(object))) {
          throw this.#malformed("only an object may be given attributes");
        }
        return;
      }
      case OPCODES.NEWOBJ:
      case OPCODES.NEWOBJ_EX: {
        const [type, parameters] = this.#popMany(opcode === OPCODES.NEWOBJ ? 2 : 3);
        return this.#push(this.#call(type, parameters));
      }
      case OPCODES.OBJ: {
        const [type, ...parameters] = this.#popToMark();
        return this.#push(this.#call(type, parameters));
      }
      case OPCODES.INST: {
        const type = this.#global(this.#line(), this.#line());
        return this.#push(this.#call(type, this.#popToMark()));
      }
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
    const target = this.#top();
    const list = target instanceof InertObject ? target.list ??= [] : target;
    if (!Array.isArray(list)) throw this.#malformed("only a list can be appended to");
    for (const item of items) list.push(item);
  }

  #setItems(items: readonly unknown[]): void {
    const target = this.#top();
    const dict = target instanceof InertObject ? target.entries ??= new Map() : target;
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
    if (HOSTILE.test(full)) {
      throw new WeightFileError(
        `the pickle asks for ${
          quote(full)
        }, for which no file of weights has a use: it would run a program of the file's author where it is loaded. Do not load it elsewhere; get the weights from another source`,
      );
    }
    return this.#environment.globals.get(full) ?? new PickleGlobal(full);
  }

  /** What a known global makes of its parameters; of any other, an object that does nothing. */
  #call(callable: unknown, parameters: unknown): unknown {
    if (!Array.isArray(parameters)) throw this.#malformed("the arguments of a call are no tuple");
    if (callable instanceof PickleGlobal) {
      return callable.call ? callable.call(parameters) : new InertObject(callable.name, parameters);
    }
    if (callable instanceof InertObject) {
      return new InertObject(`${callable.name}(...)`, parameters);
    }
    throw this.#malformed(`it calls a value of type ${typeof callable}`);
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

  /** Little-endian two's complement. */
  #integer(bytes: number): number | bigint {
    if (bytes > LONGEST_INTEGER) throw this.#malformed(`it has a number of ${bytes} bytes`);
    const at = this.#take(bytes);
    let value = 0n;
    for (let i = bytes - 1; i >= 0; i--) value = value << 8n | BigInt(this.#bytes[at + i]);
    return exact(BigInt.asIntN(8 * bytes, value));
  }

  #decimal(text: string): number | bigint {
    if (!/^[+-]?\d{1,600}$/.test(text)) throw this.#malformed(`${quote(text)} is no whole number`);
    return exact(BigInt(text));
  }

  /** A length of 8 bytes. */
  #length8(): number {
    return Number(this.#view.getBigUint64(this.#take(8), true));
  }

  #content(bytes: number): Uint8Array {
    const at = this.#take(bytes);
    return this.#bytes.subarray(at, at + bytes);
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
  #line(longest = LONGEST_NAME): string {
    const end = this.#bytes.indexOf(0x0a, this.#position);
    if (end < 0 || end - this.#position > longest) {
      throw this.#malformed("a name has no end");
    }
    const text = this.#text(end - this.#position);
    this.#take(1);
    return text;
  }

  #malformed(reason: string, cause?: unknown): WeightFileError {
    return new WeightFileError(`not a well-formed pickle: ${reason}`, { cause });
  }
}

function exact(value: bigint): number | bigint {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : value;
}
