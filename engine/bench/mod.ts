/**
 * What the benchmarks measure within the engines, and no other room needs: the
 * assembler with its instructions, how V8 joins vectors, the kernels of one
 * convolution on a GPU.
 *
 * @module
 */
export {
  float4,
  get,
  hasRelaxedSimd,
  int,
  Module,
  plainMultiplyAdd,
  relaxedMultiplyAdd,
  repeat,
  set,
  store,
} from "../wasm/assembler.ts";
export { joinedVectors } from "../wasm/_vectors.ts";
export { openGpu } from "../webgpu/_device.ts";
export { Executor } from "../webgpu/_executor.ts";
export { type KernelGroup, type KernelLimits, vectors } from "../webgpu/_kernel.ts";
export { type Launch, programLimits, writeProgram } from "../webgpu/_program.ts";
export { whole } from "../webgpu/_storage.ts";
export { tilesFor } from "../webgpu/kernels/_tiling.ts";
export {
  convolutionKernel,
  type ConvolutionShape,
  type ConvolutionTile,
  type ConvolutionVariant,
} from "../webgpu/kernels/convolution.ts";
