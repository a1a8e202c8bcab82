/** The best weights of a run, kept beside the last ones and scored after them. */
import type { TrainingState } from "../engine/mod.ts";
import type { BestEvent, FileReference } from "../log/mod.ts";
import { fitWeights, WeightFileError } from "../resnet/mod.ts";
import { decodeSafetensors, encodeSafetensors } from "../weights/mod.ts";
import { sha256 } from "../files/mod.ts";
import { evaluated, photographFacts, scoresOf } from "./_images.ts";
import type { Session } from "./_session.ts";
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
 *
 * @throws {WeightFileError} If the file is not the one that the run wrote.
 */
export async function scoreBest(
  session: Session,
  last: TrainingState,
): Promise<Omit<BestEvent, "type" | "time"> | undefined> {
  const { run, engine, prepared, watching: { kept } } = session;
  const { recipe, engineOptions: { graph } } = prepared;
  if (!kept || !recipe.best) return undefined;
  const weights = fitWeights(graph, await readKept(run, kept.file), kept.file.path);
  await engine.importState({ ...last, weights });
  const scores = scoresOf(session, await evaluated(session, "test"));
  const { iteration, value, file } = kept;
  const { watched } = recipe.best;
  const found = { iteration, watched, value, ...scores, file };
  run.append({ type: "best", ...found });
  return found;
}

async function readKept(run: Session["run"], file: FileReference) {
  const bytes = await run.read(file.path);
  const found = sha256(bytes);
  if (found !== file.sha256) {
    throw new WeightFileError(
      `the best weights in "${run.path}/${file.path}" must have the SHA-256 ${file.sha256}, found ${found}: the file was altered. Put it back, or train anew with another --out`,
    );
  }
  return decodeSafetensors(bytes).tensors;
}
