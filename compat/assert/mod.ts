/**
 * The part of `@std/assert` 1.0 that this project uses, with the signatures and
 * the documented behaviour of the package, over `node:util`.
 *
 * @module
 */
import { inspect } from "node:util";

/** Thrown when an assertion does not hold. */
export class AssertionError extends Error {
  /** @param message What was expected. */
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "AssertionError";
  }
}

// deno-lint-ignore no-explicit-any -- the signature of @std/assert
type AnyClass<T> = abstract new (...args: any[]) => T;

function show(value: unknown): string {
  return inspect(value, { depth: 8, maxArrayLength: 100, sorted: true });
}

/** @param message A function where it shows whole values, which takes time that most checks need not. */
function check(
  condition: boolean,
  message: string | (() => string),
  note?: string,
): asserts condition {
  if (condition) return;
  const text = typeof message === "string" ? message : message();
  throw new AssertionError(note ? `${text}: ${note}` : `${text}.`);
}

/**
 * Deep equality: NaN equals NaN, 0 equals -0, and values of different classes
 * or with different keys differ. Of instances of a class its getters count too,
 * since their state may show in nothing else.
 */
export function equal(a: unknown, b: unknown): boolean {
  const seen = new Map<unknown, unknown>();
  function compare(a: unknown, b: unknown): boolean {
    if (a === b || (Number.isNaN(a) && Number.isNaN(b))) return true;
    if (typeof a !== "object" || typeof b !== "object" || a === null || b === null) return false;
    const prototype = prototypeOf(a);
    if (prototype !== prototypeOf(b)) return false;
    if (a instanceof Date) return compare(a.getTime(), (b as Date).getTime());
    if (a instanceof RegExp || a instanceof URL || a instanceof URLSearchParams) {
      return String(a) === String(b);
    }
    if (ArrayBuffer.isView(a) && !(a instanceof DataView)) {
      const [x, y] = [a, b] as unknown as [ArrayLike<unknown>, ArrayLike<unknown>];
      if (x.length !== y.length) return false;
      for (let i = 0; i < x.length; i++) if (!compare(x[i], y[i])) return false;
      return true;
    }
    if (a instanceof ArrayBuffer || a instanceof SharedArrayBuffer) {
      return compare(new Uint8Array(a), new Uint8Array(b as ArrayBuffer));
    }
    if (a instanceof WeakMap || a instanceof WeakSet) {
      throw new TypeError(`Cannot compare ${a.constructor.name} instances`);
    }
    if (seen.get(a) === b) return true;
    seen.set(a, b);
    if (a instanceof Set && b instanceof Set) {
      const others = [...b];
      return a.size === b.size &&
        [...a].every((x) => b.has(x) || others.some((y) => compare(x, y)));
    }
    if (a instanceof Map && b instanceof Map) {
      const others = [...b];
      return a.size === b.size &&
        [...a].every((x) => others.some((y) => compare(x[0], y[0]) && compare(x[1], y[1])));
    }
    const isPlain = prototype === Object.prototype || prototype === Array.prototype;
    const keysOf = isPlain ? enumerableOf : keysWithInherited;
    const keys = keysOf(a);
    return keys.length === keysOf(b).length &&
      keys.every((key) =>
        (isPlain ? Object.hasOwn(b, key) : key in b) &&
        compare(Reflect.get(a, key), Reflect.get(b, key))
      );
  }
  return compare(a, b);
}

/** An object without a prototype is as good as one with the plainest. */
function prototypeOf(value: object): object {
  return Object.getPrototypeOf(value) ?? Object.prototype;
}

function enumerableOf(value: object): PropertyKey[] {
  return Reflect.ownKeys({ ...value });
}

/** Keys of an object and of its classes. */
function keysWithInherited(value: object): PropertyKey[] {
  const keys = new Set<PropertyKey>();
  for (
    let object = value;
    object !== null && object !== Object.prototype;
    object = Object.getPrototypeOf(object)
  ) {
    for (const key of Reflect.ownKeys(object)) keys.add(key);
  }
  return [...keys];
}

/** Asserts that `expr` is truthy. */
export function assert(expr: unknown, msg = ""): asserts expr {
  if (!expr) throw new AssertionError(msg);
}

/** Asserts that `expr` is falsy. */
export function assertFalse(expr: unknown, msg = ""): asserts expr is false | 0 | "" | null {
  if (expr) throw new AssertionError(msg);
}

/** Asserts deep equality, see {@link equal}. */
export function assertEquals<T>(actual: T, expected: T, msg?: string): void {
  check(
    equal(actual, expected),
    () => `Values are not equal\n  actual:   ${show(actual)}\n  expected: ${show(expected)}`,
    msg,
  );
}

/** Asserts that two values are not deeply equal. */
export function assertNotEquals<T>(actual: T, expected: T, msg?: string): void {
  check(!equal(actual, expected), () => `Expected values not to be equal: ${show(actual)}`, msg);
}

/** Asserts that `Object.is(actual, expected)`. */
export function assertStrictEquals<T>(
  actual: unknown,
  expected: T,
  msg?: string,
): asserts actual is T {
  check(
    Object.is(actual, expected),
    `Values are not strictly equal\n  actual:   ${show(actual)}\n  expected: ${show(expected)}`,
    msg,
  );
}

/** Asserts that `Object.is(actual, expected)` does not hold. */
export function assertNotStrictEquals<T>(actual: T, expected: T, msg?: string): void {
  check(!Object.is(actual, expected), `Expected not to be strictly equal: ${show(actual)}`, msg);
}

/**
 * Asserts that two numbers differ by no more than `tolerance`; by default a
 * ten-millionth of `expected`.
 */
export function assertAlmostEquals(
  actual: number,
  expected: number,
  tolerance?: number,
  msg?: string,
): void {
  if (Object.is(actual, expected)) return;
  tolerance ??= Number.isFinite(expected) ? Math.abs(expected * 1e-7) : 1e-7;
  check(
    Math.abs(expected - actual) <= tolerance,
    `Expected actual: ${actual} to be close to ${expected}: the difference ${
      Math.abs(expected - actual)
    } is above ${tolerance}`,
    msg,
  );
}

/** Asserts that `actual > expected`. */
export function assertGreater<T>(actual: T, expected: T, msg?: string): void {
  check(actual > expected, `Expected ${show(actual)} > ${show(expected)}`, msg);
}

/** Asserts that `actual >= expected`. */
export function assertGreaterOrEqual<T>(actual: T, expected: T, msg?: string): void {
  check(actual >= expected, `Expected ${show(actual)} >= ${show(expected)}`, msg);
}

/** Asserts that `actual < expected`. */
export function assertLess<T>(actual: T, expected: T, msg?: string): void {
  check(actual < expected, `Expected ${show(actual)} < ${show(expected)}`, msg);
}

/** Asserts that `actual <= expected`. */
export function assertLessOrEqual<T>(actual: T, expected: T, msg?: string): void {
  check(actual <= expected, `Expected ${show(actual)} <= ${show(expected)}`, msg);
}

/** Asserts that `actual` is an instance of a class. */
export function assertInstanceOf<T>(
  actual: unknown,
  expectedType: AnyClass<T>,
  msg = "",
): asserts actual is T {
  check(
    actual instanceof expectedType,
    `Expected object to be an instance of "${expectedType.name}" but was ${show(actual)}`,
    msg,
  );
}

/** Asserts that `actual` is neither null nor undefined. */
export function assertExists<T>(actual: T, msg?: string): asserts actual is NonNullable<T> {
  check(
    actual !== undefined && actual !== null,
    `Expected actual: "${actual}" to not be null or undefined`,
    msg,
  );
}

/** Asserts that a string matches a pattern. */
export function assertMatch(actual: string, expected: RegExp, msg?: string): void {
  check(expected.test(actual), `Expected actual: "${actual}" to match: "${expected}"`, msg);
}

/** Asserts that a string does not match a pattern. */
export function assertNotMatch(actual: string, expected: RegExp, msg?: string): void {
  check(!expected.test(actual), `Expected actual: "${actual}" to not match: "${expected}"`, msg);
}

/** Asserts that a string contains another. */
export function assertStringIncludes(actual: string, expected: string, msg?: string): void {
  check(actual.includes(expected), `Expected actual: "${actual}" to contain: "${expected}"`, msg);
}

/** Asserts that every element of `expected` is, by deep equality, one of `actual`. */
export function assertArrayIncludes<T>(
  actual: ArrayLike<T>,
  expected: ArrayLike<T>,
  msg?: string,
): void {
  const missing = Array.from(expected).filter((x) => !Array.from(actual).some((y) => equal(x, y)));
  check(missing.length === 0, `Expected ${show(actual)} to include ${show(missing)}`, msg);
}

/** Asserts that `actual` has at least the properties of `expected`, deeply. */
export function assertObjectMatch(
  // deno-lint-ignore no-explicit-any -- the signature of @std/assert
  actual: Record<PropertyKey, any>,
  expected: Record<PropertyKey, unknown>,
  msg?: string,
): void {
  const isRecord = (value: unknown): value is Record<PropertyKey, unknown> =>
    typeof value === "object" && value !== null && !Array.isArray(value) &&
    Object.getPrototypeOf(value) === Object.prototype;
  const matches = (a: unknown, b: unknown): boolean =>
    isRecord(a) && isRecord(b)
      ? Reflect.ownKeys(b).every((key) => Object.hasOwn(a, key) && matches(a[key], b[key]))
      : equal(a, b);
  check(matches(actual, expected), `Expected ${show(actual)} to match ${show(expected)}`, msg);
}

/** Asserts that `error` is an Error of the given class whose message contains a text. */
export function assertIsError<E extends Error = Error>(
  error: unknown,
  ErrorClass?: AnyClass<E>,
  msgMatches?: string | RegExp,
  msg?: string,
): asserts error is E {
  check(error instanceof Error, `Expected an Error object but was ${show(error)}`, msg);
  if (ErrorClass) {
    check(
      error instanceof ErrorClass,
      `Expected error to be instance of "${ErrorClass.name}", but was "${error.constructor.name}" (${error.message})`,
      msg,
    );
  }
  const found = typeof msgMatches === "string"
    ? error.message.includes(msgMatches)
    : msgMatches?.test(error.message) ?? true;
  check(
    found,
    `Expected error message to include ${show(msgMatches)}, but got ${show(error.message)}`,
    msg,
  );
}

/** Asserts that `fn` throws, and returns what it threw. */
export function assertThrows(fn: () => unknown, msg?: string): unknown;
/** Asserts that `fn` throws an error of a class, with a text in its message, and returns it. */
export function assertThrows<E extends Error = Error>(
  fn: () => unknown,
  ErrorClass: AnyClass<E>,
  msgIncludes?: string,
  msg?: string,
): E;
export function assertThrows<E extends Error = Error>(
  fn: () => unknown,
  errorClassOrMsg?: AnyClass<E> | string,
  msgIncludes?: string,
  msg?: string,
): E | unknown {
  const note = typeof errorClassOrMsg === "string" ? errorClassOrMsg : msg;
  let result: unknown;
  try {
    result = fn();
  } catch (error) {
    if (typeof errorClassOrMsg === "function") {
      assertIsError(error, errorClassOrMsg, msgIncludes, note);
    }
    return error;
  }
  if (result instanceof Promise) result.catch(() => {});
  check(false, "Expected function to throw", note);
}

/** Asserts that the promise of `fn` rejects, and resolves to the reason. */
export function assertRejects(fn: () => PromiseLike<unknown>, msg?: string): Promise<unknown>;
/** Asserts that the promise of `fn` rejects with an error of a class, and resolves to it. */
export function assertRejects<E extends Error = Error>(
  fn: () => PromiseLike<unknown>,
  ErrorClass: AnyClass<E>,
  msgIncludes?: string,
  msg?: string,
): Promise<E>;
export async function assertRejects<E extends Error = Error>(
  fn: () => PromiseLike<unknown>,
  errorClassOrMsg?: AnyClass<E> | string,
  msgIncludes?: string,
  msg?: string,
): Promise<E | unknown> {
  const note = typeof errorClassOrMsg === "string" ? errorClassOrMsg : msg;
  let promise: PromiseLike<unknown>;
  try {
    promise = fn();
  } catch (error) {
    throw new AssertionError("Function throws when expected to reject", { cause: error });
  }
  try {
    await promise;
  } catch (error) {
    if (typeof errorClassOrMsg === "function") {
      assertIsError(error, errorClassOrMsg, msgIncludes, note);
    }
    return error;
  }
  check(false, "Expected function to reject", note);
}

/** Fails always. */
export function fail(msg?: string): never {
  throw new AssertionError(msg ? `Failed assertion: ${msg}` : "Failed assertion.");
}

/** Marks a place that is never reached. */
export function unreachable(reason?: string): never {
  throw new AssertionError(reason ? `Unreachable: ${reason}` : "Unreachable.");
}
