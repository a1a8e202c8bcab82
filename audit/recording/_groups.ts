/** The passes of a recording, put together to epochs of training and to evaluations. */
import {
  type BatchLine,
  linesOf,
  type RecordedEvaluation,
  type RecordingLine,
} from "../../log/mod.ts";

/** Passes that belong together. */
export interface Group {
  /** What they are. */
  readonly phase: "training" | "evaluation";
  /** The loader's id. */
  readonly loader?: number;
  /** From 1. */
  readonly epoch: number;
  /** Steps before the first. */
  readonly iteration: number;
  /** In order. */
  readonly lines: readonly BatchLine[];
  /** Images of each delivered batch: one that passes in parts counts once. */
  readonly batches: readonly number[];
  /** Images in all. */
  readonly count: number;
  /** [count]; -1: not known. */
  readonly indices: Int32Array;
  /** [count]; -1: not known. */
  readonly labels: Int32Array;
  /** [count]; 0: not known. */
  readonly hashes: BigUint64Array;
  /** Whether every pass is here. */
  readonly whole: boolean;
  /** Of an evaluation that came to its end. */
  readonly line?: RecordedEvaluation;
}

interface Open {
  readonly phase: Group["phase"];
  readonly loader?: number;
  readonly epoch: number;
  readonly lines: BatchLine[];
}

/**
 * Groups the passes: by the loader's epochs, and without loaders by what stands
 * between them: evaluations between trainings, a batch shorter than the others.
 */
export function groupsOf(lines: readonly RecordingLine[]): readonly Group[] {
  const exhausted = new Map<string, number>();
  for (const line of linesOf(lines, "epoch")) {
    if (line.border === "end" && line.exhausted === true && line.images !== undefined) {
      exhausted.set(`${line.loader} ${line.epoch}`, line.images);
    }
  }
  const open: (Open & { line?: RecordedEvaluation })[] = [];
  let epochs = 0;
  for (const line of lines) {
    if (line.type === "evaluation") {
      const of = open.findLast((group) =>
        group.phase === "evaluation" && group.loader === line.loader && group.line === undefined &&
        (line.epoch === undefined || group.epoch === line.epoch)
      );
      if (of !== undefined) of.line = line;
      else {
        // Later evaluations are not looked at pass by pass.
        open.push({
          ...{ phase: "evaluation", epoch: line.epoch ?? line.number, lines: [], line },
          ...(line.loader === undefined ? {} : { loader: line.loader }),
        });
      }
    }
    if (line.type !== "batch") continue;
    const last = open.at(-1);
    let group = line.loader === undefined
      ? last?.loader === undefined && last?.phase === line.phase && last.line === undefined &&
          !isEnd(last, line)
        ? last
        : undefined
      : open.findLast(({ phase, loader, epoch }) =>
        phase === line.phase && loader === line.loader && epoch === line.epoch
      );
    if (group === undefined) {
      if (line.loader === undefined && line.phase === "training") epochs++;
      group = {
        phase: line.phase,
        epoch: line.epoch ?? Math.max(1, epochs),
        lines: [],
        ...(line.loader === undefined ? {} : { loader: line.loader }),
      };
      open.push(group);
    }
    group.lines.push(line);
  }
  return open.map((group) => grouped(group, exhausted));
}

/** Whether a training batch begins another epoch: the one before was shorter than the first. */
function isEnd({ phase, lines }: Open, next: BatchLine): boolean {
  const first = lines[0].images, last = lines[lines.length - 1].images;
  return phase === "training" && lines.length > 1 && last < first && next.images >= first;
}

function grouped(
  { line, ...group }: Open & { readonly line?: RecordedEvaluation },
  exhausted: ReadonlyMap<string, number>,
): Group {
  const { lines } = group;
  const count = lines.reduce((sum, { images }) => sum + images, 0);
  const indices = new Int32Array(count).fill(-1);
  const labels = new Int32Array(count).fill(-1);
  const hashes = new BigUint64Array(count);
  const batches: number[] = [];
  let at = 0, before: number | undefined;
  for (const one of lines) {
    if (one.indices?.length === one.images) indices.set(one.indices, at);
    if (one.labels?.length === one.images) labels.set(one.labels, at);
    if (one.hashes?.length === one.images) hashes.set(one.hashes, at);
    at += one.images;
    if (one.batch !== undefined && one.batch === before) batches.push(batches.pop()! + one.images);
    else batches.push(one.images);
    before = one.batch;
  }
  const images = group.loader === undefined
    ? line?.images
    : exhausted.get(`${group.loader} ${group.epoch}`);
  return {
    ...group,
    iteration: lines[0]?.iteration ?? line?.iteration ?? 0,
    ...{ batches, count, indices, labels, hashes },
    whole: count > 0 && images === count,
    ...(line === undefined ? {} : { line }),
  };
}
