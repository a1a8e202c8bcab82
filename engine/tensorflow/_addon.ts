/**
 * Builds TensorFlow.js's native addon from the sources in its package.
 *
 * By the compiler itself and not by node-gyp: the addon is two C++ files on Node-API, an interface
 * of C functions that is the same in every runtime, so that a compiler's one command does what
 * node-gyp needs Python, make, Node and Node's own headers for. Those of Node-API come from the
 * npm package `node-api-headers`. The packages' prebuilt addon is not taken: nobody publishes its
 * checksum, while npm's integrity covers the sources, and no prebuilt one fits newer libraries.
 */
import nodeApi from "node-api-headers";
import { EngineError } from "../engine.ts";
import { packageFolder } from "../tfjs/packages/mod.ts";
import type { Library } from "./_library.ts";

/** Programs that compile C++, in order of preference. */
export const COMPILERS = ["c++", "g++", "clang++"] as const;

const INSTALL_COMPILER = Deno.build.os === "darwin"
  ? "xcode-select --install"
  : "apt-get install g++ (Debian, Ubuntu), dnf install gcc-c++ (Fedora) or apk add g++ (Alpine)";

/** A folder of the packages' sources: the same files in both packages. */
async function sourceFolder(): Promise<string> {
  return `${await packageFolder("@tensorflow/tfjs-node-gpu")}/binding`;
}

/** The compiler's arguments; the addon finds its library by the paths that it was linked with. */
export function compilerArguments(library: Library, sources: string, output: string): string[] {
  const folders = new Set(library.files.map((file) => file.slice(0, file.lastIndexOf("/"))));
  return [
    ...["-shared", "-fPIC", "-O2", "-std=c++17", "-DNAPI_VERSION=8"],
    ...[`-I${nodeApi.include_dir}`, `-I${library.headers}`],
    ...[`${sources}/tfjs_backend.cc`, `${sources}/tfjs_binding.cc`],
    ...["-o", output],
    ...library.files,
    ...[...folders].map((folder) => `-Wl,-rpath,${folder}`),
    // Node-API's functions are the runtime's own; Apple's linker wants to be told.
    ...(Deno.build.os === "darwin" ? ["-undefined", "dynamic_lookup"] : []),
  ];
}

/**
 * Compiles and links the addon.
 *
 * @param output Where it goes; it is whole or not there.
 * @throws {EngineError} If there is no compiler (the message says how to install one), or it fails.
 */
export async function buildAddon(library: Library, output: string): Promise<void> {
  const part = `${output}.part`;
  const args = compilerArguments(library, await sourceFolder(), part);
  for (const compiler of COMPILERS) {
    const result = await runCompiler(compiler, args);
    if (!result) continue;
    if (!result.success) {
      throw new EngineError(
        `building TensorFlow.js's addon: ${compiler} must compile it against ${library.headers}, ` +
          `and ended with ${result.code}:\n${new TextDecoder().decode(result.stderr).trim()}\n` +
          `Choose another version of TensorFlow: see engine/tensorflow/VERSIONS.md`,
      );
    }
    await Deno.rename(part, output);
    return;
  }
  throw new EngineError(
    `building TensorFlow.js's addon: needs a C++ compiler, found none of ${
      COMPILERS.join(", ")
    }; ` +
      `install one: ${INSTALL_COMPILER}`,
  );
}

async function runCompiler(
  compiler: string,
  args: string[],
): Promise<Deno.CommandOutput | undefined> {
  try {
    return await new Deno.Command(compiler, { args, stdout: "null", stderr: "piped" }).output();
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}
