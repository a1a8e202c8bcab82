/**
 * Batch normalisation and the update of the parameters, each twice: by TensorFlow's fused
 * operations, which TensorFlow.js has no function for, and composed of elementary ones, as
 * TensorFlow.js composes them. The second form shows what the first is worth, and checks it.
 *
 * Batch norm over the R values of a channel in a batch, with m and v their mean and biased variance:
 *
 *   y = scale n + shift,  n = (x - m) / sqrt(v + epsilon)
 *   dshift = sum(dy),  dscale = sum(dy n)
 *   dx = scale / sqrt(v + epsilon) (dy - dshift / R - n dscale / R)
 *   running = running + momentum (batch - running), with the unbiased variance v R / (R - 1)
 *
 * With running statistics, which are constants, dx = scale / sqrt(v + epsilon) dy.
 *
 * The update is the optimiser's rule, see `optimiser.ts`.
 */
import { type BatchNormSpec, type Inferred, sizeOf } from "../../resnet/mod.ts";
import type { BatchNormSettings } from "../engine.ts";
import { type Arithmetic, type Optimiser, ruleOf } from "../optimiser.ts";
import type { BatchNormLayer, Layer, NodeGradients } from "./_network.ts";
import type { Handle, Operations } from "./_operations.ts";
import type { Variable } from "./_variable.ts";

/** What an update works on: vectors of all parameters. */
export interface UpdateOperands {
  readonly weights: Variable;
  readonly gradient: Handle;
  /** In the order of the rule's. */
  readonly slots: readonly Variable[];
  /** The optimiser's, of the step. */
  readonly scalars: readonly number[];
  /** Of each parameter, or of all; undefined where nothing decays. */
  readonly decay: Handle | undefined;
}

/** What a training step has that inference has not. */
export interface TrainingKernels {
  readonly batchNorm: BatchNormLayer;
  /** Updates the parameters, and what the optimiser keeps of them, by a gradient. */
  update(tf: Operations, optimiser: Optimiser, operands: UpdateOperands): void;
}

/**
 * By FusedBatchNormV3, FusedBatchNormGradV3 and, for PyTorch's form of SGD, ResourceApplyMomentum.
 */
export const FUSED: TrainingKernels = {
  batchNorm: fusedBatchNorm,
  update(tf, optimiser, operands) {
    if (optimiser.kind !== "sgd" || optimiser.velocityOf === "steps") {
      return COMPOSED.update(tf, optimiser, operands);
    }
    const { weights, gradient, slots: [velocity], scalars: [rate], decay } = operands;
    const { compute } = arithmetic(tf);
    const decayed = decay === undefined
      ? gradient
      : compute("AddV2", gradient, compute("Mul", decay, weights.value()));
    const rateTensor = tf.floats([], Float32Array.of(rate));
    const momentum = tf.float(optimiser.momentum);
    tf.runAll(
      "ResourceApplyMomentum",
      [weights.handle, velocity.handle, rateTensor, decayed, momentum],
      [tf.typeFloat(), tf.attributeFlag("use_nesterov", optimiser.nesterov)],
      0,
    );
  },
};

/** By elementary operations alone. */
export const COMPOSED: TrainingKernels = {
  batchNorm: composedBatchNorm,
  update(tf, optimiser, { weights, gradient, slots, scalars, decay }) {
    const { compute } = arithmetic(tf);
    const tensors: Arithmetic<Handle> = {
      add: (a, b) => compute("AddV2", a, b),
      sub: (a, b) => compute("Sub", a, b),
      mul: (a, b) => compute("Mul", a, b),
      div: (a, b) => compute("RealDiv", a, b),
      max: (a, b) => compute("Maximum", a, b),
      sqrt: (a) => compute("Sqrt", a),
      constant: (value) => tf.float(value),
      keep: (value) => value,
    };
    const updated = ruleOf(optimiser).update(tensors, {
      weight: weights.value(),
      gradient,
      slots: slots.map((slot) => slot.value()),
      scalars: scalars.map((scalar) => tf.floats([], Float32Array.of(scalar))),
      decay,
    });
    updated.slots.forEach((value, i) => slots[i].set(value));
    weights.set(updated.weight);
  },
};

function fusedBatchNorm(
  tf: Operations,
  { name }: BatchNormSpec,
  { epsilon, momentum }: BatchNormSettings,
): Layer {
  const common = [
    ...[tf.typeFloat(), tf.typeFloat("U")],
    tf.attributeFloat("epsilon", epsilon),
    tf.attributeText("data_format", "NHWC"),
  ];
  const isTraining = tf.attributeFlag("is_training", true);
  const isInference = tf.attributeFlag("is_training", false);
  const factor = tf.attributeFloat("exponential_avg_factor", momentum);
  return ([x], pass) => {
    const training = pass.mode === "training";
    const [scale, shift, ...running] = parametersOf(name, pass.parameter);
    // Where nothing of the running statistics would be left, the operation refuses to take them.
    const statistics = training && momentum === 1
      ? running.map(() => tf.floats([0], new Float32Array()))
      : running;
    const [y, mean, variance, ...saved] = tf.runAll(
      "FusedBatchNormV3",
      [x, scale, shift, ...statistics],
      [...common, training ? isTraining : isInference, factor],
      6,
    );
    if (training) pass.onStatistics(name, mean, variance);
    return {
      output: y,
      backward: (dy) => {
        if (!training) return constantNormGradients(tf, dy, x, scale, running, epsilon);
        const [dx, dScale, dShift] = tf.runAll(
          "FusedBatchNormGradV3",
          [dy, x, scale, ...saved],
          [...common, isTraining],
          5,
        );
        return { inputs: [dx], parameters: { weight: dScale, bias: dShift } };
      },
    };
  };
}

function composedBatchNorm(
  tf: Operations,
  { name, shape }: BatchNormSpec & Inferred,
  { epsilon, momentum }: BatchNormSettings,
): Layer {
  const pixels = sizeOf(shape.slice(0, -1));
  const { compute, sum, mean } = arithmetic(tf);
  return ([x], pass) => {
    const [scale, shift, ...running] = parametersOf(name, pass.parameter);
    const training = pass.mode === "training";
    const average = training ? mean(x) : running[0];
    const centred = compute("Sub", x, average);
    const variance = training ? mean(compute("Square", centred)) : running[1];
    const inverse = compute("Rsqrt", compute("AddV2", variance, tf.float(epsilon)));
    const normalised = compute("Mul", centred, inverse);
    const y = compute("AddV2", compute("Mul", normalised, scale), shift);
    const count = pass.images * pixels;
    if (training) {
      // A single value has no unbiased variance; its biased one, 0, stands in.
      const unbiased = compute("Mul", variance, tf.float(count / Math.max(count - 1, 1)));
      const moved = [average, unbiased].map((batch, i) =>
        compute(
          "AddV2",
          running[i],
          compute("Mul", compute("Sub", batch, running[i]), tf.float(momentum)),
        )
      );
      pass.onStatistics(name, moved[0], moved[1]);
    }
    return {
      output: y,
      backward: (dy) => {
        if (!training) return constantNormGradients(tf, dy, x, scale, running, epsilon);
        const dShift = sum(dy), dScale = sum(compute("Mul", dy, normalised));
        const share = tf.float(1 / count);
        const rest = compute(
          "Sub",
          compute("Sub", dy, compute("Mul", dShift, share)),
          compute("Mul", normalised, compute("Mul", dScale, share)),
        );
        const dx = compute("Mul", rest, compute("Mul", scale, inverse));
        return { inputs: [dx], parameters: { weight: dScale, bias: dShift } };
      },
    };
  };
}

/** TensorFlow has no deterministic GPU kernel for this form of FusedBatchNormGradV3. */
function constantNormGradients(
  tf: Operations,
  dy: Handle,
  x: Handle,
  scale: Handle,
  [mean, variance]: readonly Handle[],
  epsilon: number,
): NodeGradients {
  const { compute, sum } = arithmetic(tf);
  const inverse = compute("Rsqrt", compute("AddV2", variance, tf.float(epsilon)));
  const normalised = compute("Mul", compute("Sub", x, mean), inverse);
  return {
    inputs: [compute("Mul", dy, compute("Mul", scale, inverse))],
    parameters: { weight: sum(compute("Mul", dy, normalised)), bias: sum(dy) },
  };
}

function parametersOf(name: string, parameter: (name: string) => Handle): Handle[] {
  return ["weight", "bias", "running_mean", "running_var"].map((suffix) =>
    parameter(`${name}.${suffix}`)
  );
}

/** Elementary operations on floats; sums and means over all axes but the last of [N, H, W, C]. */
function arithmetic(tf: Operations) {
  const float = [tf.typeFloat()];
  const reducing = [...float, tf.typeInteger("Tidx"), tf.attributeFlag("keep_dims", false)];
  return {
    compute: (name: string, ...inputs: Handle[]) => tf.run(name, inputs, float),
    sum: (value: Handle) => tf.run("Sum", [value, tf.vector(0, 1, 2)], reducing),
    mean: (value: Handle) => tf.run("Mean", [value, tf.vector(0, 1, 2)], reducing),
  };
}
