/**
 * What the packages `@tensorflow/tfjs-node` and `@tensorflow/tfjs-node-gpu` 4.22.0 need to run
 * under Deno 2.9 and with today's TensorFlow. Each entry says what breaks, since when, and how to
 * see that it is no longer needed; the test beside this file fails when that is so.
 */
import { createRequire } from "node:module";

const require = createRequire(import.meta.url);

/**
 * `util.isNullOrUndefined`, which the packages' JavaScript calls for every operation.
 *
 * Breaks: "(0, util_1.isNullOrUndefined) is not a function" at the first operation. Since: Node 23
 * took the function away, and Deno followed (2.9 has none). No longer needed: when a version of
 * the packages does not call it, or the runtime has it again.
 */
export function restoreUtil(): void {
  // The CommonJS module object is what the packages hold; the ES module's view of it is frozen.
  const util = require("node:util") as { isNullOrUndefined?: (value: unknown) => boolean };
  util.isNullOrUndefined ??= (value) => value === null || value === undefined;
}

/**
 * The packages' entry asks node-pre-gyp for an addon within the package's folder, which only its
 * install script makes. Deno runs no install scripts and keeps packages in a cache that is shared
 * and verified, so nothing may be written there: the addon lives in our own folder and is loaded
 * from it, and the packages' other modules are imported one by one.
 *
 * Breaks: "The Node.js native addon module (tfjs_binding.node) can not be found". Since: always
 * under Deno without a `node_modules` folder. No longer needed: when importing the package's entry
 * works after a fresh `deno cache`.
 */
export function loadAddon(path: string): unknown {
  return require(path);
}

/**
 * Loads libraries so that each one's own symbols come before those that the process has already.
 *
 * TensorFlow brings LLVM, as Mesa's drivers do, which WebGPU loads for all the process to see:
 * TensorFlow's initialisers would call into the other LLVM.
 *
 * Breaks: a segmentation fault in `_GLOBAL__sub_I_DebugInfoMetadata.cpp` when TensorFlow is loaded
 * after WebGPU on a machine with Mesa. Since: any TensorFlow and any Mesa that have LLVM (seen with 2.21 and Mesa 22.3 on LLVM 15). No longer
 * needed: when the engine tests pass without it, WebGPU's before TensorFlow's.
 *
 * @param paths In the order of their dependence.
 */
export function loadWithOwnSymbols(paths: readonly string[]): void {
  if (Deno.build.os !== "linux") return; // others look a symbol up in the library that it names
  const [RTLD_LAZY, RTLD_DEEPBIND] = [1, 8]; // glibc's dlfcn.h
  const libc = Deno.dlopen("libc.so.6", {
    dlopen: { parameters: ["buffer", "i32"], result: "pointer" },
  });
  try {
    // What can't be loaded is named when the addon asks for it.
    for (const path of paths) {
      libc.symbols.dlopen(new TextEncoder().encode(`${path}\0`), RTLD_LAZY | RTLD_DEEPBIND);
    }
  } finally {
    libc.close();
  }
}
