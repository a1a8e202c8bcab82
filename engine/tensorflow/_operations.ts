/**
 * Native operations of TensorFlow on tensors that live on its device, through the binding of
 * `@tensorflow/tfjs-node`: one call an operation, and no tensor that outlives its scope unasked.
 *
 * TensorFlow.js itself tracks each tensor in its global engine, for whichever backend is the
 * current one; this class keeps its own handles instead, so that engines on libtensorflow and in
 * plain JavaScript can run in one process, and an operation costs a third less.
 */

/** A tensor of the binding: a number that stands for it until it is released. */
export type Handle = number & { readonly brand: unique symbol };

/** An attribute of an operation, as the binding takes it. */
export interface Attribute {
  readonly name: string;
  readonly type: number;
  readonly value: boolean | number | string | readonly number[];
}

/** What the binding tells of an operation's output. */
interface TensorInfo {
  readonly id: Handle;
  readonly shape: readonly number[];
  readonly dtype: number;
}

/** The native addon's exports, as `@tensorflow/tfjs-node` declares them in tfjs_binding.ts. */
export interface Binding {
  readonly TF_Version: string;
  readonly TF_FLOAT: number;
  readonly TF_INT32: number;
  readonly TF_UINT8: number;
  readonly TF_ATTR_STRING: number;
  readonly TF_ATTR_INT: number;
  readonly TF_ATTR_FLOAT: number;
  readonly TF_ATTR_BOOL: number;
  readonly TF_ATTR_TYPE: number;
  readonly TF_ATTR_SHAPE: number;
  isUsingGpuDevice(): boolean;
  getNumOfTensors(): number;
  createTensor(
    shape: readonly number[],
    dtype: number,
    values: Float32Array | Int32Array | Uint8Array,
  ): Handle;
  deleteTensor(tensor: Handle): void;
  tensorDataSync(tensor: Handle): Float32Array | Int32Array | Uint8Array;
  executeOp(
    name: string,
    attributes: readonly Attribute[],
    inputs: readonly Handle[],
    outputs: number,
  ): TensorInfo[];
}

/** Runs operations and owns the tensors that they make. */
export class Operations {
  readonly #binding: Binding;
  /** Tensors that end with the innermost scope. */
  #scope = new Set<Handle>();
  /** Tensors that stay until they are released. */
  #kept = new Set<Handle>();
  /** Small constants by type and content, kept. */
  #constants = new Map<string, Handle>();

  constructor(binding: Binding) {
    this.#binding = binding;
  }

  /** Runs `work` and releases every tensor that it made and did not keep. */
  scoped<T>(work: () => T): T {
    const outer = this.#scope;
    const inner = new Set<Handle>();
    this.#scope = inner;
    try {
      return work();
    } finally {
      this.#scope = outer;
      for (const tensor of inner) this.#binding.deleteTensor(tensor);
    }
  }

  /** Takes a tensor out of its scope: it stays until it is released. */
  keep(tensor: Handle): Handle {
    this.#scope.delete(tensor);
    this.#kept.add(tensor);
    return tensor;
  }

  /** Ends a tensor's life before its scope does, or that of a kept one. */
  release(tensor: Handle): void {
    if (this.#scope.delete(tensor) || this.#kept.delete(tensor)) {
      this.#binding.deleteTensor(tensor);
    }
  }

  /** Releases every tensor. */
  dispose(): void {
    for (const tensor of [...this.#kept, ...this.#scope]) this.#binding.deleteTensor(tensor);
    this.#kept.clear();
    this.#scope.clear();
    this.#constants.clear();
  }

  /** A tensor of floats. The binding shares the array's memory: nobody may write to it again. */
  floats(shape: readonly number[], values: Float32Array): Handle {
    return this.#made(this.#binding.createTensor(shape, this.#binding.TF_FLOAT, values));
  }

  /** A tensor of 32-bit integers, which stay in the host's memory; shared as for `floats`. */
  integers(shape: readonly number[], values: Int32Array): Handle {
    return this.#made(this.#binding.createTensor(shape, this.#binding.TF_INT32, values));
  }

  /** A vector of integers that is made once: shapes, sizes, axes. */
  vector(...values: readonly number[]): Handle {
    return this.#constant(
      `[${values}]`,
      () => this.integers([values.length], Int32Array.from(values)),
    );
  }

  /** Rows of integers that are made once: paddings. */
  matrix(rows: number, columns: number, values: readonly number[]): Handle {
    return this.#constant(
      `[${rows}x${columns}: ${values}]`,
      () => this.integers([rows, columns], Int32Array.from(values)),
    );
  }

  /** An integer that is made once. */
  integer(value: number): Handle {
    return this.#constant(`${value}`, () => this.integers([], Int32Array.of(value)));
  }

  /** A float that is made once. */
  float(value: number): Handle {
    return this.#constant(`${value}f`, () => this.floats([], Float32Array.of(value)));
  }

  /** An operation with one output. */
  run(name: string, inputs: readonly Handle[], attributes: readonly Attribute[]): Handle {
    return this.#made(this.#binding.executeOp(name, attributes, inputs, 1)[0].id);
  }

  /** An operation with several outputs, or none. */
  runAll(
    name: string,
    inputs: readonly Handle[],
    attributes: readonly Attribute[],
    outputs: number,
  ): Handle[] {
    return this.#binding.executeOp(name, attributes, inputs, outputs)
      .map(({ id }) => this.#made(id));
  }

  /** A copy of a tensor's floats; waits for what computes them. */
  read(tensor: Handle): Float32Array {
    return this.#binding.tensorDataSync(tensor) as Float32Array;
  }

  /** An attribute that holds the type of floats, under a name: most operations call it T. */
  typeFloat(name = "T"): Attribute {
    return { name, type: this.#binding.TF_ATTR_TYPE, value: this.#binding.TF_FLOAT };
  }

  typeInteger(name: string): Attribute {
    return { name, type: this.#binding.TF_ATTR_TYPE, value: this.#binding.TF_INT32 };
  }

  typeByte(name: string): Attribute {
    return { name, type: this.#binding.TF_ATTR_TYPE, value: this.#binding.TF_UINT8 };
  }

  /** A whole number, or a list of them. */
  attributeInteger(name: string, value: number | readonly number[]): Attribute {
    return { name, type: this.#binding.TF_ATTR_INT, value };
  }

  attributeFloat(name: string, value: number): Attribute {
    return { name, type: this.#binding.TF_ATTR_FLOAT, value };
  }

  attributeFlag(name: string, value: boolean): Attribute {
    return { name, type: this.#binding.TF_ATTR_BOOL, value };
  }

  attributeText(name: string, value: string): Attribute {
    return { name, type: this.#binding.TF_ATTR_STRING, value };
  }

  attributeShape(name: string, value: readonly number[]): Attribute {
    return { name, type: this.#binding.TF_ATTR_SHAPE, value };
  }

  #made(tensor: Handle): Handle {
    this.#scope.add(tensor);
    return tensor;
  }

  #constant(key: string, make: () => Handle): Handle {
    const known = this.#constants.get(key);
    if (known !== undefined) return known;
    const made = this.keep(make());
    this.#constants.set(key, made);
    return made;
  }
}
