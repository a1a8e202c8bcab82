/**
 * Files in which networks and their weights are kept, read without running
 * anything that they hold. And the names that arrays have in them.
 *
 * @module
 */
export type {
  OptimiserState,
  ParameterGroup,
  SavedTraining,
  Scalar,
  SchedulerPart,
  SchedulerState,
} from "./saved_training.ts";
export { chooseCopy, type ChosenCopy } from "./copies.ts";
export type { Contents, Decode, FileSource, Format, ModelFile } from "./format.ts";
export { decodeModel, FORMATS } from "./formats.ts";
export { nameByPlace, type NamedNetwork } from "./naming.ts";
export * from "./onnx.ts";
export { encodeOnnx, type OnnxExportOptions } from "./onnx_export.ts";
export { type FileAccess, openSource, readModelFile } from "./open.ts";
export * from "./permute.ts";
export { decodePyTorch } from "./pytorch.ts";
export * from "./safetensors.ts";
export { storedZip } from "./stored_zip.ts";
export type { KerasExportOptions } from "./_keras_layers.ts";
export { encodeKeras } from "./keras_export.ts";
export { encodeTensorflowJs } from "./tensorflowjs_export.ts";
export * from "./torch_file.ts";
