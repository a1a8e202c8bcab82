/** Where the native part of the backend is kept, and what is known of it. */
import { cacheFolder, writeWhole } from "../../files/mod.ts";

/** What a library was built for. */
export type DeviceKind = "cpu" | "gpu";

/** A library of TensorFlow and the addon that was built against it. */
export interface Installation {
  /** The addon, a file to load into the process. */
  readonly addon: string;
  /** The library's files, each after those that it depends on. */
  readonly libraries: readonly string[];
  /** The folder of the library; NVIDIA's own libraries are in `nvidia/` beside it, if provisioned. */
  readonly folder: string;
  /** TensorFlow's version, for example 2.21.0. */
  readonly version: string;
  /** Where the library came from, for people. */
  readonly source: string;
}

/** Where everything of the backend is kept. */
export function backendFolder(): string {
  return `${cacheFolder()}/tensorflow`;
}

/** The file that names the installation in use; it is written last. */
function recordPath(kind: DeviceKind): string {
  return `${backendFolder()}/${kind}.json`;
}

/** The installation in use, or undefined where none was provisioned. */
export async function findInstallation(kind: DeviceKind): Promise<Installation | undefined> {
  try {
    return JSON.parse(await Deno.readTextFile(recordPath(kind)));
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

/** Puts an installation into use. */
export async function recordInstallation(
  kind: DeviceKind,
  installation: Installation,
): Promise<void> {
  const path = recordPath(kind);
  await writeWhole(path, JSON.stringify(installation, undefined, 2) + "\n");
}
