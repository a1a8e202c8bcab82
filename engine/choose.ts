import { EngineError, type EngineFactory } from "./engine.ts";

/** The engine that a run will use. */
export interface EngineChoice {
  /** What makes the engine; it can run here. */
  readonly factory: EngineFactory;
  /** One sentence: which engine and why. */
  readonly reason: string;
}

/**
 * Chooses an engine by name, or the best that can run here.
 *
 * @param name An engine's name, or `auto`: the first that can run here and is
 *   not discouraged, else the first that can run here.
 * @param factories In order of preference.
 * @returns The engine, and a reason that says what spoke against the engines
 *   that were passed over.
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

  const objections: string[] = [];
  let discouraged: EngineFactory | undefined;
  for (const factory of factories) {
    const obstacle = await obstacleOf(factory);
    const objection = obstacle ?? await factory.discouraged?.();
    if (objection === undefined) {
      const order = factories.map(({ name }) => name).join(", ");
      const others = objections.length > 0 ? ` (${objections.join("; ")})` : "";
      return {
        factory,
        reason: `chosen by auto, the first that runs well here of ${order}${others}`,
      };
    }
    objections.push(`${factory.name}: ${objection}`);
    if (obstacle === undefined) discouraged ??= factory;
  }
  const all = objections.join("; ");
  if (!discouraged) throw new EngineError(`choosing an engine: none can run here (${all})`);
  return { factory: discouraged, reason: `chosen by auto for want of a better (${all})` };
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
  const obstacle = await obstacleOf(factory);
  if (obstacle !== undefined) {
    throw new EngineError(
      `choosing an engine: "${name}" can't run here: ${obstacle}; choose another of ${names}`,
    );
  }
  return { factory, reason: "asked for by name" };
}

/** A driver that fails when it is asked for is an obstacle to its engine, not to the others. */
async function obstacleOf(factory: EngineFactory): Promise<string | undefined> {
  try {
    return await factory.unavailable();
  } catch (error) {
    return `it could not be asked: ${error instanceof Error ? error.message : error}`;
  }
}
