/** What an audit comes to, in a few sentences that need no knowledge of the checklist. */
import { architecture, countParameters, type Graph } from "../resnet/mod.ts";
import { depthOf, type Judgement, ofKind } from "../spec/mod.ts";
import type { Change } from "./advice.ts";
import type { AuditCandidate, AuditReport } from "./report.ts";
import { expectedError, PAPER_DEPTHS } from "./expected.ts";
import type { RankedTrial } from "./sweep.ts";
import { percent } from "../text/mod.ts";

/** What the sentences are made of. */
export interface Grounds {
  /** What the target may be. */
  readonly candidates: readonly AuditCandidate[];
  /** Whether each of them has the form and the depth of a net of Table 6. */
  readonly ofPaper: boolean;
  /** Whether each keeps the paper's rules on the network, at any depth. */
  readonly ofForm: boolean;
  /** The rules that failed. */
  readonly failed: readonly Judgement[];
  /** What would mend them, most effective first. */
  readonly changes: readonly Change[];
  /** Whether candidates were tried on images. */
  readonly tried: boolean;
  /** The best trials on all images; none where nothing beat guessing. */
  readonly leaders: readonly RankedTrial[];
  /** Of the best. */
  readonly testError: AuditReport["testError"];
  /** Whether its recipe trains and tests on other images than CIFAR-10. */
  readonly otherImages: boolean;
  /** Whether a recipe or a log says how it was trained. */
  readonly trainingKnown: boolean;
}

/**
 * The verdict: what the target is, what differs from the paper, which error to
 * expect, what cannot be told, and what to change first.
 *
 * @param grounds What the audit found.
 * @returns A few sentences.
 */
export function verdictOf(grounds: Grounds): string {
  const { failed, changes, trainingKnown } = grounds;
  return [
    identity(grounds),
    ...differences(grounds),
    ...error(grounds),
    ...(trainingKnown ? [] : ["How it was trained is not observable."]),
    ...(changes.length > 0 ? [`Change first: ${changes[0].change}`] : []),
    ...(failed.length === 0 ? ["No rule that can be observed is broken."] : []),
  ].join(" ");
}

/** Of the paper's nets, from the first layer to the last. */
const MAP_SIZES = "32x32, 16x16, 8x8";

function identity({ candidates, ofPaper, ofForm, failed }: Grounds): string {
  if (candidates.length === 0) {
    return `This is none of the networks that the checklist can express: ${
      failed.map(({ evidence }) => evidence).join("; ")
    }.`;
  }
  const [{ graph, name }] = candidates;
  const facts = factsOf(graph);
  if (!ofPaper) {
    const near = nearest(graph);
    const sizes = mapSizes(graph).join(", ");
    const maps = sizes === MAP_SIZES
      ? ""
      : ` On images of ${
        graph.inputShape.slice(0, 2).join("x")
      } its maps are ${sizes}; the paper's are ${MAP_SIZES}.`;
    return `${
      ofForm
        ? "This has the form of the paper's CIFAR nets, at a depth that Table 6 does not have"
        : "This is not one of the paper's CIFAR nets"
    }: ${name} has ${facts}, against ${millions(countParameters(architecture(near)))} in ${
      titled(near)
    }, the paper's net nearest in depth.${maps}`;
  }
  if (candidates.length === 1) {
    return `This is ${titled(paperName(graph))} of the paper: ${facts}, ${shortcutsOf(graph)}.`;
  }
  return `By names and shapes this is ${
    [
      ...new Set(candidates.map(({ graph }) => titled(paperName(graph)))),
    ].join(" or ")
  } of the paper: ${facts}; ${candidates.length} nets have these arrays (${
    candidates.map(({ name }) => name).join("; ")
  }), and ${
    candidates.every(({ network }) => network)
      ? "only their errors on images (--data) can tell them apart"
      : "nothing tells them apart"
  }.`;
}

function differences({ failed, leaders }: Grounds): string[] {
  const sentences: string[] = [];
  const [best] = leaders;
  const ids = failed.map(({ id }) => id);
  const network = ids.filter((id) => id !== "mean" && id !== "preprocessed-mean");
  if (network.length > 0) {
    sentences.push(
      `It breaks ${network.length === 1 ? "the rule" : "the rules"} ${network.join(", ")}.`,
    );
  }
  if (best && ids.includes("mean")) {
    const tied = leaders.filter(({ standing }) => standing === "tied")
      .filter(({ preprocessing }) => preprocessing !== best.preprocessing)
      .map(({ preprocessing }) => preprocessing.name);
    const others = new Set(tied);
    sentences.push(
      `Its images were prepared by ${best.preprocessing.name}${
        best.preprocessing.channels === "BGR" ? " with blue first" : ""
      }${
        others.size > 0 ? ` (or by ${[...others].join(" or ")}: a tie)` : ""
      }, not by the per-pixel mean of the paper; what that costs was not measured.`,
    );
  } else if (network.length > 0) {
    sentences.push("What that costs was not measured here.");
  }
  return sentences;
}

function error({ candidates, ofPaper, tried, leaders, testError, otherImages }: Grounds): string[] {
  if (candidates.length === 0) return [];
  const [{ graph }] = candidates;
  const name = ofPaper ? paperName(graph) : nearest(graph);
  const expected = expectedError(depthOf(architecture(name)));
  const sentences: string[] = [];
  if (tried && leaders.length === 0) {
    sentences.push(
      "With no preprocessing it does better than guessing: the weights are untrained, or belong to another network or to other classes.",
    );
  }
  if (testError) {
    const { error, images, lower, upper } = testError;
    sentences.push(
      `It errs on ${percent(error)} of ${images.toLocaleString("en-US")} test images (${
        percent(lower)
      } to ${percent(upper)} with so many images).`,
    );
  }
  if (otherImages) {
    return [
      ...sentences,
      "It was trained on other images than CIFAR-10: Table 6 says nothing of it.",
    ];
  }
  if (!expected) return sentences;
  if (!ofPaper) {
    sentences.push(
      `The error to expect is not the ${percent(expected.error)} of ${
        titled(name)
      }: the paper gives none for this net on CIFAR-10${
        testError ? "" : ", and none was measured here"
      }.`,
    );
  } else if (candidates.every(({ graph }) => isPlain(graph))) {
    sentences.push(
      "The paper prints no error of plain nets; Figure 6 shows them above the residual nets.",
    );
  } else {
    const points = (100 * expected.margin).toFixed(2);
    sentences.push(
      testError
        ? `Table 6 gives ${percent(expected.error)} for ${titled(name)}, with which one run is ${
          Math.abs(testError.error - expected.error) <= expected.margin
            ? "not inconsistent"
            : "inconsistent"
        }: it may lie ${points} points off, if results spread as those of the paper's ResNet-110.`
        : `After the paper's training expect ${
          percent(expected.error)
        } (Table 6), give or take ${points} points for one run.`,
    );
  }
  return sentences;
}

const isPlain = (graph: Graph): boolean => ofKind(graph, "add").length === 0;

/** The name of the paper's net of this depth. */
function paperName(graph: Graph): string {
  return `${isPlain(graph) ? "plain" : "resnet"}${depthOf(graph)}`;
}

/** The paper's residual net that is nearest in depth. */
function nearest(graph: Graph): string {
  const depth = depthOf(graph);
  const [near] = PAPER_DEPTHS.toSorted((a, b) => Math.abs(a - depth) - Math.abs(b - depth));
  return `resnet${near}`;
}

/** `resnet32` as the paper writes it. */
function titled(name: string): string {
  return name.replace(/^resnet/, "ResNet-").replace(/^plain/, "plain-");
}

function factsOf(graph: Graph): string {
  const parameters = countParameters(graph);
  const exact = parameters.toLocaleString("en-US");
  return `${depthOf(graph)} weighted layers and ${
    parameters < 1e6 ? exact : `${exact} (${millions(parameters)})`
  } parameters`;
}

const millions = (count: number): string => `${(count / 1e6).toFixed(2)}M`;

/** A share from 0 to 1 in percent. */

function shortcutsOf(graph: Graph): string {
  if (isPlain(graph)) return "without shortcuts";
  const [a] = ofKind(graph, "shortcut-a");
  return !a
    ? "identity shortcuts"
    : `option A with ${a.zeroChannels === "split" ? "split" : "appended"} zero channels`;
}

/** The sizes of the maps, each once, from the first layer to the last. */
function mapSizes(graph: Graph): string[] {
  const sizes = graph.nodes.filter(({ shape }) => shape.length === 3)
    .map(({ shape: [height, width] }) => `${height}x${width}`);
  return [...new Set(sizes)];
}
