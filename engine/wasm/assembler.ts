/**
 * A small assembler for WebAssembly: TypeScript functions that return code.
 *
 * Expressions and statements are both {@link Code}, nested lists of bytes that
 * are flattened once, when the module is built. An expression leaves one value
 * on WebAssembly's stack, a statement none: `set(sum, add(sum, load(p, 16)))`.
 */

/** Bytes of an expression or statement; nested, flattened by {@link Module.build}. */
export type Code = number | readonly Code[];

/** WebAssembly's value types that the kernels use. */
export type ValueType = "i32" | "f32" | "f64" | "v128";

const TYPE_BYTE: Readonly<Record<ValueType, number>> = {
  i32: 0x7f,
  f32: 0x7d,
  f64: 0x7c,
  v128: 0x7b,
};

/** A local variable or parameter of a function. */
export interface Local {
  readonly index: number;
  readonly type: ValueType;
}

/** A function of the module, by its index. */
export interface FunctionReference {
  readonly index: number;
}

/** Bytes of shared memory that a module may address: all of a 32-bit memory. */
export const MAXIMUM_PAGES = 65536;

/** Whether the processor's and V8's relaxed SIMD is there: `a*b+c` in one instruction. */
export function hasRelaxedSimd(): boolean {
  const module = new Module(1, 1);
  const x = float4(1);
  module.function("f", [], () => drop([x, x, x, simd(0x105)]));
  return WebAssembly.validate(module.build());
}

/** A module under construction, with one imported shared memory. */
export class Module {
  readonly #imports: { name: string; type: number }[] = [];
  readonly #functions: { name: string; type: number; locals: ValueType[]; body: Code }[] = [];
  readonly #types: string[] = [];
  readonly #named = new Map<string, FunctionReference>();
  readonly #pages: number;
  readonly #maximum: number;

  /**
   * @param pages 64 KiB pages that the memory has at the start.
   * @param joined Neighbouring vectors that become one register: 2 where V8 joins them to 256
   * bits. Kernels then work on so many at a time, and have as many registers for each.
   */
  constructor(pages: number, maximum = MAXIMUM_PAGES, readonly joined: 1 | 2 = 1) {
    this.#pages = pages;
    this.#maximum = maximum;
  }

  /** Declares a function of JavaScript; before any {@link function}. */
  import(name: string, parameters: readonly ValueType[], result?: ValueType): FunctionReference {
    this.#imports.push({ name, type: this.#type(parameters, result) });
    return { index: this.#imports.length - 1 };
  }

  /**
   * Defines and exports a function, or returns the one of that name: kernels
   * name themselves by their shape, so that layers of one shape share code.
   */
  function(
    name: string,
    parameters: readonly ValueType[],
    body: (f: FunctionBuilder, ...parameters: Local[]) => Code,
  ): FunctionReference {
    const known = this.#named.get(name);
    if (known) return known;
    const builder = new FunctionBuilder(parameters.length);
    const code = body(builder, ...parameters.map((type, index) => ({ index, type })));
    const type = this.#type(parameters);
    this.#functions.push({ name, type, locals: builder.locals, body: code });
    const reference = { index: this.#imports.length + this.#functions.length - 1 };
    this.#named.set(name, reference);
    return reference;
  }

  /** The binary module. */
  build(): Uint8Array<ArrayBuffer> {
    const types = this.#types.map((type) => JSON.parse(type) as number[]);
    const bytes: number[] = [0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00];
    section(bytes, 1, vector(types));
    section(
      bytes,
      2,
      vector([
        [text("env"), text("memory"), 0x02, 0x03, unsigned(this.#pages), unsigned(this.#maximum)],
        ...this.#imports.map(({ name, type }) => [text("env"), text(name), 0x00, unsigned(type)]),
      ]),
    );
    section(bytes, 3, vector(this.#functions.map(({ type }) => unsigned(type))));
    section(
      bytes,
      7,
      vector(this.#functions.map(({ name }, i) => [
        text(name),
        0x00,
        unsigned(this.#imports.length + i),
      ])),
    );
    section(
      bytes,
      10,
      vector(this.#functions.map(({ locals, body }) => {
        const code: number[] = [];
        flatten([vector(locals.map((type) => [1, TYPE_BYTE[type]])), body, 0x0b], code);
        return [unsigned(code.length), code];
      })),
    );
    return new Uint8Array(bytes);
  }

  #type(parameters: readonly ValueType[], result?: ValueType): number {
    const type: number[] = [];
    flatten([
      0x60,
      vector(parameters.map((type) => TYPE_BYTE[type])),
      vector(result ? [TYPE_BYTE[result]] : []),
    ], type);
    const key = JSON.stringify(type);
    const index = this.#types.indexOf(key);
    return index >= 0 ? index : this.#types.push(key) - 1;
  }
}

/** Hands out the locals of one function. */
export class FunctionBuilder {
  readonly locals: ValueType[] = [];
  readonly #parameters: number;

  constructor(parameters: number) {
    this.#parameters = parameters;
  }

  local(type: ValueType): Local {
    this.locals.push(type);
    return { index: this.#parameters + this.locals.length - 1, type };
  }

  i32(): Local {
    return this.local("i32");
  }

  /** `count` vectors of four floats. */
  vectors(count: number): Local[] {
    return Array.from({ length: count }, () => this.local("v128"));
  }
}

// Values and variables.

export const int = (value: number): Code => [0x41, signed(value | 0)];
export const float = (value: number): Code => [
  0x43,
  ...new Uint8Array(new Float32Array([value]).buffer),
];
export const double = (value: number): Code => [
  0x44,
  ...new Uint8Array(new Float64Array([value]).buffer),
];
/** Four equal floats. */
export const float4 = (value: number): Code => [float(value), simd(0x13)];
export const get = (local: Local): Code => [0x20, unsigned(local.index)];
export const set = (local: Local, value: Code): Code => [value, 0x21, unsigned(local.index)];
export const drop = (value: Code): Code => [value, 0x1a];
export const call = (target: FunctionReference, ...values: Code[]): Code => [
  values,
  0x10,
  unsigned(target.index),
];

/** Values that may be given as a local or a literal. */
type Integer = Code | Local;
const value = (x: Integer): Code =>
  typeof x === "object" && "index" in x ? get(x as Local) : x as Code;

// 32-bit integers and addresses.

export const iadd = (a: Integer, b: Integer): Code => [value(a), value(b), 0x6a];
export const isub = (a: Integer, b: Integer): Code => [value(a), value(b), 0x6b];
export const imul = (a: Integer, b: Integer): Code => [value(a), value(b), 0x6c];
export const idiv = (a: Integer, b: Integer): Code => [value(a), value(b), 0x6e];
export const equal = (a: Integer, b: Integer): Code => [value(a), value(b), 0x46];
export const notEqual = (a: Integer, b: Integer): Code => [value(a), value(b), 0x47];
/** Unsigned a < b. */
export const below = (a: Integer, b: Integer): Code => [value(a), value(b), 0x49];
/** The smaller of two unsigned numbers. */
export const minimum = (a: Integer, b: Integer): Code => [value(a), value(b), below(a, b), 0x1b];
/** Adds a literal to a local. */
export const advance = (local: Local, amount: number): Code =>
  amount === 0 ? [] : set(local, iadd(local, int(amount)));

// Memory. `offset` is a literal byte offset.

export const loadInt = (p: Integer, offset = 0): Code => [value(p), 0x28, 2, unsigned(offset)];
export const loadByte = (p: Integer, offset = 0): Code => [value(p), 0x2d, 0, unsigned(offset)];
export const loadFloat = (p: Integer, offset = 0): Code => [value(p), 0x2a, 2, unsigned(offset)];
export const loadDouble = (p: Integer, offset = 0): Code => [value(p), 0x2b, 3, unsigned(offset)];
export const load = (p: Integer, offset = 0): Code => [value(p), simd(0x00), 4, unsigned(offset)];
/** One float from memory in all four lanes. */
export const loadSplat = (p: Integer, offset = 0): Code => [
  value(p),
  simd(0x09),
  2,
  unsigned(offset),
];
export const storeInt = (p: Integer, x: Code, offset = 0): Code => [
  value(p),
  x,
  0x36,
  2,
  unsigned(offset),
];
export const storeFloat = (p: Integer, x: Code, offset = 0): Code => [
  value(p),
  x,
  0x38,
  2,
  unsigned(offset),
];
export const storeDouble = (p: Integer, x: Code, offset = 0): Code => [
  value(p),
  x,
  0x39,
  3,
  unsigned(offset),
];
export const store = (p: Integer, x: Code, offset = 0): Code => [
  value(p),
  x,
  simd(0x0b),
  4,
  unsigned(offset),
];
export const copyBytes = (to: Integer, from: Integer, bytes: Integer): Code => [
  value(to),
  value(from),
  value(bytes),
  [0xfc, 0x0a, 0, 0],
];
export const fillZero = (to: Integer, bytes: Integer): Code => [
  value(to),
  int(0),
  value(bytes),
  [0xfc, 0x0b, 0],
];

// Vectors of four floats.

export const add = (a: Code, b: Code): Code => [a, b, simd(0xe4)];
export const sub = (a: Code, b: Code): Code => [a, b, simd(0xe5)];
export const mul = (a: Code, b: Code): Code => [a, b, simd(0xe6)];
export const div = (a: Code, b: Code): Code => [a, b, simd(0xe7)];
export const sqrt = (a: Code): Code => [a, simd(0xe3)];
/** a < b ? b : a, one instruction; a NaN in `a` stays NaN. */
export const pmax = (a: Code, b: Code): Code => [a, b, simd(0xeb)];
/** The larger one; NaN where one is. */
export const max = (a: Code, b: Code): Code => [a, b, simd(0xe9)];
/** All bits set where a > b. */
export const greater = (a: Code, b: Code): Code => [a, b, simd(0x44)];
export const equalLanes = (a: Code, b: Code): Code => [a, b, simd(0x41)];
export const and = (a: Code, b: Code): Code => [a, b, simd(0x4e)];
/** a where the mask's bits are set, else b. */
export const bitselect = (a: Code, b: Code, mask: Code): Code => [a, b, mask, simd(0x52)];
/** Lane `lane` of `a` in all four lanes. */
export const duplicate = (a: Code, lane: number): Code => {
  const bytes = [0, 1, 2, 3].map((byte) => 4 * lane + byte);
  return [a, a, simd(0x0d), bytes, bytes, bytes, bytes];
};
/** a * b + c: fused where relaxed SIMD is there, else rounded twice. */
export type MultiplyAdd = (a: Code, b: Code, c: Code) => Code;
export const relaxedMultiplyAdd: MultiplyAdd = (a, b, c) => [a, b, c, simd(0x105)];
export const plainMultiplyAdd: MultiplyAdd = (a, b, c) => add(mul(a, b), c);

// Scalars.

export const fadd = (a: Code, b: Code): Code => [a, b, 0x92];
export const fsub = (a: Code, b: Code): Code => [a, b, 0x93];
export const fmul = (a: Code, b: Code): Code => [a, b, 0x94];
export const fgreater = (a: Code, b: Code): Code => [a, b, 0x5e];
export const floatOfInt = (a: Code): Code => [a, 0xb3];
export const splat = (a: Code): Code => [a, simd(0x13)];
export const dadd = (a: Code, b: Code): Code => [a, b, 0xa0];
export const dsub = (a: Code, b: Code): Code => [a, b, 0xa1];
export const dmul = (a: Code, b: Code): Code => [a, b, 0xa2];
export const ddiv = (a: Code, b: Code): Code => [a, b, 0xa3];
export const doubleOfFloat = (a: Code): Code => [a, 0xbb];
export const doubleOfInt = (a: Code): Code => [a, 0xb8];
export const floatOfDouble = (a: Code): Code => [a, 0xb6];

/**
 * The statements of several bodies of equal length in turn: all first ones, all second ones.
 * V8 joins vectors whose code is the same and has nothing between that may not change places,
 * such as a store and a load.
 */
export function inTurn(bodies: readonly (readonly Code[])[]): Code {
  return bodies[0].map((_, i) => bodies.map((body) => body[i]));
}

// Control.

/** for (i = from; i < to; i += step), by unsigned comparison. */
export const forRange = (i: Local, from: Integer, to: Integer, step: number, body: Code): Code => [
  set(i, value(from)),
  [0x02, 0x40, below(i, to), 0x45, 0x0d, 0],
  [0x03, 0x40, body, advance(i, step), below(i, to), 0x0d, 0, 0x0b],
  0x0b,
];
/** Runs the body `count` times with a literal count of at least 1. */
export const repeat = (i: Local, count: number, body: Code): Code =>
  count === 1
    ? [set(i, int(0)), body]
    : [set(i, int(0)), [0x03, 0x40, body, advance(i, 1), below(i, int(count)), 0x0d, 0, 0x0b]];
/** Repeats the body, which ends in the condition to go on. */
export const loopWhile = (body: Code, condition: Code): Code => [
  [0x03, 0x40, body, condition, 0x0d, 0],
  0x0b,
];
export const when = (condition: Code, then: Code, otherwise?: Code): Code => [
  condition,
  [0x04, 0x40, then],
  otherwise === undefined ? [] : [0x05, otherwise],
  0x0b,
];
export const exit: Code = 0x0f;

// Atomics.

export const atomicLoad = (p: Integer): Code => [value(p), [0xfe, 0x10, 2, 0]];
export const atomicStore = (p: Integer, x: Code): Code => [value(p), x, [0xfe, 0x17, 2, 0]];
/** Adds and leaves the value from before. */
export const atomicAdd = (p: Integer, x: Code): Code => [value(p), x, [0xfe, 0x1e, 2, 0]];
/** Sleeps while the word at `p` is `expected`; no time-out. */
export const atomicWait = (p: Integer, expected: Integer): Code =>
  drop([value(p), value(expected), [0x42, 0x7f], [0xfe, 0x01, 2, 0]]);
export const atomicNotifyAll = (p: Integer): Code => drop([value(p), int(-1), [0xfe, 0x00, 2, 0]]);

function simd(opcode: number): Code {
  return [0xfd, unsigned(opcode)];
}

function unsigned(value: number): number[] {
  const bytes: number[] = [];
  do {
    const rest = Math.floor(value / 128);
    bytes.push((value % 128) | (rest > 0 ? 0x80 : 0));
    value = rest;
  } while (value > 0);
  return bytes;
}

function signed(value: number): number[] {
  const bytes: number[] = [];
  while (true) {
    const byte = value & 0x7f;
    value >>= 7;
    if ((value === 0 && !(byte & 0x40)) || (value === -1 && byte & 0x40)) {
      return [...bytes, byte];
    }
    bytes.push(byte | 0x80);
  }
}

function text(value: string): Code {
  const bytes = new TextEncoder().encode(value);
  return [unsigned(bytes.length), ...bytes];
}

function vector(items: readonly Code[]): Code {
  return [unsigned(items.length), items];
}

function section(out: number[], id: number, content: Code): void {
  const bytes: number[] = [];
  flatten(content, bytes);
  out.push(id, ...unsigned(bytes.length));
  for (const byte of bytes) out.push(byte);
}

function flatten(code: Code, out: number[]): void {
  if (typeof code === "number") {
    out.push(code);
    return;
  }
  for (let i = 0; i < code.length; i++) {
    const part = code[i];
    if (typeof part === "number") out.push(part); // most parts are: a call less for each
    else flatten(part, out);
  }
}
