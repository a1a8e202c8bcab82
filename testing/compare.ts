import type { Tensor } from "../resnet/mod.ts";

/** How far two tensors may lie apart; state the reason where it is used. */
export type Tolerance =
  /** ||actual - expected|| <= relativeNorm * ||expected|| + absolute * sqrt(size). */
  | { readonly relativeNorm: number; readonly absolute?: number }
  /** |actual - expected| <= absolute + relative * |expected| for every element. */
  | { readonly absolute: number; readonly relative: number };

/**
 * Asserts that two tensors have one shape and close values. NaN equals NaN and
 * nothing else, an infinity equals itself.
 *
 * @param actual A tensor, or bare values as a tensor of one axis.
 * @param what Names the tensor in the message.
 * @throws {Error} With the worst element's index, values and difference.
 */
export function assertTensorClose(
  actual: Tensor | Float32Array | undefined,
  expected: Tensor | Float32Array | undefined,
  tolerance: Tolerance,
  what: string,
): void {
  const a = asTensor(actual, what, "actual"), b = asTensor(expected, what, "expected");
  if (a.shape.join() !== b.shape.join() || a.data.length !== b.data.length) {
    throw new Error(
      `${what}: expected the shape [${b.shape.join(", ")}], found [${a.shape.join(", ")}]`,
    );
  }
  let worst = 0, worstExcess = -Infinity, differing = 0, squaredError = 0, squaredNorm = 0;
  for (let i = 0; i < b.data.length; i++) {
    const difference = distance(a.data[i], b.data[i]);
    // Nothing but itself is close to NaN or an infinity.
    const allowed = "relative" in tolerance && Number.isFinite(b.data[i])
      ? tolerance.absolute + tolerance.relative * Math.abs(b.data[i])
      : 0;
    if (!(difference <= allowed)) differing++;
    if (difference - allowed > worstExcess) [worst, worstExcess] = [i, difference - allowed];
    squaredError += difference ** 2;
    if (Number.isFinite(b.data[i])) squaredNorm += b.data[i] ** 2;
  }
  const worstElement = `worst at [${indexOf(worst, b.shape).join(", ")}]: expected ${
    b.data[worst]
  }, found ${a.data[worst]}, difference ${distance(a.data[worst], b.data[worst]).toPrecision(3)}`;
  if ("relative" in tolerance) {
    if (differing === 0) return;
    throw new Error(
      `${what}: ${differing} of ${b.data.length} elements differ by more than ${tolerance.absolute} + ${tolerance.relative} * |expected|; ${worstElement}`,
    );
  }
  const error = Math.sqrt(squaredError), norm = Math.sqrt(squaredNorm);
  const allowed = tolerance.relativeNorm * norm +
    (tolerance.absolute ?? 0) * Math.sqrt(b.data.length);
  if (error <= allowed) return; // false for NaN
  throw new Error(
    `${what}: ||actual - expected|| is ${error.toPrecision(3)}, allowed ${
      allowed.toPrecision(3)
    } for ||expected|| ${norm.toPrecision(3)}; ${worstElement}`,
  );
}

/** Infinite where one of the two is NaN or another infinity. */
function distance(a: number, b: number): number {
  if (Object.is(a, b) || a === b) return 0;
  const difference = Math.abs(a - b);
  return Number.isNaN(difference) ? Infinity : difference;
}

function asTensor(
  values: Tensor | Float32Array | undefined,
  what: string,
  side: string,
): Tensor {
  if (!values) throw new Error(`${what}: the ${side} tensor is missing`);
  return values instanceof Float32Array ? { shape: [values.length], data: values } : values;
}

/** Position along each axis of the i-th element in row-major order. */
function indexOf(i: number, shape: readonly number[]): number[] {
  const index: number[] = [];
  for (const extent of shape.toReversed()) {
    index.unshift(i % extent);
    i = Math.floor(i / extent);
  }
  return index;
}
