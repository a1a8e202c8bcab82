import { EngineError, type EngineFactory } from "./engine.ts";

/** The engine that a run will use. */
export interface EngineChoice {
  /** What makes the engine; it can run here. */
  readonly factory: EngineFactory;
  /** One sentence: which engine and why. */
  readonly reason: string;
}

/** Too slow to train with: chosen by `auto` only where nothing else runs. */
const ORACLE = "tfjs-cpu";

/**
 * Chooses an engine by name, or the first that can run here.
 *
 * @param name An engine's name, or `auto`.
 * @param factories In order of preference.
 * @throws {EngineError} If no engine has that name (the message lists those
 *   that exist), or the engine, or for `auto` every one, can't run here (the
 *   message says why).
 *
 * @example
 * ```ts
 * import { chooseEngine } from "./choose.ts";
 * import { tfjsEngine } from "./tfjs/mod.ts";
 * import { assertEquals } from "@std/assert";
 *
 * const { factory } = await chooseEngine("tfjs-cpu", [tfjsEngine]);
 * assertEquals(factory, tfjsEngine);
 * ```
 */
export async function chooseEngine(
  name: string,
  factories: readonly EngineFactory[],
): Promise<EngineChoice> {
  if (name !== "auto") return await chooseNamed(name, factories);

  const preferred = factories.filter((factory) => factory.name !== ORACLE);
  const oracle = factories.filter((factory) => factory.name === ORACLE);
  const refusals: string[] = [];
  for (const factory of [...preferred, ...oracle]) {
    const obstacle = await factory.unavailable();
    if (obstacle === undefined) {
      const order = [...preferred, ...oracle].map(({ name }) => name).join(", ");
      const others = refusals.length > 0 ? ` (${refusals.join("; ")})` : "";
      return { factory, reason: `chosen by auto, the first that runs here of ${order}${others}` };
    }
    refusals.push(`${factory.name}: ${obstacle}`);
  }
  throw new EngineError(`choosing an engine: none can run here (${refusals.join("; ")})`);
}

async function chooseNamed(
  name: string,
  factories: readonly EngineFactory[],
): Promise<EngineChoice> {
  const names = ["auto", ...factories.map((factory) => factory.name)].join(", ");
  const factory = factories.find((factory) => factory.name === name);
  if (!factory) {
    throw new EngineError(`choosing an engine: "${name}" is not one of ${names}`);
  }
  const obstacle = await factory.unavailable();
  if (obstacle !== undefined) {
    throw new EngineError(
      `choosing an engine: "${name}" can't run here: ${obstacle}; choose another of ${names}`,
    );
  }
  return { factory, reason: "asked for by name" };
}
