/** Weights in several files, as Hugging Face's libraries split them: an index, and its shards. */
import type { Contents, Decode, FileSource, Format } from "./format.ts";
import { isRecord, jsonOf } from "./_json.ts";
import { quote } from "../text/mod.ts";
import { type Tensor, WeightFileError } from "../resnet/mod.ts";

/** More files than ResNet-1202 would take at a megabyte each. */
const MOST_SHARDS = 100;

/** `model.safetensors.index.json` or `pytorch_model.bin.index.json`. */
export const sharded: Format = {
  id: "sharded",
  title: "weights in several files",
  leads: ["model.safetensors.index.json", "pytorch_model.bin.index.json"],
  recognises: ({ bytes }) => isRecord(jsonOf(bytes)?.weight_map),
  read: async (source, decode) => {
    const map = jsonOf(source.bytes)!.weight_map as Record<string, unknown>;
    const files = new Set(Object.values(map));
    if (![...files].every((file) => typeof file === "string") || files.size > MOST_SHARDS) {
      throw new WeightFileError(
        `the index must name at most ${MOST_SHARDS} files, one for each array`,
      );
    }
    return await readShards([...files] as string[], source, decode);
  },
};

const SHARD = /-(\d{1,6})-of-(\d{1,6})(\.(?:safetensors|bin|pth?))$/;

/**
 * The names of all shards where a file's own name says that it is one of
 * several; undefined for a file that stands alone.
 */
export function shardsOf(path: string): readonly string[] | undefined {
  const match = SHARD.exec(path);
  if (!match) return undefined;
  const [suffix, first, count, extension] = match;
  const stem = path.slice(0, -suffix.length).replace(/^.*[/\\]/, "");
  const number = Number(count);
  if (number < 2 || number > MOST_SHARDS) return undefined;
  return Array.from(
    { length: number },
    (_, i) => `${stem}-${String(i + 1).padStart(first.length, "0")}-of-${count}${extension}`,
  );
}

/** The arrays of all shards together. */
export async function readShards(
  files: readonly string[],
  source: FileSource,
  decode: Decode,
): Promise<Contents> {
  const tensors = new Map<string, Tensor>();
  let metadata: Contents["metadata"];
  let ordered = true;
  for (const file of files) {
    const name = `${source.name}: ${file}`;
    const part = await decode({ name, bytes: await source.beside(file), beside: source.beside });
    for (const [array, tensor] of part.tensors) {
      if (tensors.has(array)) {
        throw new WeightFileError(`two shards hold ${quote(array)}; get the files again`);
      }
      tensors.set(array, tensor);
    }
    metadata ??= part.metadata;
    ordered &&= part.ordered;
  }
  return {
    tensors,
    ordered,
    ...(metadata ? { metadata } : {}),
    notes: [`the arrays of ${files.length} shards together: ${files.slice(0, 3).join(", ")}`],
  };
}
