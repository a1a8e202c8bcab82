import type { EngineFactory } from "../engine.ts";

/**
 * WebAssembly on the CPU, named `wasm`: the default engine. Kernels emitted as WebAssembly SIMD, on
 * as many threads as the machine has. Nothing to install, no permission, no compiler.
 *
 * @example
 * ```ts
 * import { wasmEngine } from "./factory.ts";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(await wasmEngine.unavailable(), undefined);
 * ```
 */
export const wasmEngine: EngineFactory = {
  name: "wasm",
  description: "WebAssembly SIMD on every core of the CPU; nothing to install",
  // deno-lint-ignore require-await -- the contract's other engines have to wait
  async unavailable(): Promise<string | undefined> {
    try {
      // A page without isolation has the memory and not its class.
      new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true });
    } catch {
      return "this runtime has no shared memory";
    }
  },
  async create(options) {
    const { WasmEngine } = await import("./_engine.ts");
    return await WasmEngine.create(this.name, options);
  },
};
