/**
 * The part of an ONNX graph that computes with constants: the paddings, axes
 * and shapes that exporters write as small calculations.
 */
import type { AttributeValue, Constant, OnnxNode } from "./_onnx_format.ts";
import { MOST_AXES } from "./_elements.ts";
import { permuteAxes } from "./permute.ts";
import { sizeOf } from "../resnet/mod.ts";

/** A calculation on more elements than this is not one on shapes. */
const MOST_ELEMENTS = 65_536;

type Attributes = ReadonlyMap<string, AttributeValue>;
type Calculation = (inputs: readonly (Constant | undefined)[], attributes: Attributes) => Constant;

/**
 * What a node computes from constants alone.
 *
 * @param inputs By position; undefined where an optional one is left out.
 * @returns Undefined where the operator is none of the few that exporters use
 *   for shapes, or its input does not have the form that they give it.
 */
export function calculate(
  node: OnnxNode,
  inputs: readonly (Constant | undefined)[],
): Constant | undefined {
  if (!Object.hasOwn(CALCULATIONS, node.operator)) return undefined;
  const calculation = CALCULATIONS[node.operator];
  try {
    const { shape, data } = calculation(inputs, node.attributes);
    // An axis that is not there to be squeezed, or a negative extent: what follows counts on shapes.
    const isWhole = shape.every((extent) => Number.isInteger(extent) && extent >= 0);
    return isWhole && sizeOf(shape) === data.length ? { shape, data } : undefined;
  } catch (error) {
    if (error instanceof FormError) return undefined;
    throw error;
  }
}

/** A calculation that is not of the form that is computed here. */
class FormError extends Error {}

const CALCULATIONS: Readonly<Record<string, Calculation>> = {
  Constant: (_, attributes) => {
    const tensor = attributes.get("value");
    if (typeof tensor === "object" && "read" in tensor) return tensor.read();
    for (const key of ["value_int", "value_float"]) {
      const value = attributes.get(key);
      if (typeof value === "number") return { shape: [], data: [value] };
    }
    for (const key of ["value_ints", "value_floats"]) {
      const value = attributes.get(key);
      if (Array.isArray(value)) return { shape: [value.length], data: value };
    }
    throw new FormError();
  },
  Identity: ([x]) => needed(x),
  Cast: ([x], attributes) => {
    const { shape, data } = needed(x);
    // Numbers 6 and 7 are the whole numbers that shapes have.
    const whole = attributes.get("to") === 6 || attributes.get("to") === 7;
    return whole ? { shape, data: small(data).map(Math.trunc) } : { shape, data };
  },
  CastLike: ([x]) => needed(x),
  Shape: ([x], attributes) => {
    const start = integer(attributes, "start", 0);
    const extents = needed(x).shape.slice(start, optionalInteger(attributes, "end"));
    return { shape: [extents.length], data: extents };
  },
  ConstantOfShape: ([x], attributes) => {
    const tensor = attributes.get("value");
    const fill = typeof tensor === "object" && "read" in tensor ? tensor.read().data[0] : 0;
    return filled(small(needed(x).data), fill);
  },
  Expand: ([x, shape]) => {
    const { data } = needed(x);
    const target = small(needed(shape).data);
    // Exporters only expand single numbers.
    if (data.length !== 1) throw new FormError();
    return filled(target.length > 0 ? target : [1], data[0]);
  },
  Gather: ([x, indices], attributes) => {
    const { shape, data } = needed(x);
    const at = needed(indices);
    if (shape.length !== 1 || integer(attributes, "axis", 0) !== 0) throw new FormError();
    const gathered = small(at.data).map((index) => data[index < 0 ? index + shape[0] : index]);
    if (gathered.includes(undefined as unknown as number)) throw new FormError();
    return { shape: at.shape, data: gathered };
  },
  Unsqueeze: ([x, axes], attributes) => {
    const { shape, data } = needed(x);
    const added = axes ? small(axes.data) : integers(attributes, "axes") ?? [];
    const rank = shape.length + added.length;
    // A chain of these would make shapes without end.
    if (rank > MOST_AXES) throw new FormError();
    const at = new Set(added.map((axis) => axis < 0 ? axis + rank : axis));
    const rest = shape[Symbol.iterator]();
    return {
      shape: Array.from({ length: rank }, (_, axis) => at.has(axis) ? 1 : rest.next().value ?? 1),
      data,
    };
  },
  Squeeze: ([x, axes], attributes) => {
    const { shape, data } = needed(x);
    const listed = axes ? small(axes.data) : integers(attributes, "axes");
    const removed = listed?.map((axis) => axis < 0 ? axis + shape.length : axis);
    return {
      shape: shape.filter((extent, axis) => removed ? !removed.includes(axis) : extent !== 1),
      data,
    };
  },
  Reshape: ([x, target]) => {
    const { shape, data } = needed(x);
    const extents = small(needed(target).data)
      .map((extent, axis) => extent === 0 ? shape[axis] ?? 0 : extent);
    const known = sizeOf(extents.filter((extent) => extent !== -1));
    const reshaped = extents.map((extent) => extent === -1 ? data.length / known : extent);
    if (sizeOf(reshaped) !== data.length) throw new FormError();
    return { shape: reshaped, data };
  },
  Transpose: ([x], attributes) => {
    const { shape, data } = needed(x);
    const permutation = integers(attributes, "perm") ?? shape.map((_, i) => i).reverse();
    const sorted = permutation.toSorted((a, b) => a - b);
    if (sorted.length !== shape.length || sorted.some((axis, i) => axis !== i)) {
      throw new FormError();
    }
    const floats = data instanceof Float32Array ? data : Float32Array.from(data);
    return permuteAxes({ shape, data: floats }, permutation);
  },
  Concat: (parts, attributes) => {
    const constants = parts.map(needed);
    if (integer(attributes, "axis", 0) !== 0 || constants.some(({ shape }) => shape.length !== 1)) {
      throw new FormError();
    }
    // Before anything is copied: a name may stand among the inputs any number of times.
    const length = constants.reduce((sum, { data }) => sum + data.length, 0);
    if (length > MOST_ELEMENTS) throw new FormError();
    const data = constants.flatMap(({ data }) => small(data));
    return { shape: [data.length], data };
  },
  Slice: ([x, start, end, axes, step]) => {
    const constant = needed(x);
    const { shape } = constant;
    const [from, to] = [small(needed(start).data), small(needed(end).data)];
    const axis = axes ? small(axes.data) : [0];
    const by = step ? small(step.data)[0] : 1;
    const whole = from.length === 1 && to.length === 1 && axis.length === 1 && axis[0] === 0 &&
      [from[0], to[0], by].every(Number.isInteger);
    if (!whole || by === 0 || shape.length === 0) throw new FormError();
    // As Python slices: negative positions count from the end.
    const clamp = (position: number) =>
      Math.max(
        by < 0 ? -1 : 0,
        Math.min(by < 0 ? shape[0] - 1 : shape[0], position < 0 ? position + shape[0] : position),
      );
    const [first, last] = [clamp(from[0]), clamp(to[0])];
    const rows = Math.max(0, Math.ceil((last - first) / by));
    const width = sizeOf(shape.slice(1));
    const values = small(constant.data);
    return {
      shape: [rows, ...shape.slice(1)],
      data: Array.from(
        { length: rows * width },
        (_, i) => values[(first + by * Math.floor(i / width)) * width + i % width],
      ),
    };
  },
  Add: elementwise((a, b) => a + b),
  Sub: elementwise((a, b) => a - b),
  Mul: elementwise((a, b) => a * b),
  Div: elementwise((a, b) => a / b),
};

function elementwise(operation: (a: number, b: number) => number): Calculation {
  return ([x, y]) => {
    const [a, b] = [needed(x), needed(y)];
    const long = a.data.length >= b.data.length ? a : b;
    if (a.data.length !== b.data.length && Math.min(a.data.length, b.data.length) !== 1) {
      throw new FormError();
    }
    const at = ({ data }: Constant, i: number) => data[data.length === 1 ? 0 : i];
    const data = small(long.data).map((_, i) => operation(at(a, i), at(b, i)));
    return {
      shape: long.shape,
      data: long.data instanceof Float32Array ? new Float32Array(data) : data,
    };
  };
}

function filled(shape: readonly number[], value: number): Constant {
  const count = sizeOf(shape);
  const isShape = shape.every((extent) => Number.isInteger(extent) && extent >= 0);
  if (!isShape || count > MOST_ELEMENTS) throw new FormError();
  return { shape, data: new Array<number>(count).fill(value) };
}

function needed(constant: Constant | undefined): Constant {
  if (!constant) throw new FormError();
  return constant;
}

function small(data: Constant["data"]): number[] {
  if (data.length > MOST_ELEMENTS) throw new FormError();
  return [...data];
}

function integer(attributes: Attributes, name: string, otherwise: number): number {
  return optionalInteger(attributes, name) ?? otherwise;
}

function optionalInteger(attributes: Attributes, name: string): number | undefined {
  const value = attributes.get(name);
  return typeof value === "number" ? value : undefined;
}

function integers(attributes: Attributes, name: string): readonly number[] | undefined {
  const value = attributes.get(name);
  return Array.isArray(value) ? value : undefined;
}
