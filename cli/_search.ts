/** A search for the network and the preprocessing that weights were trained with. */
import { type AuditSubject, type Sweep, sweep, type SweepOptions, triable } from "../audit/mod.ts";
import type { Dataset } from "../data/mod.ts";
import { chooseEngine, engineFactories, selfTest } from "../engine/mod.ts";
import { ProgressPrinter } from "./_progress.ts";

/** What a search is asked for beside its subject. */
export interface SearchFlags {
  /** The engine's name. */
  readonly engine?: string;
  /** Its threads. */
  readonly threads?: number;
}

/**
 * Tries what a file may be on images, with one line of progress.
 *
 * @param data Whose test part is classified.
 * @param subject What is looked at.
 * @param flags What computes.
 * @param options Whether the best is tested on all images.
 * @returns What was found; undefined where nothing of it can be run on such images.
 */
export async function searchOn(
  data: Dataset,
  subject: AuditSubject,
  { engine = "auto", threads }: SearchFlags,
  { finish = true }: Pick<SweepOptions, "finish"> = {},
): Promise<Sweep | undefined> {
  const candidates = triable(subject, data.test);
  if (candidates.length === 0) return undefined;
  const { factory } = await chooseEngine(engine, engineFactories);
  await selfTest(factory);
  const printer = new ProgressPrinter();
  printer.line(`trying networks and preprocessings on ${factory.name}`);
  try {
    return await sweep({
      ...{ candidates, data, factory, finish },
      variants: () => triable({ ...subject, candidates: subject.variants?.() ?? [] }, data.test),
      onProgress: (line) => printer.passing(line),
      ...(threads === undefined ? {} : { threads }),
    });
  } finally {
    printer.clear();
  }
}
