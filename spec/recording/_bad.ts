/** Ways to make bad recordings of a good one. */
import type { LineOf, RecordingLine, RecordingLog } from "../../log/mod.ts";
import type { KnownBad } from "../rule.ts";
import type { ObservedEvaluation, RecordingSubject } from "./subject.ts";

/** A recording whose images, of training or of an evaluation, are others. */
export function badImages(
  name: string,
  why: string,
  which: "training" | "validation" | "test",
  // Training images have neither a line nor a part; who asks for these asks for an evaluation.
  change: (group: ObservedEvaluation) => Partial<ObservedEvaluation>,
): KnownBad<RecordingSubject> {
  return {
    name,
    why,
    kind: "recording",
    spoil: (good) =>
      which === "training"
        ? {
          ...good,
          training: good.training.map((group) => ({ ...group, ...change(group) })),
        }
        : {
          ...good,
          evaluations: good.evaluations.map((group) =>
            group.part === which ? { ...group, ...change(group) } : group
          ),
        },
  };
}

/** A recording in which lines of one type say something else. */
export function badLines<Type extends RecordingLine["type"]>(
  name: string,
  why: string,
  type: Type,
  change: (line: LineOf<Type>) => object,
): KnownBad<RecordingSubject> {
  return {
    name,
    why,
    kind: "recording",
    spoil: (good) => ({
      ...good,
      log: {
        ...good.log,
        lines: good.log.lines.map((line) =>
          line.type === type ? { ...line, ...change(line as LineOf<Type>) } as RecordingLine : line
        ),
      },
    }),
  };
}

/** A log as one of several processes has it. */
export function inProcesses(worldSize: number, log: RecordingLog): RecordingLog {
  return { ...log, start: { ...log.start, worldSize } };
}

/** A recording whose evaluations are others. */
export function badEvaluations(
  name: string,
  why: string,
  change: (group: ObservedEvaluation) => Partial<ObservedEvaluation>,
): KnownBad<RecordingSubject> {
  return {
    name,
    why,
    kind: "recording",
    spoil: (good) => ({
      ...good,
      evaluations: good.evaluations.map((group) => ({ ...group, ...change(group) })),
    }),
  };
}
