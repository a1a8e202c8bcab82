/** Files of weights, with all that they say of themselves. */
import type { MeasuredNormalisation } from "../data/mod.ts";
import { sha256 } from "../files/mod.ts";
import { decodeModel, type ModelFile, openSource } from "../weights/mod.ts";
import { classesIn, identityOf, preparationIn, type RunIdentity, weightsOf } from "../train/mod.ts";
import type { AuditSubject } from "./report.ts";
import { fileSubject } from "./targets.ts";

/** A file of weights, and which network it belongs to. */
export interface Model {
  /** What was read. */
  readonly file: ModelFile;
  /** The network, or all that the file admits. */
  readonly subject: AuditSubject;
  /** What the file says of its own training, if it is of a run of ours. */
  readonly identity?: RunIdentity;
  /** The classes that it names, in the order of its outputs. */
  readonly classes?: readonly string[];
  /** What its run subtracted from photographs and divided by, where it was measured on them. */
  readonly preparation?: MeasuredNormalisation;
  /** SHA-256 of the file's bytes, in hexadecimal. */
  readonly sha256: string;
}

/**
 * Reads a file of weights or of a network and tells which network it is of.
 *
 * @param path Of the file, or of a folder that a known file leads.
 * @returns What it holds, and what can be judged of it.
 * @throws {WeightFileError} If there is no such file, or it is of no format that is read.
 *
 * @example
 * ```ts
 * import { assertRejects } from "@std/assert";
 * import { readModel } from "./model.ts";
 *
 * await assertRejects(() => readModel("no/such.pth"), Error, "could not be read");
 * ```
 */
export async function readModel(path: string): Promise<Model> {
  const source = await openSource(path);
  const decoded = await decodeModel(source);
  const file = { ...decoded, tensors: weightsOf(decoded.tensors) };
  const identity = identityOf(file.metadata);
  const classes = identity && classesIn(file.metadata);
  const preparation = identity && preparationIn(file.metadata, identity);
  return {
    file,
    subject: fileSubject(path, file, identity),
    ...(identity ? { identity } : {}),
    ...(classes ? { classes } : {}),
    ...(preparation ? { preparation } : {}),
    sha256: sha256(source.bytes),
  };
}
