/** Checkpoints: the whole state of a run in one safetensors file. */
import { slotsOf, type TrainingState } from "../engine/mod.ts";
import { decodeSafetensors, encodeSafetensors } from "../weights/mod.ts";
import {
  fitWeights,
  type Graph,
  parametersOf,
  type Tensor,
  WeightFileError,
  type Weights,
} from "../resnet/mod.ts";
import type { MeasuredNormalisation } from "../data/mod.ts";
import { Sha256, sha256, sha256OfWords } from "../files/mod.ts";
import type { WatchingState } from "./_watching.ts";
import type { WindowState } from "./_window.ts";
import type { EndEvent, FileReference, RunStore } from "../log/mod.ts";
import type { Recipe, WarmUpState } from "../recipes/mod.ts";

/** What two processes must share to be one run; in the metadata of each of its weight files. */
export interface RunIdentity {
  /** Everything that decides the result but the seed. */
  readonly recipe: Recipe;
  /** The seed. */
  readonly seed: number;
  /** Outputs of the last layer. */
  readonly classes: number;
  /** Name to SHA-256 of each source of images. */
  readonly dataHashes: Readonly<Record<string, string>>;
  /** SHA-256 of the subtracted mean. */
  readonly meanSha256: string;
  /** SHA-256 of the file that the weights started from, if there was one. */
  readonly startWeights?: string;
}

/** What the loop remembers beside the engine's state. */
export interface Progress {
  /** Sums of the log's current window. */
  readonly window: WindowState;
  /** Where the warm-up stands. */
  readonly warmUp: WarmUpState;
  /** Seconds spent in training steps over all resumes. */
  readonly trainingSeconds: number;
  /** Those of them that waited for images, where images are read beside the training. */
  readonly waitingSeconds?: number;
  /** Lowest validation error so far. */
  readonly bestValidation?: EndEvent["bestValidation"];
  /** What is watched, where the recipe watches anything. */
  readonly watching?: WatchingState;
  /** Set where the validation that was due could not be done: it is to be done first. */
  readonly unvalidated?: true;
}

/** What one file holds. */
export interface Checkpoint {
  /** Weights, what the optimiser keeps, and the number of steps. */
  readonly state: TrainingState;
  /** What the loop remembers. */
  readonly progress: Progress;
}

/**
 * Begins the names of what the optimiser keeps, `optimiser.velocity.conv1.weight`; the weights
 * keep their own.
 */
const SLOT_PREFIX = "optimiser.";
/** As SGD's velocity was called before other optimisers were there. */
const VELOCITY_PREFIX = "momentum.";

const FILE_NAME = /^checkpoint-(\d+)\.safetensors$/;

/**
 * Encodes a checkpoint: weights under their own names, what the optimiser keeps as
 * `optimiser.<slot>.<name>`, and in the metadata the iteration, the run's identity, the
 * loop's progress and a SHA-256 of it all.
 *
 * @param checkpoint State and progress.
 * @param identity The run.
 * @returns Bytes of a safetensors file.
 */
export function encodeCheckpoint(checkpoint: Checkpoint, identity: RunIdentity): Uint8Array {
  const { state, progress } = checkpoint;
  const tensors = new Map<string, Tensor>([
    ...state.weights,
    ...[...state.slots].flatMap(([slot, arrays]) =>
      [...arrays].map(([name, tensor]) => [`${SLOT_PREFIX}${slot}.${name}`, tensor] as const)
    ),
  ]);
  const metadata = {
    ...weightMetadata("checkpoint", identity, state.iteration),
    progress: JSON.stringify(progress),
    ...(state.lossScaling && { lossScaling: JSON.stringify(state.lossScaling) }),
  };
  return encodeSafetensors(tensors, { ...metadata, digest: digestOf(tensors, metadata) });
}

/**
 * The metadata of every weight file of a run. `recipe` tells how images are
 * prepared for the weights, so that nothing need be said when they are evaluated.
 *
 * @param kind Whether the file holds the whole state or the weights alone.
 * @param identity The run.
 * @param iteration Steps taken.
 * @param photographs What it was trained on, where no set's name tells it.
 * @returns Strings by name, as safetensors wants them.
 */
export function weightMetadata(
  kind: "checkpoint" | "weights",
  identity: RunIdentity,
  iteration: number,
  photographs?: PhotographFacts,
): Record<string, string> {
  return {
    // What PyTorch's loaders look for.
    format: "pt",
    kind,
    iteration: String(iteration),
    identity: JSON.stringify(identity),
    ...(photographs && { classes: JSON.stringify(photographs.classes) }),
    ...(photographs?.preparation && { preparation: encodePreparation(photographs.preparation) }),
  };
}

/** What weights say of a folder of photographs that they were trained on. */
export interface PhotographFacts {
  /** Of the network's outputs. */
  readonly classes: readonly string[];
  /** What was subtracted and what divided, where it was measured on them. */
  readonly preparation?: MeasuredNormalisation;
}

function encodePreparation({ normalisation, of }: MeasuredNormalisation): string {
  const { mean, std, ...rest } = normalisation;
  const bytes = new Uint8Array(mean.buffer, mean.byteOffset, mean.byteLength);
  return JSON.stringify({ of, ...rest, std: [...std], mean: bytes.toBase64() });
}

/**
 * How a weight file of a run prepares photographs.
 *
 * @param metadata Of a safetensors file.
 * @param identity The run that it names.
 * @returns The run's own normalisation, or undefined where the file does not hold it whole.
 */
export function preparationIn(
  metadata: Readonly<Record<string, string>>,
  { meanSha256, recipe: { data: { photographs } } }: RunIdentity,
): MeasuredNormalisation | undefined {
  if (metadata.preparation === undefined) return undefined;
  try {
    const { of, scale, beforePadding, perImage, std, mean: encoded } = JSON.parse(
      metadata.preparation,
    );
    const mean = new Float32Array(Uint8Array.fromBase64(encoded).buffer);
    const normalisation = {
      ...{ scale, beforePadding, mean, std: Float32Array.from(std) },
      ...(perImage ? { perImage } : {}),
    };
    const isWhole = typeof of === "string" && mean.length === 3 * photographs!.size ** 2 &&
      sha256OfWords(mean) === meanSha256 &&
      [scale, ...normalisation.std].every((value) => value > 0 && value < Infinity) &&
      normalisation.std.length === 3;
    return isWhole ? { normalisation, sha256: meanSha256, of } : undefined;
  } catch {
    return undefined;
  }
}

/**
 * The classes that a weight file of a run names, in the order of the network's outputs.
 *
 * @param metadata Of a safetensors file.
 * @returns Their names, or undefined where it names none.
 */
export function classesIn(
  metadata: Readonly<Record<string, string>>,
): readonly string[] | undefined {
  if (metadata.classes === undefined) return undefined;
  try {
    const classes: unknown = JSON.parse(metadata.classes);
    const areNames = Array.isArray(classes) && classes.every((name) => typeof name === "string");
    return areNames ? classes : undefined;
  } catch {
    return undefined; // Somebody else's word for something else.
  }
}

/**
 * The run that a weight file says it is of.
 *
 * @param metadata Of a safetensors file.
 * @returns The identity, or undefined for a file of others.
 * @throws {WeightFileError} If it names a run, but not as {@link weightMetadata} does.
 */
export function identityOf(metadata: Readonly<Record<string, string>>): RunIdentity | undefined {
  if (metadata.kind !== "checkpoint" && metadata.kind !== "weights") return undefined;
  try {
    const identity = JSON.parse(metadata.identity);
    if (typeof identity.recipe.architecture.name !== "string") throw new TypeError("no network");
    return identity;
  } catch (error) {
    throw new WeightFileError(
      `the metadata must hold the identity of the run that made the weights, found "${
        String(metadata.identity).slice(0, 80)
      }"`,
      { cause: error },
    );
  }
}

/**
 * Decodes a checkpoint and checks that it is whole and of this run.
 *
 * @param bytes A file that {@link encodeCheckpoint} made.
 * @param graph The network, whose names and shapes the file must have.
 * @param identity The run.
 * @param source The file's name, for messages.
 * @returns The state and the progress, bit for bit as they were saved.
 * @throws {WeightFileError} If the file is damaged, of another run or of another network.
 */
export function decodeCheckpoint(
  bytes: Uint8Array,
  graph: Graph,
  identity: RunIdentity,
  source: string,
): Checkpoint {
  const { tensors, metadata } = decodeSafetensors(bytes);
  const { digest, ...described } = metadata;
  if (described.kind !== "checkpoint" || described.progress === undefined) {
    throw new WeightFileError(`${source} must be a checkpoint, found "${described.kind}"`);
  }
  const found = digestOf(tensors, described);
  if (digest !== found) {
    throw new WeightFileError(`${source} must have the digest ${digest}, found ${found}`);
  }
  if (described.identity !== JSON.stringify(identity)) {
    throw new WeightFileError(`${source} belongs to another run`);
  }
  const weights = fitWeights(graph, weightsOf(tensors), source);
  const slots = new Map<string, Weights>();
  for (const slot of slotsOf(identity.recipe.optimiser)) {
    const arrays = new Map<string, Tensor>();
    for (const { name, shape, trainable } of parametersOf(graph)) {
      if (!trainable) continue;
      const stored = `${SLOT_PREFIX}${slot}.${name}`;
      const tensor = tensors.get(stored) ??
        (slot === "velocity" ? tensors.get(VELOCITY_PREFIX + name) : undefined);
      if (!tensor || tensor.shape.join() !== shape.join()) {
        throw new WeightFileError(
          `${source} must hold "${stored}" of the shape [${shape.join(", ")}], found ${
            tensor ? `[${tensor.shape.join(", ")}]` : "none"
          }`,
        );
      }
      arrays.set(name, tensor);
    }
    slots.set(slot, arrays);
  }
  return {
    state: {
      ...{ iteration: Number(described.iteration), weights, slots },
      ...(described.lossScaling && { lossScaling: JSON.parse(described.lossScaling) }),
    },
    progress: JSON.parse(described.progress),
  };
}

/**
 * The weights of a checkpoint or of any weight file, without what the optimiser keeps.
 *
 * @param tensors All arrays of a file.
 * @returns Those that are weights.
 */
export function weightsOf(tensors: Weights): Weights {
  const isSlot = (name: string) => name.startsWith(SLOT_PREFIX) || name.startsWith(VELOCITY_PREFIX);
  return new Map([...tensors].filter(([name]) => !isSlot(name)));
}

/** SHA-256 of the metadata and of every array with its name, in order. */
function digestOf(tensors: Weights, metadata: Readonly<Record<string, string>>): string {
  const hash = new Sha256();
  for (const key of Object.keys(metadata).sort()) hash.update(`${key}\0${metadata[key]}\0`);
  for (const name of [...tensors.keys()].sort()) {
    const { data } = tensors.get(name)!;
    hash.update(`${name}\0`);
    hash.update(new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
  }
  return hash.hex();
}

/**
 * Writes a checkpoint into the run's folder and logs it. The one before is
 * kept; older ones are removed once the new one is on the disk and in the log.
 *
 * @param run The run's folder.
 * @param checkpoint State and progress.
 * @param identity The run.
 * @returns What the log says of the file.
 * @throws {RunError} If it can't be written; the checkpoints before are unharmed.
 */
export async function saveCheckpoint(
  run: RunStore,
  checkpoint: Checkpoint,
  identity: RunIdentity,
): Promise<FileReference> {
  const { iteration } = checkpoint.state;
  run.sync(); // The log never lacks steps that a checkpoint holds.
  const file = await run.write(
    `checkpoint-${iteration}.safetensors`,
    encodeCheckpoint(checkpoint, identity),
  );
  run.append({ type: "checkpoint", iteration, file });
  run.sync();
  const others = (await checkpointsIn(run)).filter((other) => other.iteration !== iteration);
  const previous = others.findLast((other) => other.iteration < iteration);
  for (const { name } of others.filter((other) => other !== previous)) {
    await run.remove(name);
  }
  return file;
}

/** What {@link newestCheckpoint} found. */
export interface FoundCheckpoint {
  /** The newest whole checkpoint, if there is any. */
  readonly checkpoint?: Checkpoint;
  /** Its file. */
  readonly file?: FileReference;
  /** Why newer files were passed over. */
  readonly passedOver: readonly string[];
}

/**
 * Reads the newest checkpoint that is whole, of this run, and the file that the
 * log names: the log is sealed, so nobody can put another state in its place.
 * One that a kill kept from being logged is made again from the one before.
 *
 * @param run The run's folder.
 * @param graph The network.
 * @param identity The run.
 * @returns The checkpoint, or none, and why newer ones were passed over.
 */
export async function newestCheckpoint(
  run: RunStore,
  graph: Graph,
  identity: RunIdentity,
): Promise<FoundCheckpoint> {
  const logged = new Map<string, FileReference>();
  for (const event of run.earlier) {
    if (event.type === "checkpoint") logged.set(event.file.path, event.file);
  }
  const passedOver: string[] = [];
  for (const { name } of (await checkpointsIn(run)).toReversed()) {
    const expected = logged.get(name)?.sha256;
    if (expected === undefined) {
      passedOver.push(`${name} is not used: the log does not name it`);
      continue;
    }
    const bytes = await run.read(name);
    const file = { path: name, sha256: sha256(bytes), bytes: bytes.length };
    try {
      const checkpoint = decodeCheckpoint(bytes, graph, identity, name);
      if (expected !== file.sha256) throw new WeightFileError("it was altered");
      return { checkpoint, file, passedOver };
    } catch (error) {
      if (!(error instanceof WeightFileError)) throw error;
      const differs = expected !== file.sha256
        ? ` (its SHA-256 in the log is ${expected}, the file's ${file.sha256})`
        : "";
      passedOver.push(`${name} can't be used: ${error.message}${differs}`);
    }
  }
  return { passedOver };
}

/** The checkpoints in a folder, the oldest first. */
async function checkpointsIn(
  run: RunStore,
): Promise<readonly { readonly name: string; readonly iteration: number }[]> {
  const found = [];
  for (const name of await run.names()) {
    const match = FILE_NAME.exec(name);
    if (match) found.push({ name, iteration: Number(match[1]) });
  }
  return found.sort((a, b) => a.iteration - b.iteration);
}
