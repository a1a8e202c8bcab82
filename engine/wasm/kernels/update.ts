/**
 * The momentum update over a range of weights, as the engine contract states it:
 *
 *     g = sum over threads of dw + decay w     v = momentum v + g
 *     w = w - rate v, or with Nesterov's momentum w = w - rate (g + momentum v)
 *
 * The threads' gradients are added in their order, and are 0 afterwards.
 */
import {
  add,
  advance,
  below,
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
  set,
  store,
  sub,
  when,
} from "../assembler.ts";
import { CONTROL } from "../_control.ts";
import { range } from "./convolution.ts";

/** Where the arrays lie relative to the weights, and the constants. */
export interface UpdateSettings {
  readonly momentum: number;
  readonly nesterov: boolean;
  readonly decay: number;
  /** Bytes from a weight to its momentum, and to the first thread's gradient. */
  readonly momentumOffset: number;
  readonly gradientOffset: number;
  /** Bytes from one thread's gradients to the next one's. */
  readonly gradientStride: number;
  readonly threads: number;
}

/** Kernel (from, to): addresses of the first weight and of the end. */
export function updateKernel(module: Module, settings: UpdateSettings): FunctionReference {
  const { momentum, nesterov, decay, momentumOffset, gradientOffset } = settings;
  const { gradientStride, threads } = settings;
  return module.function(`update ${JSON.stringify(settings)}`, ["i32", "i32"], (f, from, to) => {
    const [rate, weight, gradient, velocity] = f.vectors(4);
    const pointer = f.i32();
    return when(below(from, to), [
      set(rate, loadSplat(int(CONTROL.learningRate))),
      loopWhile([
        set(weight, load(from)),
        set(gradient, float4(0)),
        set(pointer, iadd(from, int(gradientOffset))),
        range(threads).map(() => [
          set(gradient, add(get(gradient), load(pointer))),
          store(pointer, float4(0)),
          advance(pointer, gradientStride),
        ]),
        decay === 0 ? [] : set(gradient, add(get(gradient), mul(get(weight), float4(decay)))),
        set(pointer, iadd(from, int(momentumOffset))),
        set(velocity, add(mul(load(pointer), float4(momentum)), get(gradient))),
        store(pointer, get(velocity)),
        nesterov ? set(velocity, add(get(gradient), mul(get(velocity), float4(momentum)))) : [],
        store(from, sub(get(weight), mul(get(rate), get(velocity)))),
        advance(from, 16),
      ], below(from, to)),
    ]);
  });
}
