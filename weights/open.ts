/** Files of weights from disk: a file, or a folder that holds one. */
import type { FileSource, Format, ModelFile } from "./format.ts";
import { decodeModel, FORMATS } from "./formats.ts";
import { disk, readWhole } from "../files/mod.ts";
import { quote } from "../text/mod.ts";
import { WeightFileError } from "../resnet/mod.ts";

/** The largest network here has 87 MB of weights, and an optimiser may keep twice as much beside. */
const MOST_BYTES = 1024 ** 3;

/** How files are reached. */
export interface FileAccess {
  /** What stands at a path; throws where there is nothing. */
  readonly stat: (
    path: string,
  ) => Promise<{ readonly isDirectory: boolean; readonly size: number }>;
  /** The whole file; throws where there is none. */
  readonly read: (path: string) => Promise<Uint8Array>;
}

const DISK: FileAccess = { stat: disk.stat, read: readWhole };

/**
 * Opens a file of weights or of a network, or the one that leads a folder.
 *
 * @param path Of a file or a folder.
 * @param access How files are reached; the disk by default.
 * @returns The file, to be decoded.
 * @throws {WeightFileError} If there is nothing that can be read.
 */
export async function openSource(path: string, access: FileAccess = DISK): Promise<FileSource> {
  const bare = path.replace(/(?<=[^/\\])[/\\]+$/, "");
  const { isDirectory } = await statOf(bare, access);
  const file = isDirectory ? `${bare}/${await leadOf(bare, access)}` : bare;
  const folder = /^(.*[/\\])?/.exec(file)![0];
  let left = MOST_BYTES;
  const take = async (path: string) => {
    const { size } = await statOf(path, access);
    left -= size;
    if (left < 0) {
      throw new WeightFileError(
        `${path}: files of at most ${MOST_BYTES} bytes together are read, and with its ${size} there are more; the largest network here has 87 MB of weights, so save the weights alone`,
      );
    }
    return await access.read(path);
  };
  return {
    name: path,
    bytes: await take(file),
    beside: (name) => {
      const parts = name.split("/");
      if (/[\\:\0]/.test(name) || name === "" || parts.some((part) => /^(\.\.?)?$/.test(part))) {
        throw new WeightFileError(
          `the file names ${
            quote(name)
          } as a part of it, which must be a path below its own folder`,
        );
      }
      return take(folder + name);
    },
  };
}

/**
 * Reads a file of weights or of a network, whatever its format.
 *
 * @param path Of a file, or of a folder that a known file leads.
 * @param access How files are reached; the disk by default.
 * @returns What it holds.
 * @throws {WeightFileError} If there is none, or it can't be read.
 */
export async function readModelFile(path: string, access: FileAccess = DISK): Promise<ModelFile> {
  return await decodeModel(await openSource(path, access));
}

async function statOf(path: string, access: FileAccess) {
  try {
    return await access.stat(path);
  } catch (error) {
    if (disk.isRefused(error) || !(error instanceof Error)) throw error;
    throw new WeightFileError(
      `the weight file "${path}" could not be read: ${error.message}. Give the path of a file of weights, or of a network`,
      { cause: error },
    );
  }
}

/** The first file that leads a folder of any format. */
async function leadOf(
  folder: string,
  access: FileAccess,
  formats: readonly Format[] = FORMATS,
): Promise<string> {
  const leads = formats.flatMap(({ leads = [] }) => leads);
  for (const lead of leads) {
    try {
      if (!(await access.stat(`${folder}/${lead}`)).isDirectory) return lead;
    } catch (error) {
      if (!disk.isMissing(error)) throw error;
    }
  }
  throw new WeightFileError(
    `"${folder}" is a folder: there is no events.jsonl of a run in it, and none of ${
      leads.join(", ")
    }; give the path of the file itself`,
  );
}
