/** Files of weights from the command line: what every command that is given one makes of it. */
import type { AuditCandidate, Model } from "../audit/mod.ts";
import {
  type Architecture,
  architecture,
  fitWeights,
  type Graph,
  WeightFileError,
  type Weights,
  type ZeroChannels,
} from "../resnet/mod.ts";
import { CommandError } from "./_main.ts";

export { type Model, readModel } from "../audit/mod.ts";

/** A candidate that can be run. */
export type Runnable = AuditCandidate & Required<Pick<AuditCandidate, "network">>;

/**
 * The network of a file, as far as names and shapes tell: of the candidates the
 * likeliest, with the given place of option A's zero channels.
 *
 * @throws {CommandError} If the file has none that can be run.
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
  throw new CommandError(
    `the arrays of ${subject.target} are of no network that can be run here${
      reasons.length > 0 ? `: ${reasons.slice(0, 3).join("; ")}` : ""
    }. deno task audit says more of it; or say which network it is with --arch`,
  );
}

/** Where a graph puts the zero channels of option A; undefined where it has none. */
export function paddingOf(graph: Graph): ZeroChannels | undefined {
  return graph.nodes.find((node) => node.kind === "shortcut-a")?.zeroChannels;
}

/**
 * A file's weights under the names of a network that it is said to be of.
 *
 * @throws {WeightFileError} If they do not fit it.
 */
export function weightsFor(graph: Graph, { subject, file }: Model): Weights {
  try {
    return fitWeights(graph, file.tensors, subject.target);
  } catch (error) {
    if (!(error instanceof WeightFileError)) throw error;
    for (const { network } of subject.candidates) {
      try {
        if (network) return fitWeights(graph, network.weights, subject.target);
      } catch (other) {
        if (!(other instanceof WeightFileError)) throw other;
      }
    }
    throw error;
  }
}

/**
 * A file's weights for a training to start from.
 *
 * @throws {WeightFileError} If they do not fit the architecture.
 */
export function startingWeights(
  { name, ...options }: Pick<Architecture, "name" | "shortcut" | "zeroChannels">,
  model: Model,
): Weights {
  const [like] = model.subject.candidates;
  const classes = like ? classesOf(like.graph) : 10;
  return weightsFor(architecture(name, { ...options, classes }), model);
}

/** The shape of a graph's last layer, [classes]. */
export function classesOf({ nodes, output }: Graph): number {
  const { shape } = nodes.find(({ name }) => name === output)!;
  return shape[shape.length - 1];
}

/** Whether a graph has projections (option B), as its architecture's options say it. */
export function shortcutOf(graph: Graph): "A" | "B" {
  return graph.nodes.some((node) => node.kind === "convolution" && node.kernel === 1) ? "B" : "A";
}

/** The graph of an architecture with the options that a file's weights show. */
export function namedGraph(
  name: string,
  like: Graph,
  zeroChannels: ZeroChannels,
  inputShape: readonly number[],
): Graph {
  return architecture(name, {
    ...{ shortcut: shortcutOf(like), classes: classesOf(like) },
    ...{ zeroChannels, inputShape },
  });
}
