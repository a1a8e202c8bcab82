/** The best weights of a run, kept beside the last ones and scored after them. */
import type { TrainingState } from "../engine/mod.ts";
import type { BestEvent } from "../log/mod.ts";
import { fitWeights } from "../resnet/mod.ts";
import { decodeSafetensors, encodeSafetensors } from "../weights/mod.ts";
import { sha256 } from "../files/mod.ts";
import { evaluated, photographFacts, scoresOf } from "./_images.ts";
import { type Session, warn } from "./_session.ts";
import { weightMetadata } from "./checkpoint.ts";

const FILE_NAME = /^best-\d+\.safetensors$/;

/** Writes the weights of now, which are the best so far. */
export async function keepBest(session: Session, value: number): Promise<void> {
  const { run, engine, prepared, iteration, watching } = session;
  const { weights } = await engine.exportState();
  const bytes = encodeSafetensors(
    weights,
    weightMetadata("weights", prepared.identity, iteration, photographFacts(prepared)),
  );
  const file = await run.write(`best-${iteration}.safetensors`, bytes);
  watching.keep({ iteration, value, file });
}

/**
 * Removes best weights that are no longer the best, once a checkpoint is on the disk: those that
 * it names, and those that the checkpoint before it names, stay.
 */
export async function forgetBest(session: Session): Promise<void> {
  const { run, watching: { kept } } = session;
  if (!kept) return;
  const names = [kept.file.path, session.bestBefore];
  for (const name of await run.names()) {
    if (FILE_NAME.test(name) && !names.includes(name)) await run.remove(name);
  }
  session.bestBefore = kept.file.path;
}

/**
 * The error of the best weights on the test set; it is looked at when the training is over, and
 * decides nothing. The engine holds the best weights afterwards.
 */
export async function scoreBest(
  session: Session,
  last: TrainingState,
): Promise<Omit<BestEvent, "type" | "time"> | undefined> {
  const { run, engine, prepared, watching: { kept } } = session;
  const { recipe, engineOptions: { graph } } = prepared;
  const bytes = await readKept(session);
  if (!kept || !bytes || !recipe.best) return undefined;
  const weights = fitWeights(graph, decodeSafetensors(bytes).tensors, kept.file.path);
  await engine.importState({ ...last, weights });
  const { iteration, value, file } = kept;
  const test = await evaluated(session, "test");
  if (!Number.isFinite(test.loss)) {
    // No log can hold it; the result is that of the last step.
    warn(
      session,
      `the best weights, of iteration ${iteration}, are not scored: their loss on the test images is ${test.loss}`,
    );
    return undefined;
  }
  const scores = scoresOf(session, test);
  const { watched } = recipe.best;
  const found = { iteration, watched, value, ...scores, file };
  run.append({ type: "best", ...found });
  return found;
}

/**
 * The file of the best weights, where there is one. Another in its place, or none, is warned of:
 * the result is that of the last step, and a training that is over must come to its end.
 */
export async function readKept(session: Session): Promise<Uint8Array | undefined> {
  const { run, watching: { kept } } = session;
  if (!kept) return undefined;
  const { iteration, file: { path, sha256: expected } } = kept;
  const bytes = (await run.names()).includes(path) ? await run.read(path) : undefined;
  if (bytes && sha256(bytes) === expected) return bytes;
  warn(
    session,
    `the best weights, of iteration ${iteration}, are not in "${run.path}/${path}", ${
      bytes ? "which was altered" : "which is missing"
    }: they are scored only if it is put back before the training ends`,
  );
}
