/** The paper's form of a CIFAR net, and which form a graph has. */
import { depthOf, type Graph, ofKind } from "../../resnet/mod.ts";
import { simplified, withoutDropout } from "../_graphs.ts";
import type { Finding } from "../rule.ts";
import { needing, type StaticSubject } from "../subject.ts";

/** The three stages, in order. */
export const STAGES = [
  { size: 32, filters: 16 },
  { size: 16, filters: 32 },
  { size: 8, filters: 64 },
] as const;
/** Outputs of the last layer. */
export const CLASSES = 10;

/** The n of 6n+2, as the graph's depth has it. */
export const nOf = (graph: Graph): number => (depthOf(graph) - 2) / 6;

/** Whether a net has no shortcuts, whatever it is called. */
export const isPlain = (graph: Graph): boolean => ofKind(graph, "add").length === 0;

/** A shape as people write it. */
export const text = (shape: readonly number[]): string => `[${shape.join(", ")}]`;

/** "resnet20", "cifar10-ResNet_v1_20", "plain-56": a number elsewhere, as of the data set, is no depth. */
const DEPTH = /(?:resnet|plain)(?:net)?[-_ ]?(?:v\d[-_ ])?(\d+)(?![\dx])/i;

/**
 * What a net's name says of it.
 *
 * @param name Any name, such as a file's or an exporter's.
 * @returns The depth, and whether it is a plain net; undefined where the name does not say.
 */
export function namedForm(name: string): { readonly depth?: number; readonly plain?: boolean } {
  const depth = DEPTH.exec(name)?.[1];
  return {
    ...(depth === undefined ? {} : { depth: Number(depth) }),
    ...(/plain/i.test(name)
      ? { plain: true }
      : /resnet|residual/i.test(name)
      ? { plain: false }
      : {}),
  };
}

/** A check of the graph, without the nodes of it that do nothing, and without dropout. */
export function ofGraph(check: (graph: Graph) => Finding): (subject: StaticSubject) => Finding {
  return needing(["graph"], ({ graph }) => check(simplified(withoutDropout(graph))));
}
