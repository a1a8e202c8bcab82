/**
 * Softmax cross entropy of one image, in double precision:
 *
 *     loss = log(sum over k of exp(z_k - max)) - (z_label - max)
 *     dz_k = (softmax_k - [k = label]) / images
 *
 * An error is an image whose largest logit (the first of equals) is not its label's.
 */
import {
  advance,
  call,
  dadd,
  ddiv,
  double,
  doubleOfFloat,
  doubleOfInt,
  dsub,
  equal,
  fgreater,
  float,
  floatOfDouble,
  type FunctionReference,
  get,
  iadd,
  imul,
  int,
  loadDouble,
  loadFloat,
  loadInt,
  type Module,
  notEqual,
  repeat,
  set,
  storeDouble,
  storeFloat,
  storeInt,
  when,
} from "../assembler.ts";
import { CONTROL } from "../_control.ts";
import { range } from "./convolution.ts";
import { PLAN_LABEL } from "./input.ts";

/** Bytes of one image's result: the loss as a double, then 1 for an error. */
export const LOSS_BYTES = 16;

/** JavaScript's own functions, imported: exact to the last bit on every thread. */
export interface MathImports {
  readonly exp: FunctionReference;
  readonly log: FunctionReference;
}

/**
 * Kernel (logits, gradient, plan, result, scratch): `scratch` holds a double a class.
 * The gradient's rounded-up channels, `storedClasses - classes`, become 0.
 */
export function lossKernel(
  module: Module,
  { exp, log }: MathImports,
  classes: number,
  storedClasses: number,
): FunctionReference {
  return module.function(`loss ${classes} ${storedClasses}`, ["i32", "i32", "i32", "i32", "i32"], (
    f,
    logits,
    gradient,
    plan,
    result,
    scratch,
  ) => {
    const maximum = f.local("f32");
    const sum = f.local("f64");
    const [k, from, to, best, label] = [f.i32(), f.i32(), f.i32(), f.i32(), f.i32()];
    const shifted = (p: typeof from) =>
      dsub(doubleOfFloat(loadFloat(p)), doubleOfFloat(get(maximum)));
    return [
      set(label, loadInt(plan, PLAN_LABEL)),
      set(maximum, loadFloat(logits)),
      set(best, int(0)),
      set(from, get(logits)),
      repeat(k, classes, [
        when(fgreater(loadFloat(from), get(maximum)), [
          set(maximum, loadFloat(from)),
          set(best, get(k)),
        ]),
        advance(from, 4),
      ]),
      set(sum, double(0)),
      set(from, get(logits)),
      set(to, get(scratch)),
      repeat(k, classes, [
        storeDouble(to, call(exp, shifted(from))),
        set(sum, dadd(get(sum), loadDouble(to))),
        advance(from, 4),
        advance(to, 8),
      ]),
      set(from, iadd(logits, imul(label, int(4)))),
      storeDouble(result, dsub(call(log, get(sum)), shifted(from))),
      storeInt(result, notEqual(best, label), 8),
      set(from, get(scratch)),
      set(to, get(gradient)),
      repeat(k, classes, [
        storeFloat(
          to,
          floatOfDouble(
            ddiv(
              dsub(ddiv(loadDouble(from), get(sum)), doubleOfInt(equal(k, label))),
              doubleOfInt(loadInt(int(CONTROL.lossImages))),
            ),
          ),
        ),
        advance(from, 8),
        advance(to, 4),
      ]),
      range(storedClasses - classes).map((i) => storeFloat(to, float(0), 4 * i)),
    ];
  });
}
