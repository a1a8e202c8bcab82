/**
 * Files in which networks and their weights are kept: safetensors, PyTorch's,
 * ONNX; read without running anything that they hold. And the names that
 * arrays have in them.
 *
 * @module
 */
export { nameByPlace, type NamedNetwork } from "./naming.ts";
export * from "./onnx.ts";
export * from "./permute.ts";
export { decodePyTorch } from "./pytorch.ts";
export * from "./safetensors.ts";
export * from "./weight_files.ts";
