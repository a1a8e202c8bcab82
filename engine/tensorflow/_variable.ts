/** A variable of TensorFlow: floats that an operation may change where they are. */
import type { Attribute, Handle, Operations } from "./_operations.ts";

/** TensorFlow knows variables by name. */
let variables = 0;

/** A vector that is updated in place. */
export class Variable {
  /** What operations that update it take. */
  readonly handle: Handle;
  readonly #tf: Operations;
  readonly #type: readonly Attribute[];

  /** A vector of zeros. */
  constructor(tf: Operations, readonly size: number) {
    this.#tf = tf;
    this.#type = [tf.typeFloat("dtype")];
    this.handle = tf.keep(
      tf.run("VarHandleOp", [], [
        ...this.#type,
        tf.attributeShape("shape", [size]),
        tf.attributeText("shared_name", `resnet ${variables++}`),
      ]),
    );
    this.assign(new Float32Array(size));
  }

  /** Replaces the values; takes the array over. */
  assign(values: Float32Array): void {
    this.#tf.scoped(() => this.set(this.#tf.floats([this.size], values)));
  }

  /** Replaces the values by a tensor's. */
  set(values: Handle): void {
    this.#tf.runAll("AssignVariableOp", [this.handle, values], this.#type, 0);
  }

  /** The values as a tensor. */
  value(): Handle {
    return this.#tf.run("ReadVariableOp", [this.handle], this.#type);
  }

  /** A copy of the values. */
  read(): Float32Array {
    return this.#tf.scoped(() => this.#tf.read(this.value()));
  }

  /** Frees the values; the handle is released with the other tensors. */
  dispose(): void {
    const flag = this.#tf.attributeFlag("ignore_lookup_error", true);
    this.#tf.runAll("DestroyResourceOp", [this.handle], [flag], 0);
  }
}
