// What the project relies on of @std/assert; the same tests hold for the package itself.
import {
  assert,
  assertAlmostEquals,
  assertArrayIncludes,
  assertEquals,
  assertExists,
  assertFalse,
  assertGreater,
  assertGreaterOrEqual,
  assertInstanceOf,
  AssertionError,
  assertIsError,
  assertLess,
  assertLessOrEqual,
  assertMatch,
  assertNotEquals,
  assertNotMatch,
  assertNotStrictEquals,
  assertObjectMatch,
  assertRejects,
  assertStrictEquals,
  assertStringIncludes,
  assertThrows,
  fail,
  unreachable,
} from "@std/assert";

/** Whether an assertion failed; written without the assertions under test. */
function fails(assertion: () => unknown): boolean {
  try {
    assertion();
  } catch (error) {
    if (error instanceof AssertionError) return true;
    throw error;
  }
  return false;
}

function expect(
  name: string,
  passes: readonly (() => unknown)[],
  failing: readonly (() => unknown)[],
) {
  Deno.test(`@std/assert: ${name}`, () => {
    passes.forEach((assertion, i) => {
      if (fails(assertion)) throw new Error(`${name}: case ${i} must pass`);
    });
    failing.forEach((assertion, i) => {
      if (!fails(assertion)) throw new Error(`${name}: case ${i} must fail`);
    });
  });
}

class Point {
  constructor(readonly x: number) {}
}

/** Its state shows in a getter alone. */
class Hidden {
  readonly #x: number;
  constructor(x: number) {
    this.#x = x;
  }
  get x() {
    return this.#x;
  }
}

const shared = (byte: number) => {
  const bytes = new Uint8Array(new SharedArrayBuffer(1));
  bytes[0] = byte;
  return bytes.buffer;
};
const view = (byte: number) => new DataView(Uint8Array.of(byte).buffer);

expect("assertEquals is deep, with NaN equal to NaN and 0 to -0", [
  () => assertEquals({ a: [1, { b: NaN }] }, { a: [1, { b: NaN }] }),
  () => assertEquals([0], [-0]),
  () => assertEquals(new Float32Array([1, NaN]), new Float32Array([1, NaN])),
  () => assertEquals(new Map([["a", { b: 1 }]]), new Map([["a", { b: 1 }]])),
  () => assertEquals(new Set([1, 2]), new Set([2, 1])),
  () => assertEquals(new Date(5), new Date(5)),
  () => assertEquals<object>(Object.assign(Object.create(null), { a: 1 }), { a: 1 }),
  () => assertEquals(new Hidden(1), new Hidden(1)),
  () => assertEquals(shared(1), shared(1)),
  () => assertEquals(view(1), view(1)),
  () => assertEquals(new URLSearchParams("a=1"), new URLSearchParams("a=1")),
], [
  () => assertEquals(new Hidden(1), new Hidden(2)),
  () => assertEquals(shared(1), shared(2)),
  () => assertEquals(view(1), view(2)),
  () => assertEquals(new URLSearchParams("a=1"), new URLSearchParams("a=2")),
  () => assertEquals([1, 2], [1, 3]),
  () => assertEquals([1], [1, 2]),
  () => assertEquals<Record<string, unknown>>({ a: undefined }, {}),
  () => assertEquals<object>(new Point(1), { x: 1 }),
  () => assertEquals<unknown>(1, "1"),
  () => assertEquals<unknown>(new Float32Array([1]), new Uint8Array([1])),
  () => assertEquals(new Float32Array([1, 2]), new Float32Array([1, 2.5])),
  () => assertEquals(new Map([["a", { b: 1 }]]), new Map([["a", { b: 2 }]])),
  () => assertEquals(new Set([1, 2]), new Set([1, 3])),
  () => assertEquals(new Error("a"), new Error("b")),
]);

expect("assertNotEquals", [() => assertNotEquals([1], [2])], [() => assertNotEquals([1], [1])]);

expect("assert and assertFalse look at truth", [() => assert(1), () => assertFalse("")], [
  () => assert(0),
  () => assertFalse("x"),
]);

expect("assertStrictEquals is Object.is", [
  () => assertStrictEquals(NaN, NaN),
  () => assertNotStrictEquals([], []),
], [
  () => assertStrictEquals(0, -0),
  () => assertStrictEquals([], [] as unknown[]),
  () => assertNotStrictEquals(1, 1),
]);

expect("assertAlmostEquals takes a tolerance, or a ten-millionth of the expected value", [
  () => assertAlmostEquals(1, 1.05, 0.06),
  () => assertAlmostEquals(1e6 + 0.05, 1e6),
  () => assertAlmostEquals(NaN, NaN),
], [
  () => assertAlmostEquals(1, 1.05, 0.04),
  () => assertAlmostEquals(1e6 + 0.2, 1e6),
  () => assertAlmostEquals(NaN, 0, 1),
]);

expect("the order assertions", [
  () => assertGreater(2, 1),
  () => assertGreaterOrEqual(2, 2),
  () => assertLess(1, 2),
  () => assertLessOrEqual(2, 2),
], [
  () => assertGreater(2, 2),
  () => assertGreaterOrEqual(1, 2),
  () => assertLess(2, 2),
  () => assertLessOrEqual(3, 2),
]);

expect("the text assertions", [
  () => assertMatch("abc", /b/),
  () => assertNotMatch("abc", /d/),
  () => assertStringIncludes("abc", "bc"),
], [
  () => assertMatch("abc", /d/),
  () => assertNotMatch("abc", /b/),
  () => assertStringIncludes("abc", "cb"),
]);

expect("the assertions on objects", [
  () => assertInstanceOf(new Point(1), Point),
  () => assertExists(0),
  () => assertArrayIncludes([{ a: 1 }, { a: 2 }], [{ a: 2 }]),
  () => assertObjectMatch({ a: { b: 1, c: 2 } }, { a: { b: 1 } }),
  () => assertIsError(new TypeError("no luck"), TypeError, "luck"),
], [
  () => assertInstanceOf({}, Point),
  () => assertExists(null),
  () => assertExists(undefined),
  () => assertArrayIncludes([{ a: 1 }], [{ a: 2 }]),
  () => assertObjectMatch({ a: { b: 1 } }, { a: { b: 2 } }),
  () => assertIsError(new TypeError("no luck"), TypeError, "fun"),
  () => assertIsError("no luck"),
]);

const toss = () => {
  throw new RangeError("5 is above 4");
};

expect("assertThrows checks the class and the message", [
  () => assertThrows(toss),
  () => assertThrows(toss, RangeError, "above"),
  () => assertThrows(toss, Error),
], [
  () => assertThrows(() => 1),
  () => assertThrows(toss, TypeError),
  () => assertThrows(toss, RangeError, "below"),
]);

expect("fail and unreachable", [], [() => fail("x"), () => unreachable()]);

Deno.test("@std/assert: assertThrows returns what was thrown, assertRejects resolves to it", async () => {
  if (assertThrows(toss, RangeError).message !== "5 is above 4") throw new Error("another error");
  const rejected = await assertRejects(() => Promise.resolve().then(toss), RangeError, "5 is");
  if (rejected.message !== "5 is above 4") throw new Error("another error");
});

Deno.test("@std/assert: assertRejects fails on success, another class, another message, a throw", async () => {
  const failing: readonly (() => Promise<unknown>)[] = [
    () => assertRejects(() => Promise.resolve(1)),
    () => assertRejects(() => Promise.reject(new RangeError("a")), TypeError),
    () => assertRejects(() => Promise.reject(new RangeError("a")), RangeError, "b"),
    () => assertRejects(toss as () => Promise<unknown>),
  ];
  for (const [i, assertion] of failing.entries()) {
    const error = await assertion().then(() => undefined, (error) => error);
    if (!(error instanceof AssertionError)) throw new Error(`case ${i} must fail, got ${error}`);
  }
});
