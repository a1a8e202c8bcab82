/**
 * TensorFlow.js's packages, by the names and versions of the `deno.json` beside this file. They are
 * some 280 megabytes, and a package in the project's own `deno.json` or `deno.lock` is fetched by
 * every task; so they are named there, locked by the `deno.lock` there, and loaded by names that
 * are made when they are needed. A run that loads them is told that lock (`--lock`), or fetches
 * what npm has under those versions.
 *
 * @module
 */
import { createRequire } from "node:module";
import declared from "./deno.json" with { type: "json" };

export type { Library, Tensor } from "./library.ts";

/** A package that is declared here. */
export type PackageName = keyof typeof declared.imports;

const require = createRequire(import.meta.url);

/**
 * Loads a module of a package, and fetches the package where it is not in the cache.
 *
 * @typeParam T What the module exports.
 * @param path The module within the package, with a slash in front; its entry by default.
 * @throws {Error} If it can't be fetched or loaded.
 *
 * @example
 * ```ts ignore
 * import { loadPackage } from "./mod.ts";
 *
 * const tf = await loadPackage<{ version: { tfjs: string } }>("@tensorflow/tfjs");
 * console.log(tf.version.tfjs); // 4.22.0
 * ```
 */
export async function loadPackage<T>(name: PackageName, path = ""): Promise<T> {
  // Not a literal: what a literal names is fetched and locked with the project.
  return await import(`${declared.imports[name]}${path}`);
}

/**
 * The folder of a package's files.
 *
 * @returns Its path, without a slash at the end.
 * @throws {Error} If it can't be fetched.
 */
export async function packageFolder(name: PackageName): Promise<string> {
  await import(`${declared.imports[name]}/package.json`, { with: { type: "json" } });
  return require.resolve(`${name}/package.json`).slice(0, -"/package.json".length);
}
