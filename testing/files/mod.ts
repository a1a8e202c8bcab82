/**
 * Files as others write them: archives in CIFAR's format, files of weights, and
 * models of other frameworks with what those compute.
 *
 * @module
 */
export * from "./archives.ts";
export * from "./array_files.ts";
export {
  images,
  logitsOf,
  MODEL_NAMES,
  modelFile,
  type ModelName,
  publishedArrays,
} from "./foreign_models.ts";
export * from "./is_there.ts";
export * from "./weight_file_fixtures.ts";
export * from "./namings.ts";
export * from "./numbers.ts";
export * from "./onnx_files.ts";
export * from "./onnx_nets.ts";
export * from "./recording.ts";
export * from "./states.ts";
export {
  PythonGlobal,
  PythonObject,
  PythonTuple,
  type PythonValue,
  storedZip,
  torchFile,
  type TorchFileOptions,
  type TorchType,
} from "../../weights/mod.ts";
