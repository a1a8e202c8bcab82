/**
 * Mixed precision: tensors that are stored in half precision and computed with in single, and the
 * loss scaling that it takes.
 *
 * A kernel says nothing of how its operands are stored. Where a binding holds half-precision values,
 * its code is rewritten: what is read from the array is widened where it is read, what is written is
 * rounded where it is written, and all arithmetic between stays as it was. Weights, statistics, sums
 * over pixels and images, the weights' gradients and the optimiser's slots are single precision.
 *
 * Half precision ends at 65,504 and loses digits below 6e-5, where gradients lie. So the loss is
 * multiplied by a scale, and gradients are divided by it before the update. A step with a gradient
 * that is not finite is skipped and the scale halved; after 2,000 good steps in a row it is doubled.
 * Source: Micikevicius et al., "Mixed Precision Training", 2018; the constants are PyTorch's
 * `torch.amp.GradScaler`.
 */
import { FLAT_GROUP, flatGrid, type Kernel, STEP } from "./_kernel.ts";
import { entryPoint, LANES, storage } from "./kernels/_lanes.ts";

/** What a training begins with. */
export const FIRST_SCALE = 65536;
/** Good steps in a row before the scale is doubled. */
export const GROWTH_STEPS = 2000;

/** WGSL of the scaler, which some kernels read and some write. */
export function scalerCode(binding: number, access: "read" | "read_write", overflow = "u32") {
  return `
struct Scaler { scale: f32, good_steps: u32, overflow: ${overflow}, padding: u32 }
@group(0) @binding(${binding}) var<storage, ${access}> scaler: Scaler;`;
}

/** Bytes of the scaler. */
export const SCALER_BYTES = 16;

/**
 * A kernel with some of its bindings in half precision.
 *
 * @param kernel Its bindings are arrays of `vec4f` or `f32`.
 * @param bindings Which, by number.
 */
export function halfStored(kernel: Kernel, bindings: readonly number[]): Kernel {
  if (bindings.length === 0) return kernel;
  let { code } = kernel;
  for (const binding of bindings) {
    const declaration = new RegExp(
      `@binding\\(${binding}\\) var<storage, \\w+> (\\w+): array<(vec4f|f32)>;`,
    );
    const found = declaration.exec(code);
    if (!found) throw new Error(`the kernel ${kernel.label} has no values at binding ${binding}`);
    const [text, name, type] = found;
    const half = type === "f32" ? "f16" : "vec4h";
    code = rewritten(code, name, type, half)
      .replace(text, text.replace(`array<${type}>`, `array<${half}>`));
  }
  return {
    ...kernel,
    label: `${kernel.label}, half precision at ${bindings.join(" ")}`,
    code: `enable f16;\n${code}`,
  };
}

/** Every use of an array, widened where it is read and rounded where it is written. */
function rewritten(code: string, name: string, type: string, half: string): string {
  const uses = new RegExp(`(?<![\\w.])${name}\\[`, "g");
  let result = "", from = 0;
  for (let use = uses.exec(code); use; use = uses.exec(code)) {
    const end = closing(code, use.index + name.length);
    const element = code.slice(use.index, end);
    const assigned = /^\s*(\+?)=(?!=)\s*/.exec(code.slice(end));
    result += code.slice(from, use.index);
    if (!assigned) {
      // What stands in the brackets may read the array itself.
      result += `${type}(${element})`;
      from = end;
    } else {
      const begin = end + assigned[0].length;
      const stop = code.indexOf(";", begin);
      const value = rewritten(code.slice(begin, stop), name, type, half);
      const sum = assigned[1] === "+" ? `${type}(${element}) + (${value})` : value;
      result += `${element} = ${half}(${sum})`;
      from = stop;
    }
    uses.lastIndex = from;
  }
  return result + code.slice(from);
}

/** The place behind the bracket that closes the one at a place. */
function closing(code: string, open: number): number {
  let depth = 0;
  for (let at = open;; at++) {
    if (code[at] === "[") depth++;
    if (code[at] === "]" && --depth === 0) return at + 1;
  }
}

/** Kernel: gradients (array<f32> of `floats`), scaler: notes whether one is not finite. */
export function overflowKernel(floats: number): Kernel {
  return {
    label: `overflow ${floats}`,
    group: "update",
    workgroups: () => flatGrid(Math.ceil(floats / LANES)),
    operations: () => 0,
    code: [
      STEP,
      storage(1, "gradients", "read", "array<f32>"),
      scalerCode(2, "read_write", "atomic<u32>"),
      entryPoint(
        LANES,
        `
  let i = ${FLAT_GROUP} * ${LANES}u + lane;
  if (i >= ${floats}u || step.images == 0u) { return; }
  // By its bits: compilers may take a comparison with itself for true.
  if ((bitcast<u32>(gradients[i]) & 0x7f800000u) == 0x7f800000u) {
    atomicStore(&scaler.overflow, 1u);
  }`,
      ),
    ].join("\n"),
  };
}

/** Kernel: scaler, scales (array<vec2f>: at the step's slot the scale, and 1 for a step that was skipped). */
export function finishScaleKernel(): Kernel {
  return {
    label: "finish scale",
    group: "update",
    workgroups: () => [1, 1, 1],
    operations: () => 0,
    code: [
      STEP,
      scalerCode(1, "read_write"),
      storage(2, "scales", "read_write", "array<vec2f>"),
      entryPoint(
        1,
        `
  scales[step.slot] = vec2f(scaler.scale, f32(scaler.overflow));
  if (scaler.overflow != 0u) {
    scaler.scale *= 0.5;
    scaler.good_steps = 0u;
  } else if (scaler.good_steps + 1u == ${GROWTH_STEPS}u) {
    scaler.scale *= 2.0;
    scaler.good_steps = 0u;
  } else {
    scaler.good_steps += 1u;
  }
  scaler.overflow = 0u;`,
      ),
    ].join("\n"),
  };
}
