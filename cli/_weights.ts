/** Files of weights from the command line: what every command that is given one makes of it. */
import { classesOf, type Model } from "../audit/mod.ts";
import {
  type Architecture,
  architecture,
  fitWeights,
  type Graph,
  WeightFileError,
  type Weights,
  type ZeroChannels,
} from "../resnet/mod.ts";

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
