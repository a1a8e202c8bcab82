import { assertEquals } from "@std/assert";
import { dirname, join } from "node:path";

const HERE = import.meta.dirname!;

/** What a module loads at once: its static imports and re-exports, without those of types alone. */
async function loadedBy(path: string, loaded = new Set<string>()): Promise<Set<string>> {
  loaded.add(path);
  const source = await Deno.readTextFile(path);
  const statement = /^(?:import|export) (?!type )(?:[^;]*? from )?"([^"]+)";/gm;
  for (const [, specifier] of source.matchAll(statement)) {
    const next = specifier.startsWith(".") ? join(dirname(path), specifier) : specifier;
    if (loaded.has(next)) continue;
    if (specifier.startsWith(".")) await loadedBy(next, loaded);
    else loaded.add(next);
  }
  return loaded;
}

Deno.test("the door of the engines loads none of them", async () => {
  const loaded = [...await loadedBy(join(HERE, "mod.ts"))].filter((path) =>
    !path.startsWith("node:")
  );
  assertEquals(loaded.filter((path) => !path.startsWith("/")), [], "packages");
  const engines = ["wasm", "webgpu", "tensorflow", "tfjs"].map((name) => join(HERE, name));
  const theirs = loaded.filter((path) => engines.some((folder) => path.startsWith(folder)));
  assertEquals(
    theirs.filter((path) => !/\/(factory|mod|_environment)\.ts$/.test(path)),
    [],
    "an engine's code",
  );
  // The way of looking sees what an engine loads.
  const wasm = [...await loadedBy(join(HERE, "wasm/_engine.ts"))];
  assertEquals(wasm.includes(join(HERE, "wasm/kernels/winograd.ts")), true);
});
