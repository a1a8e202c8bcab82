/** Batches made by code of their own, by the paper's words: not by the module's batch source. */
import type { BatchPlan } from "../../engine/mod.ts";

/** A small generator of 32-bit numbers: sfc32, in the public domain (PractRand). */
export function numbers(seed: number): () => number {
  let [a, b, c, d] = [seed | 0, 0x9e3779b9 | 0, 0x243f6a88 | 0, 1];
  const next = () => {
    const t = (a + b + d) | 0;
    d = (d + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = (c << 21) | (c >>> 11);
    c = (c + t) | 0;
    return t >>> 0;
  };
  for (let i = 0; i < 12; i++) next();
  return next;
}

/** How an epoch ends. */
export type EpochEnd = "run-on" | "keep-partial" | "drop-partial";

/** The batches of a schedule, of 128 images. */
export function ownBatches(
  training: Uint32Array,
  epochEnd: EpochEnd,
  seed: number,
): (iteration: number) => BatchPlan {
  const orders = new Map<number, Uint32Array>();
  const orderOf = (epoch: number): Uint32Array => {
    const made = orders.get(epoch);
    if (made) return made;
    const order = training.slice(), next = numbers(seed * 1_000 + epoch);
    for (let i = order.length - 1; i > 0; i--) {
      const j = next() % (i + 1);
      [order[i], order[j]] = [order[j], order[i]];
    }
    if (orders.size === 3) orders.delete(orders.keys().next().value!);
    orders.set(epoch, order);
    return order;
  };
  const whole = Math.floor(training.length / 128);
  return (iteration) => {
    const indices: number[] = [];
    if (epochEnd === "run-on") {
      for (let at = (iteration - 1) * 128; indices.length < 128; at++) {
        indices.push(orderOf(Math.floor(at / training.length))[at % training.length]);
      }
    } else {
      const partial = epochEnd === "keep-partial" && whole * 128 < training.length ? 1 : 0;
      const epoch = Math.floor((iteration - 1) / (whole + partial));
      const from = ((iteration - 1) % (whole + partial)) * 128;
      indices.push(...orderOf(epoch).subarray(from, from + 128));
    }
    const next = numbers(seed + 7_919 * iteration);
    const draw = (bound: number) => Uint8Array.from(indices, () => (next() >>> 8) % bound);
    return { indices: Uint32Array.from(indices), cropY: draw(9), cropX: draw(9), flip: draw(2) };
  };
}
