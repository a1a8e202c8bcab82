/** Files of weights, whatever their form. */
import { decodePyTorch, pytorchFormat } from "./pytorch.ts";
import { decodeSafetensors } from "./safetensors.ts";
import { WeightFileError, type Weights } from "../resnet/mod.ts";

/** The forms that are read; each is known by its first bytes. */
export type WeightFormat = "safetensors" | "pytorch-zip" | "pytorch-legacy";

/** What a file of weights holds. */
export interface WeightFile {
  /** Under the file's own names, in its order. */
  readonly tensors: Weights;
  /** Free text of a safetensors header; empty for PyTorch's files. */
  readonly metadata: Readonly<Record<string, string>>;
  /** Which form the content has. */
  readonly format: WeightFormat;
}

/**
 * Reads a file of weights; its form is told by its content, not by its name.
 *
 * @param bytes The whole file.
 * @param fileName For messages.
 * @returns The arrays under the file's own names; {@link fitWeights} gives them
 *   those of a network.
 * @throws {WeightFileError} If the file is of no known form or malformed; the
 *   message begins with the file's name.
 *
 * @example
 * ```ts
 * import { decodeWeights } from "./weight_files.ts";
 * import { encodeSafetensors } from "./safetensors.ts";
 * import { assertEquals } from "@std/assert";
 *
 * const bias = { shape: [2], data: Float32Array.of(0.5, -1) };
 * const file = encodeSafetensors(new Map([["linear.bias", bias]]));
 * const { tensors, format } = decodeWeights(file, "final.safetensors");
 * assertEquals(format, "safetensors");
 * assertEquals(tensors.get("linear.bias"), bias);
 * ```
 */
export function decodeWeights(bytes: Uint8Array, fileName: string): WeightFile {
  try {
    const format = pytorchFormat(bytes);
    if (format) return { tensors: decodePyTorch(bytes), metadata: {}, format };
    // A safetensors file has no signature, but its ninth byte opens the JSON header.
    if (bytes[8] !== "{".charCodeAt(0)) {
      throw new WeightFileError(
        "neither a safetensors file nor one of torch.save; convert it to safetensors",
      );
    }
    return { ...decodeSafetensors(bytes), format: "safetensors" };
  } catch (error) {
    if (!(error instanceof WeightFileError)) throw error;
    throw new WeightFileError(`${fileName}: ${error.message}`, { cause: error });
  }
}
