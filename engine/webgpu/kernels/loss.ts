/**
 * Softmax cross entropy, mean over the batch:
 *
 *     loss_n = log(sum over k of exp(z_k - max)) - (z_label - max)
 *     dz_k = (softmax_k - [k = label]) / images
 *
 * An error is an image whose largest logit (the first of equals) is not its label's.
 *
 * In single precision two differences would lose the digits of a good network's
 * small losses, so neither is taken. With s the sum of exponentials but the
 * largest's, which is 1, the logarithm is that of 1 + s, by the series of
 * 2 atanh(s / (2 + s)) where s is at most 1 (error below 1e-8 of it); and
 * softmax_label - 1 = -(sum of the others) / (1 + s).
 *
 * One workgroup: lane l has images l, l + 256, ..., and the lanes' losses are
 * added as a tree.
 */
import { type Kernel, PLAN, PLAN_WORDS, STEP, vectors } from "../_kernel.ts";
import { scalerCode } from "../_half.ts";
import { entryPoint, LANES, storage, sumRows } from "./_lanes.ts";

/**
 * Kernel: logits [N, K4], plan, gradient [N, K4], metrics (array<vec2f>: at the
 * step's slot the sum of the losses and the number of errors), and with `isScaled` the scaler, by
 * whose scale the gradient is multiplied.
 */
export function lossKernel(classes: number, isScaled = false): Kernel {
  const stored = 4 * vectors(classes);
  const code = [
    STEP,
    storage(1, "logits", "read", "array<f32>"),
    storage(2, "plan", "read", "array<u32>"),
    storage(3, "gradient", "read_write", "array<f32>"),
    storage(4, "metrics", "read_write", "array<vec2f>"),
    ...(isScaled ? [scalerCode(5, "read")] : []),
    sumRows({ columns: 1, rows: LANES }),
    `
// log(1 + s) for s >= 0
fn log_of_one_and(s: f32) -> f32 {
  let t = s / (2.0 + s);
  let u = t * t;
  var series = 0.0;
  ${[15, 13, 11, 9, 7, 5, 3, 1].map((n) => `series = fma(series, u, ${1 / n}f);`).join("\n  ")}
  return select(log(1.0 + s), 2.0 * t * series, s <= 1.0);
}
`,
    entryPoint(
      LANES,
      `
  var loss = 0.0;
  var errors = 0.0;
  for (var image = lane; image < step.images; image += ${LANES}u) {
    let first = image * ${stored}u;
    let label = plan[image * ${PLAN_WORDS}u + ${PLAN.label}u];
    var largest = logits[first];
    var best = 0u;
    for (var k = 1u; k < ${classes}u; k++) {
      let z = logits[first + k];
      if (z > largest) {
        largest = z;
        best = k;
      }
    }
    var s = 0.0;
    var others = 0.0;
    for (var k = 0u; k < ${classes}u; k++) {
      let e = exp(logits[first + k] - largest);
      s += select(e, 0.0, k == best);
      others += select(e, 0.0, k == label);
    }
    loss += log_of_one_and(s) + (largest - logits[first + label]);
    errors += select(1.0, 0.0, best == label);
    let share = ${isScaled ? "scaler.scale" : "1.0"} / ((1.0 + s) * f32(step.loss_images));
    for (var k = 0u; k < ${stored}u; k++) {
      let e = select(exp(logits[first + k] - largest), -others, k == label);
      gradient[first + k] = select(0.0, e * share, k < ${classes}u);
    }
  }
  let sums = sum_rows(lane, vec4f(loss, errors, 0.0, 0.0));
  if (lane == 0u) { metrics[step.slot] = sums.xy; }`,
    ),
  ].join("\n");
  return {
    label: `loss ${classes}${isScaled ? " scaled" : ""}`,
    group: "loss",
    code,
    workgroups: () => [1, 1, 1],
    operations: () => 0,
  };
}
