/** Weight files from the command line: reading them and telling what network they are of. */
import type { Architecture, Weights } from "../resnet/mod.ts";
import { decodeWeights, type WeightFile } from "../weights/mod.ts";
import { CommandError } from "./_main.ts";

/**
 * Reads a weight file.
 *
 * @throws {CommandError} If there is no such file.
 * @throws {WeightFileError} If it is not a weight file.
 */
export async function readWeights(
  path: string,
): Promise<WeightFile & { readonly bytes: Uint8Array }> {
  let bytes: Uint8Array;
  try {
    bytes = await Deno.readFile(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotCapable || !(error instanceof Error)) throw error;
    throw new CommandError(
      `the weight file "${path}" could not be read: ${error.message}. Give the path of a .safetensors, .pt or .th file`,
      { cause: error },
    );
  }
  return { ...decodeWeights(bytes, path), bytes };
}

/**
 * The architecture that names and shapes belong to. A plain net can't be told
 * from one with option A, which has no parameters: the latter is assumed.
 *
 * @throws {CommandError} If they belong to none that is known.
 */
export function inferArchitecture(
  tensors: Weights,
  source: string,
): Pick<Architecture, "name" | "shortcut" | "classes"> {
  // Wrappers put prefixes such as `module.` before every name.
  const shapes = new Map<string, readonly number[]>();
  for (const [name, { shape }] of tensors) {
    shapes.set(name.replace(/^.*?(?=conv1\.|layer\d+\.|linear\.|fc\.)/, ""), shape);
  }
  const blocks = [1, 2, 3, 4].map((stage) =>
    new Set([...shapes.keys()].map((name) => blockOf(name, stage)).filter(Boolean)).size
  );
  const [width, , kernel] = shapes.get("conv1.weight") ?? [];
  const [classes] = shapes.get("linear.weight") ?? shapes.get("fc.weight") ?? [];
  const projections = [...shapes.keys()].some((name) => /\.(shortcut|downsample)\.0\./.test(name));
  const shortcut = projections ? "B" : "A";
  const [n] = blocks;
  if (classes > 0 && width === 16 && n > 0 && blocks.join() === [n, n, n, 0].join()) {
    return { name: `resnet${6 * n + 2}`, shortcut, classes };
  }
  const depth = { "2,2,2,2": 18, "3,4,6,3": 34 }[blocks.join()];
  if (classes > 0 && width === 64 && depth !== undefined) {
    return { name: kernel === 7 ? `resnet${depth}` : `resnet${depth}-cifar`, shortcut, classes };
  }
  throw new CommandError(
    `the arrays of ${source} are of no architecture that is known: ${
      blocks.join(", ")
    } blocks in ` +
      `four stages after a first layer of ${width ?? "no"} filters. Say which it is with --arch`,
  );
}

function blockOf(name: string, stage: number): string | undefined {
  return new RegExp(`^layer${stage}\\.(\\d+)\\.`).exec(name)?.[1];
}
