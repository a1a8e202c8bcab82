/**
 * Reads residual networks from ONNX files, as the exporters of PyTorch
 * (torch.onnx.export, both of them), tf2onnx and Keras write them, and maps
 * their operations to the nodes of our graph.
 */
import type { Format } from "./format.ts";
import { readOnnxFile } from "./_onnx_format.ts";
import { contentsOf, networkOf } from "./_onnx_network.ts";
import type { OnnxModel } from "./onnx_model.ts";
import { WeightFileError } from "../resnet/mod.ts";

export { OnnxOperatorError } from "./_onnx_network.ts";
export type { OnnxModel } from "./onnx_model.ts";
export type {
  InputTransform,
  OnnxDeparture,
  OnnxDepartureId,
  OnnxNote,
  OnnxNoteId,
} from "./_onnx_values.ts";

/** A model with its operations. */
export const onnx: Format = {
  id: "onnx",
  title: "an ONNX file",
  recognises: ({ bytes }) => isOnnx(bytes),
  read: async ({ bytes, beside }) => {
    const file = readOnnxFile(bytes);
    for (const part of file.parts.keys()) file.parts.set(part, await beside(part));
    return contentsOf(file);
  },
};

/** Whether bytes begin as an ONNX file does: with a version of the format. */
export function isOnnx(bytes: Uint8Array): boolean {
  // Field 1 as a number; versions from 3 (2017) to 13 (2025) exist.
  return bytes[0] === 0x08 && bytes[1] >= 1 && bytes[1] < 64;
}

/**
 * Reads a network from an ONNX file. No code of the file is run; memory stays
 * below 512 MiB above the file's own size.
 *
 * @param bytes The whole file, with the weights inside.
 * @returns The network under our names; images are [N, H, W, C].
 * @throws {OnnxOperatorError} If operations have no counterpart in our graph.
 * @throws {WeightFileError} If the file is malformed or its weights lie in
 *   other files.
 *
 * @example A text is no ONNX file.
 * ```ts
 * import { decodeOnnx } from "./onnx.ts";
 * import { WeightFileError } from "../resnet/mod.ts";
 * import { assertThrows } from "@std/assert";
 *
 * assertThrows(() => decodeOnnx(new TextEncoder().encode("a text")), WeightFileError);
 * ```
 */
export function decodeOnnx(bytes: Uint8Array): OnnxModel {
  if (!isOnnx(bytes)) {
    throw new WeightFileError(
      "not an ONNX file: it does not begin with a version of the format; export the model with torch.onnx.export or tf2onnx",
    );
  }
  return networkOf(readOnnxFile(bytes));
}
