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
