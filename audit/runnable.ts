/** The network of a file that can be run. */
import {
  buildGraph,
  type Graph,
  shapeOf,
  WeightFileError,
  type ZeroChannels,
} from "../resnet/mod.ts";
import type { Model } from "./model.ts";
import type { AuditCandidate } from "./report.ts";
import { textOf } from "./targets.ts";

/** A candidate that can be run. */
export type Runnable = AuditCandidate & Required<Pick<AuditCandidate, "network">>;

/**
 * The network of a file, as far as names and shapes tell: of the candidates the
 * likeliest, with the given place of option A's zero channels.
 *
 * @param model The file, as `readModel` gives it.
 * @param zeroChannels Where they are taken to be where the file does not say it.
 * @throws {WeightFileError} If the file has none that can be run.
 */
export function networkOf({ subject, file }: Model, zeroChannels: ZeroChannels): Runnable {
  const runnable = subject.candidates.filter((candidate): candidate is Runnable =>
    candidate.network !== undefined && candidate.departs === undefined
  );
  const fitting = runnable.filter(({ graph }) =>
    (paddingOf(graph) ?? zeroChannels) === zeroChannels
  );
  const [found] = fitting.length > 0 && !file.network ? fitting : runnable;
  if (found) return found;
  const reasons = (subject.causes ?? []).map(({ evidence }) => evidence);
  throw new WeightFileError(
    `the arrays of ${subject.target} are of no network that can be run here${
      reasons.length > 0 ? `: ${reasons.slice(0, 3).join("; ")}` : ""
    }. deno task audit says more of it; evaluate and summary take its name by --arch`,
  );
}

/**
 * The same network at the size of its images: arrays don't tell it. A run on photographs says it,
 * and ImageNet's layouts of others were made for 224 x 224.
 *
 * @param model The file.
 * @param network What `networkOf` found in it.
 */
export function atOwnSize(
  { file, identity }: Model,
  network: Runnable["network"],
): Runnable["network"] {
  const { graph } = network;
  const isOfImagenet = !identity && graph.nodes.some(({ kind }) => kind === "max-pool");
  const size = identity?.recipe.data.photographs?.size ?? (isOfImagenet ? 224 : undefined);
  if (file.network || size === undefined) return network;
  return { ...network, graph: buildGraph(graph.name, [size, size, 3], graph.nodes) };
}

/**
 * The network of a file that has these layers: of arrays that are kept as another library keeps
 * them it pads and normalises as that library does.
 *
 * @param model The file.
 * @param graph What it is said to be.
 */
export function networkLike({ subject }: Model, graph: Graph): Runnable["network"] | undefined {
  return subject.candidates.find((candidate) => textOf(candidate.graph) === textOf(graph))?.network;
}

/** Where a graph puts the zero channels of option A; undefined where it has none. */
export function paddingOf(graph: Graph): ZeroChannels | undefined {
  return graph.nodes.find((node) => node.kind === "shortcut-a")?.zeroChannels;
}

/** Whether windows take zeros on one side alone, which a kernel with zeros of its own stands for. */
export function isOneSided(graph: Graph): boolean {
  return graph.nodes.some((node) => node.kind === "convolution" && node.kernel % 2 === 0);
}

/** How many classes a graph tells apart: the shape of its last layer. */
export function classesOf(graph: Graph): number {
  const shape = shapeOf(graph, graph.output);
  return shape[shape.length - 1];
}
