/**
 * The default engine: kernels emitted as WebAssembly SIMD, on as many threads
 * as the machine has. Nothing to install, no permission, no compiler.
 */
import type { Engine, EngineFactory, EngineOptions } from "../engine.ts";
import { WasmEngine } from "./_engine.ts";

export type { GroupProfile, KernelGroup } from "./_clock.ts";
export { profileStep, type StepProfile } from "./_profile.ts";

const NAME = "wasm";

/**
 * WebAssembly on the CPU.
 *
 * @example
 * ```ts
 * import { wasmEngine } from "./mod.ts";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(await wasmEngine.unavailable(), undefined);
 * ```
 */
export const wasmEngine: EngineFactory = {
  name: NAME,
  description: "WebAssembly SIMD on every core of the CPU; nothing to install",
  // deno-lint-ignore require-await -- the contract's other engines have to wait
  async unavailable(): Promise<string | undefined> {
    if (typeof SharedArrayBuffer === "undefined") return "this runtime has no shared memory";
  },
  create(options: EngineOptions): Promise<Engine> {
    return WasmEngine.create(NAME, options);
  },
};
