/** Finds TensorFlow's C library and its headers in a folder, however it is laid out. */
import { EngineError } from "../engine.ts";

/** What an addon is compiled and linked against. */
export interface Library {
  /** Folder that holds `tensorflow/c/c_api.h`. */
  readonly headers: string;
  /** The files to link: what the library shares with its plug-ins, then the C library. */
  readonly files: readonly string[];
}

const SUFFIX = Deno.build.os === "darwin" ? ".2.dylib" : ".so.2";

/** Where a C library is: in an official archive, and in Python's package since 2.12. */
const PLACES: readonly string[] = [
  `lib/libtensorflow${SUFFIX}`,
  `libtensorflow${SUFFIX}`,
  `tensorflow/libtensorflow_cc${SUFFIX}`,
  `libtensorflow_cc${SUFFIX}`,
];
const FRAMEWORK_PLACES: readonly string[] = ["lib", ".", "tensorflow"].map((folder) =>
  `${folder}/libtensorflow_framework${SUFFIX}`
);
const HEADER_PLACES: readonly string[] = ["include", "tensorflow/include"];

/**
 * Finds a library.
 *
 * @param folder An unpacked archive of libtensorflow, or Python's package `tensorflow` or the
 *   folder that holds it.
 * @throws {EngineError} If a part is missing; the message names the places that were looked at.
 */
export async function locateLibrary(folder: string): Promise<Library> {
  const find = async (what: string, places: readonly string[]) => {
    for (const place of places) {
      const path = `${folder}/${place}`;
      if (await exists(path)) return path;
    }
    throw new EngineError(
      `looking for TensorFlow in ${folder}: ${what} must be one of ${
        places.join(", ")
      }, found none; name the folder of an unpacked libtensorflow, or of Python's package tensorflow ` +
        `2.12 or newer (older ones have no library of their own)`,
    );
  };
  const library = await find("the C library", PLACES);
  const framework = await find("its second half", FRAMEWORK_PLACES);
  const header = await find(
    "its header",
    HEADER_PLACES.map((place) => `${place}/tensorflow/c/c_api.h`),
  );
  return { headers: header.slice(0, -"/tensorflow/c/c_api.h".length), files: [framework, library] };
}

async function exists(path: string): Promise<boolean> {
  try {
    await Deno.stat(path);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}
