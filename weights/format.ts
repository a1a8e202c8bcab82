/** What a format of weight files is, and what is read from a file of any. */
import type { Weights } from "../resnet/mod.ts";
import type { SavedTraining } from "./saved_training.ts";
import type { OnnxModel } from "./onnx_model.ts";

/** A file that is read, and a way to what lies beside it. */
export interface FileSource {
  /** For messages, and where a name tells what the bytes do not. */
  readonly name: string;
  /** The whole file. */
  readonly bytes: Uint8Array;
  /**
   * A file of the same folder, or of a folder below it, by the name that this file gives it.
   *
   * @throws {WeightFileError} If there is none, it is too large, or the name leaves the folder.
   */
  readonly beside: (name: string) => Promise<Uint8Array>;
}

/** Weights under their names. */
export interface NamedWeights {
  /** The key, prefix or file that they stand under; empty where they stand alone. */
  readonly name: string;
  /** Under the file's own names, in its order. */
  readonly tensors: Weights;
}

/** What a format's reader makes of a file. */
export interface Contents {
  /** The arrays under the file's own names, in its order. */
  readonly tensors: Weights;
  /** The network, where the file holds its operations and not only its arrays. */
  readonly network?: OnnxModel;
  /** Operations that no network of ours has, each with where and why; then `network` is missing. */
  readonly unmapped?: readonly string[];
  /** Free text of a safetensors header. */
  readonly metadata?: Readonly<Record<string, string>>;
  /** What a training script saved beside the weights. */
  readonly training?: SavedTraining;
  /** What a reader should know, each as one sentence without its end. */
  readonly notes?: readonly string[];
  /**
   * Whether the order of the arrays is the order in which the network's layers
   * were made; false where the format sorts them.
   */
  readonly ordered: boolean;
}

/** Reads a file of any format. */
export type Decode = (source: FileSource) => Promise<Contents>;

/** One format: how it is known, and its reader. */
export interface Format {
  /** Short and stable, for example `pytorch-zip`. */
  readonly id: string;
  /** In words, for example `PyTorch's zip archive`. */
  readonly title: string;
  /** Names of the files that lead a folder of this format. */
  readonly leads?: readonly string[];
  /** Whether a file is of this format, by its first bytes or its name. */
  readonly recognises: (source: FileSource) => boolean;
  /**
   * Reads a file that is recognised; `decode` reads a part that is a file of its own.
   *
   * @throws {WeightFileError} If it is malformed, exceeds the limits, or is of a format that is
   *   known and not read: then the message has the line that converts it.
   */
  readonly read: (source: FileSource, decode: Decode) => Contents | Promise<Contents>;
}

/** What was read from a file. */
export interface ModelFile extends Contents {
  /** Which format it has: {@linkcode Format.id}. */
  readonly format: string;
  /** The format in words. */
  readonly title: string;
  /** Free text of a safetensors header; empty for other formats. */
  readonly metadata: Readonly<Record<string, string>>;
  /** What a reader should know. */
  readonly notes: readonly string[];
}

/** Whether bytes begin with others. */
export function beginsWith(bytes: Uint8Array, signature: readonly number[]): boolean {
  return signature.every((byte, i) => bytes[i] === byte);
}

/** The first bytes as text, one character a byte. */
export function headText(bytes: Uint8Array, length: number): string {
  return Array.from(bytes.subarray(0, length), (byte) => String.fromCharCode(byte)).join("");
}
