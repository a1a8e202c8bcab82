/** A search for the network and the preprocessing that weights were trained with. */
import type { Dataset } from "../data/mod.ts";
import { chooseEngine, engineFactories, selfTest } from "../engine/mod.ts";
import type { AuditSubject } from "./report.ts";
import { triable } from "./audit.ts";
import { type Sweep, sweep, type SweepOptions } from "./sweep.ts";

/** What people who wait are told. */
export interface Told {
  /** A line that stays. */
  readonly line: (text: string) => void;
  /** What is done just now. */
  readonly passing: (text: string) => void;
}

/** What a search is asked for beside its subject. */
export interface SearchOptions extends Pick<SweepOptions, "finish" | "threads"> {
  /** The engine's name; the best that can run here when undefined. */
  readonly engine?: string;
  /** Told what is being done. */
  readonly told?: Told;
}

/**
 * Tries what a file may be on images.
 *
 * @param data Whose test part is classified.
 * @param subject What is looked at.
 * @param options What computes, and whether the best is tested on all images.
 * @returns What was found; undefined where nothing of it can be run on such images.
 * @throws {EngineError} If no engine can run here.
 */
export async function searchOn(
  data: Dataset,
  subject: AuditSubject,
  { engine = "auto", threads, told, finish = true }: SearchOptions = {},
): Promise<Sweep | undefined> {
  const candidates = triable(subject, data.test);
  if (candidates.length === 0) return undefined;
  const { factory } = await chooseEngine(engine, engineFactories);
  await selfTest(factory);
  told?.line(`trying networks and preprocessings on ${factory.name}`);
  return await sweep({
    ...{ candidates, data, factory, finish },
    variants: () => triable({ ...subject, candidates: subject.variants?.() ?? [] }, data.test),
    onProgress: (line) => told?.passing(line),
    ...(threads === undefined ? {} : { threads }),
  });
}
