/**
 * Every format of files that hold weights or networks: a new one is a file of
 * its own beside this one, and its line in the list.
 */
import { chooseCopy } from "./copies.ts";
import type { Contents, FileSource, Format, ModelFile } from "./format.ts";
import { flax } from "./flax.ts";
import { hdf5, kerasArchive } from "./keras.ts";
import { npy, npz } from "./numpy.ts";
import { onnx } from "./onnx.ts";
import { pytorchLegacy, pytorchZip } from "./pytorch.ts";
import { safetensors } from "./safetensors.ts";
import { readShards, sharded, shardsOf } from "./sharded.ts";
import { tensorflowjs } from "./tensorflowjs.ts";
import { unread } from "./unread.ts";
import { quote } from "../text/mod.ts";
import { WeightFileError } from "../resnet/mod.ts";

/** In the order in which a file is held against them: what is surest to tell comes first. */
export const FORMATS: readonly Format[] = [
  pytorchZip,
  pytorchLegacy,
  safetensors,
  sharded,
  tensorflowjs,
  kerasArchive,
  hdf5,
  npz,
  npy,
  unread,
  onnx,
  flax,
];

/** ResNet-1202 has 7,219 arrays; looking for the net of arrays takes as long as their square. */
const MOST_ARRAYS = 10_000;

/**
 * Reads a file of any format that is known; which one is told by its content.
 *
 * @param source The file.
 * @param formats Those that are known.
 * @returns What it holds; of several copies of one model, one.
 * @throws {WeightFileError} If it is of no known format, malformed, or exceeds
 *   the limits; the message begins with the file's name.
 *
 * @example
 * ```ts
 * import { decodeModel } from "./formats.ts";
 * import { encodeSafetensors } from "./safetensors.ts";
 * import { assertEquals } from "@std/assert";
 *
 * const bias = { shape: [2], data: Float32Array.of(0.5, -1) };
 * const bytes = encodeSafetensors(new Map([["linear.bias", bias]]));
 * const file = await decodeModel({ name: "final.safetensors", bytes, beside: () => Promise.reject() });
 * assertEquals(file.format, "safetensors");
 * assertEquals(file.tensors.get("linear.bias"), bias);
 * ```
 */
export async function decodeModel(
  source: FileSource,
  formats: readonly Format[] = FORMATS,
): Promise<ModelFile> {
  const formatOf = (part: FileSource) => {
    const format = formats.find(({ recognises }) => recognises(part));
    if (!format) throw new WeightFileError(unknown(part, formats));
    return format;
  };
  const decode = async (part: FileSource): Promise<Contents> =>
    await formatOf(part).read(part, decode);
  try {
    const { id, title } = formatOf(source);
    const shards = shardsOf(source.name);
    const contents = shards ? await readShards(shards, source, decode) : await decode(source);
    if (contents.tensors.size > MOST_ARRAYS) {
      throw new WeightFileError(
        `files of at most ${MOST_ARRAYS} arrays are read, this one has ${contents.tensors.size}; save the weights of one network alone`,
      );
    }
    const { tensors, notes } = contents.network
      ? { tensors: contents.tensors, notes: [] }
      : chooseCopy(contents.tensors);
    return {
      ...contents,
      tensors,
      format: id,
      title,
      metadata: contents.metadata ?? {},
      notes: [...contents.notes ?? [], ...notes],
    };
  } catch (error) {
    if (!(error instanceof WeightFileError)) throw error;
    throw new WeightFileError(`${source.name}: ${error.message}`, { cause: error });
  }
}

function unknown({ bytes }: FileSource, formats: readonly Format[]): string {
  const head = Array.from(bytes.subarray(0, 8), (byte) => byte.toString(16).padStart(2, "0"));
  const text = new TextDecoder().decode(bytes.subarray(0, 24));
  return `none of the formats that are read (${
    formats.map(({ title }) => title).join(", ")
  }): it begins with the bytes ${head.join(" ")}${
    /^[\x20-\x7e\s]+$/.test(text) ? `, ${quote(text)}` : ""
  }. Convert it to safetensors`;
}
