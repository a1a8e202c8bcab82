/**
 * The optimiser's update over a range of weights:
 *
 *     g = sum over threads of dw     w, slots = rule(w, g, slots)
 *
 * The rule is that of `optimiser.ts`, in vectors of four. The threads' gradients are added in
 * their order, and are 0 afterwards.
 */
import type { UpdateRule } from "../../optimiser.ts";
import {
  add,
  advance,
  below,
  type Code,
  div,
  float4,
  type FunctionReference,
  get,
  iadd,
  int,
  load,
  loadSplat,
  loopWhile,
  type Module,
  mul,
  pmax,
  set,
  sqrt,
  store,
  sub,
  when,
} from "../assembler.ts";
import { CONTROL } from "../_control.ts";
import { range } from "./convolution.ts";

/** Where the arrays lie relative to the weights, and the constants. */
export interface UpdateSettings {
  /** Equal optimisers, equal code. */
  readonly optimiser: object;
  /** The factor of weight decay; 0 where nothing decays. */
  readonly decay: number;
  /** Scalars of a step. */
  readonly scalars: number;
  /** Whether images meet these weights: else the gradients are 0, and neither read nor written. */
  readonly isMet: boolean;
  /** Bytes from a weight to what is kept of it in each slot, and to the first thread's gradient. */
  readonly slotOffsets: readonly number[];
  readonly gradientOffset: number;
  /** Bytes from one thread's gradients to the next one's. */
  readonly gradientStride: number;
  readonly threads: number;
}

/** Kernel (from, to): addresses of the first weight and of the end. */
export function updateKernel(
  module: Module,
  rule: UpdateRule,
  settings: UpdateSettings,
): FunctionReference {
  const { decay, slotOffsets, gradientOffset, gradientStride, threads } = settings;
  return module.function(`update ${JSON.stringify(settings)}`, ["i32", "i32"], (f, from, to) => {
    const scalars = f.vectors(settings.scalars);
    const [weight, gradient] = f.vectors(2);
    const pointer = f.i32();
    const kept: Code[] = [];
    const arithmetic = {
      ...{ add, sub, mul, div, sqrt, max: pmax, constant: float4 },
      keep(value: Code): Code {
        const [local] = f.vectors(1);
        kept.push(set(local, value));
        return get(local);
      },
    };
    const slot = (offset: number) => iadd(from, int(offset));
    const updated = rule.update<Code>(arithmetic, {
      weight: get(weight),
      gradient: get(gradient),
      slots: slotOffsets.map((offset) => arithmetic.keep(load(slot(offset)))),
      scalars: scalars.map((scalar) => get(scalar)),
      ...(decay === 0 ? {} : { decay: float4(decay) }),
    });
    return when(below(from, to), [
      scalars.map((scalar, i) => set(scalar, loadSplat(int(CONTROL.scalars + 4 * i)))),
      loopWhile([
        set(weight, load(from)),
        set(gradient, float4(0)),
        set(pointer, iadd(from, int(gradientOffset))),
        range(settings.isMet ? threads : 0).map(() => [
          set(gradient, add(get(gradient), load(pointer))),
          store(pointer, float4(0)),
          advance(pointer, gradientStride),
        ]),
        kept,
        updated.slots.map((value, i) => store(slot(slotOffsets[i]), value)),
        store(from, updated.weight),
        advance(from, 16),
      ], below(from, to)),
    ]);
  });
}
