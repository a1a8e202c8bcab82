/** What a recorded training decided where the paper leaves a point open. */
import { ofKind } from "../../resnet/mod.ts";
import { linesOf, type RecordingLog } from "../../log/mod.ts";
import { OPEN_POINTS } from "../../paper/mod.ts";
import { badKernels, mainNetwork, mainOptimizer, type RecordingSubject } from "../../spec/mod.ts";
import { number } from "../../text/mod.ts";
import type { AuditReport } from "../report.ts";

/**
 * The open points, each with the reading that was seen.
 *
 * @param subject What was recorded; what is missing leaves choices out.
 * @returns One entry a point, in order; without `choice` where nothing shows it.
 */
export function recordedChoices(subject: RecordingSubject): AuditReport["choices"] {
  return OPEN_POINTS.map(({ id, question, readings }) => {
    const seen = SEEN[id]?.(subject);
    const choice = readings.find((reading) => reading.id === seen)?.reading ?? seen;
    return { id, question, ...(choice === undefined ? {} : { choice }) };
  });
}

/** By open point: the reading's id, or what was seen in words. */
const SEEN: Readonly<Record<string, (subject: RecordingSubject) => string | undefined>> = {
  "training-images": ({ log, training = [] }) => {
    const id = training[0]?.loader;
    const line = log && linesOf(log.lines, "loader").find((line) => line.id === id);
    const size = line?.reachable ?? line?.size;
    if (size === undefined) return undefined;
    return size === 45_000 ? "45000/5000" : size === 50_000 ? "50000/0" : `on ${number(size)}`;
  },
  "batch-norm-images": ({ log, graph }) => {
    const hasNorms = log && (mainNetwork(log)?.norms.length ?? 0) > 0;
    if (!hasNorms && !(graph && ofKind(graph, "batch-norm").length > 0)) return undefined;
    const sizes = log && linesOf(log.lines, "batch").filter(({ phase }) => phase === "training")
      .map(({ images }) => images).toSorted((a, b) => a - b);
    return sizes && sizes.length > 0 ? inWords(sizes[sizes.length >> 1], "images") : undefined;
  },
  "weight-decay-on": ({ log }) => log && decayed(log),
  "zero-channels": ({ graph }) => graph && ofKind(graph, "shortcut-a")[0]?.zeroChannels,
  "mean-subtracted": ({ training = [] }) =>
    training.find(({ preparation }) => preparation?.kind === "per-pixel")?.preparation?.subtracted,
  "pixel-scale": ({ training = [] }) => {
    const scale = training.find(({ preparation }) => preparation?.kind === "per-pixel")
      ?.preparation?.scale[0];
    if (scale === undefined) return undefined;
    return near(scale, 1 / 255) ? "0..1" : near(scale, 1) ? "0..255" : undefined;
  },
  "he-fan": (subject) => {
    const fans = fitting(subject);
    return fans.length === 1 ? fans[0].fan : undefined;
  },
  "last-layer-start": (subject) => {
    const starts = new Set(fitting(subject).map(({ last }) => last));
    const [start] = starts;
    return starts.size !== 1 ? undefined : start === "as the others" ? "he-normal" : "library";
  },
  "momentum-form": ({ log }) => {
    const line = log && mainOptimizer(log);
    if (line === undefined || !/(^|\.)sgd$/i.test(line.class)) return undefined;
    const nesterov = line.groups[0]?.settings.nesterov;
    return typeof nesterov === "boolean" ? `${nesterov}/gradients` : undefined;
  },
  "epoch-end": ({ log, training = [] }) => {
    const id = training[0]?.loader;
    const line = log && linesOf(log.lines, "loader").find((one) => one.id === id);
    if (line?.size === undefined || line.batchSize === undefined) return undefined;
    const size = line.reachable ?? line.size;
    if (size % (line.batchSize * (log?.start.worldSize ?? 1)) === 0) {
      return "no image is left over";
    }
    return line.dropLast ? "drop-partial" : "keep-partial";
  },
  "running-statistics": ({ log }) => {
    const norm = log && mainNetwork(log)?.norms[0];
    if (norm?.momentum === undefined || norm.eps === undefined) return undefined;
    const isPyTorch = log!.start.framework.name === "pytorch";
    return norm.momentum === 0.1 && near(norm.eps, 1e-5) && isPyTorch
      ? "0.1/unbiased/0.00001/moving"
      : `momentum ${norm.momentum}, epsilon ${norm.eps}`;
  },
};

const near = (value: number, other: number): boolean => Math.abs(value / other - 1) < 0.02;
const inWords = (count: number, what: string): string =>
  count === 128 || count === 64 ? `${count}` : `${number(count)} ${what}`;

/** The fans over which the kernels' start may be He's. */
function fitting({ graph, initialWeights }: RecordingSubject) {
  if (graph === undefined || initialWeights === undefined) return [];
  return (["in", "out"] as const).map((fan) => ({
    fan,
    ...badKernels(graph, initialWeights, fan, "either"),
  })).filter(({ problems }) => problems.length === 0);
}

/** Whether groups without decay hold what is no kernel. */
function decayed(log: RecordingLog): string | undefined {
  const line = mainOptimizer(log);
  const network = mainNetwork(log);
  if (line === undefined || network === undefined) return undefined;
  const kernels = new Set(
    network.parameters.filter(({ shape }) => shape.length >= 2).map(({ name }) => name),
  );
  const without = line.groups.filter(({ settings }) => settings.weight_decay === 0);
  if (without.length === 0) return "all";
  const names = without.flatMap((group) => group.names);
  const rest = network.parameters.filter(({ name }) => !kernels.has(name));
  return names.every((name) => !kernels.has(name)) && names.length === rest.length
    ? "kernels"
    : undefined;
}
