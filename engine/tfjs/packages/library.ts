/**
 * What the engine uses of TensorFlow.js, as its structure: types alone, so that whoever never runs
 * this engine need not download the package (hundreds of megabytes), nor to check types.
 *
 * Source: the declarations of `@tensorflow/tfjs` 4.22.0.
 */

/** An array on the backend. */
export interface Tensor {
  readonly shape: number[];
  readonly size: number;
  readonly rank: number;
  dataSync(): Float32Array<ArrayBuffer>;
  add(other: Tensor | number): Tensor;
  sub(other: Tensor): Tensor;
  mul(other: Tensor): Tensor;
  div(other: Tensor | number): Tensor;
  matMul(other: Tensor): Tensor;
  mean(axes: readonly number[]): Tensor;
  sum(): Tensor;
  square(): Tensor;
  rsqrt(): Tensor;
  relu(): Tensor;
  logSoftmax(): Tensor;
  transpose(permutation?: readonly number[]): Tensor;
  pad(paddings: readonly (readonly [number, number])[]): Tensor;
}

/** The package. */
export interface Library {
  readonly version: { readonly tfjs: string };
  enableProdMode(): void;
  getBackend(): string;
  setBackend(name: string): Promise<boolean>;
  findBackend(name: string): unknown;
  registerBackend(name: string, factory: () => unknown, priority: number): boolean;
  memory(): { readonly numTensors: number };
  tidy<T>(use: () => T): T;
  tensor(data: Float32Array, shape: readonly number[], type?: "float32"): Tensor;
  tensor1d(data: Int32Array, type: "int32"): Tensor;
  scalar(value: number): Tensor;
  oneHot(indices: Tensor, depth: number): Tensor;
  conv2d(x: Tensor, kernel: Tensor, stride: number, padding: number | "same"): Tensor;
  maxPool(x: Tensor, window: number, stride: number, padding: number): Tensor;
  avgPool(x: Tensor, window: number, stride: number, padding: "valid"): Tensor;
  grads(f: (...tensors: Tensor[]) => Tensor): (tensors: readonly Tensor[]) => Tensor[];
  valueAndGrads(
    f: (...tensors: Tensor[]) => Tensor,
  ): (tensors: readonly Tensor[]) => { readonly value: Tensor; readonly grads: Tensor[] };
}
