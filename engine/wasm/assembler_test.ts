import { assertEquals, assertStrictEquals } from "@std/assert";
import {
  add,
  below,
  type Code,
  copyBytes,
  duplicate,
  fillZero,
  float4,
  forRange,
  get,
  iadd,
  idiv,
  imul,
  int,
  load,
  loadInt,
  minimum,
  Module,
  plainMultiplyAdd,
  relaxedMultiplyAdd,
  repeat,
  set,
  store,
  storeInt,
  when,
} from "./assembler.ts";

/** Runs code that gets two integers and a memory of one page; returns the memory. */
function run(code: (a: Code, b: Code) => Code, a = 0, b = 0, floats: number[] = []): ArrayBuffer {
  const module = new Module(1, 1);
  module.function("run", ["i32", "i32"], (_, a, b) => code(get(a), get(b)));
  const memory = new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true });
  new Float32Array(memory.buffer).set(floats);
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(module.build()), {
    env: { memory },
  });
  (exports.run as (a: number, b: number) => void)(a, b);
  return memory.buffer as unknown as ArrayBuffer;
}

const word = (memory: ArrayBuffer, at = 0) => new Uint32Array(memory)[at];
const floats = (memory: ArrayBuffer, at: number, count: number) => [
  ...new Float32Array(memory, at, count),
];

// Around each change in the number of bytes of a signed LEB128.
for (const value of [0, 1, 63, 64, -64, -65, 8191, 8192, 2 ** 31 - 1, -(2 ** 31), 3_000_000_000]) {
  Deno.test(`the literal ${value} is encoded as itself modulo 2^32`, () => {
    assertStrictEquals(word(run(() => storeInt(int(0), int(value)))), value >>> 0);
  });
}

Deno.test("integers are unsigned: division, comparison and the smaller of two", () => {
  const large = 0xfffffff0;
  const divided = run((a, b) => storeInt(int(0), idiv(a, b)), large, 16);
  assertStrictEquals(word(divided), 0x0fffffff);
  const smaller = run((a, b) => storeInt(int(0), minimum(a, b)), large, 7);
  assertStrictEquals(word(smaller), 7);
  const isBelow = run((a, b) => when(below(a, b), storeInt(int(0), int(1))), large, 7);
  assertStrictEquals(word(isBelow), 0);
});

Deno.test("forRange runs its body for from, from + step, ... below to, and not at all past it", () => {
  const sum = (from: number, to: number) => {
    const module = new Module(1, 1);
    module.function("run", [], (f) => {
      const i = f.i32();
      const body = storeInt(int(0), iadd(loadInt(int(0)), get(i)));
      return forRange(i, int(from), int(to), 3, body);
    });
    const memory = new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true });
    const { exports } = new WebAssembly.Instance(new WebAssembly.Module(module.build()), {
      env: { memory },
    });
    (exports.run as () => void)();
    return new Uint32Array(memory.buffer)[0];
  };
  assertStrictEquals(sum(1, 10), 1 + 4 + 7);
  assertStrictEquals(sum(1, 11), 1 + 4 + 7 + 10);
  assertStrictEquals(sum(5, 5), 0);
});

Deno.test("loops nest", () => {
  const module = new Module(1, 1);
  module.function("run", [], (f) => {
    const [i, j] = [f.i32(), f.i32()];
    const cell = imul(iadd(imul(get(i), int(4)), get(j)), int(4));
    return repeat(i, 3, repeat(j, 4, storeInt(cell, iadd(get(i), imul(get(j), int(10))))));
  });
  const memory = new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true });
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(module.build()), {
    env: { memory },
  });
  (exports.run as () => void)();
  const expected = [0, 10, 20, 30, 1, 11, 21, 31, 2, 12, 22, 32, 0];
  assertEquals([...new Uint32Array(memory.buffer, 0, 13)], expected);
});

Deno.test("vectors: lanes, multiply-add in both forms, offsets past one byte", () => {
  const values = [1, 2, 3, 4];
  const lane = run(() => store(int(0), duplicate(load(int(0)), 2), 1000), 0, 0, values);
  assertEquals(floats(lane, 1000, 4), [3, 3, 3, 3]);
  for (const multiplyAdd of [plainMultiplyAdd, relaxedMultiplyAdd]) {
    const code = () => store(int(0), multiplyAdd(load(int(0)), float4(2), float4(0.5)), 16);
    assertEquals(floats(run(code, 0, 0, values), 16, 4), [2.5, 4.5, 6.5, 8.5]);
  }
});

Deno.test("bytes are copied and cleared", () => {
  const memory = run(
    () => [
      copyBytes(int(32), int(0), int(16)),
      fillZero(int(4), int(8)),
      store(int(48), add(load(int(32)), float4(1))),
    ],
    0,
    0,
    [1, 2, 3, 4],
  );
  assertEquals(floats(memory, 0, 4), [1, 0, 0, 4]);
  assertEquals(floats(memory, 32, 8), [1, 2, 3, 4, 2, 3, 4, 5]);
});

Deno.test("a function of a name that is there is not emitted twice", () => {
  const module = new Module(1, 1);
  const body = () => set({ index: 0, type: "i32" }, int(1));
  const first = module.function("same", ["i32"], body);
  assertEquals(module.function("same", ["i32"], body), first);
  assertEquals(module.function("other", ["i32"], body).index, first.index + 1);
});
