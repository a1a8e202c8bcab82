/** What an audit comes to, in a few sentences that need no knowledge of the checklist. */
import { architecture, countParameters, depthOf, type Graph, ofKind } from "../resnet/mod.ts";
import type { Change } from "./advice.ts";
import type { AuditCandidate, AuditFinding, AuditReport, ClaimedError } from "./report.ts";
import { expectedError, isFarFromPaper, nearestDepth } from "./expected.ts";
import type { RankedTrial } from "./sweep.ts";
import { number, percent } from "../text/mod.ts";

/** What the sentences are made of. */
export interface Grounds {
  /** What the target may be. */
  readonly candidates: readonly AuditCandidate[];
  /** Whether each of them has the form and the depth of a net of Table 6. */
  readonly ofPaper: boolean;
  /** Whether each keeps the paper's rules on the network, at any depth. */
  readonly ofForm: boolean;
  /** What speaks against it, the gravest first. */
  readonly findings: readonly AuditFinding[];
  /** What would mend it, in the order to try. */
  readonly changes: readonly Change[];
  /** Trainable parameters, where they are known. */
  readonly parameters: number | undefined;
  /** Whether candidates were tried on images. */
  readonly tried: boolean;
  /** Whether the first batch norm shows no crops out of padded images. */
  readonly uncropped: boolean;
  /** The best trials on all images; none where nothing beat guessing. */
  readonly leaders: readonly RankedTrial[];
  /** Of the best. */
  readonly testError: AuditReport["testError"];
  /** The error that the file claims. */
  readonly claimed: ClaimedError | undefined;
  /** Whether its recipe trains and tests on other images than CIFAR-10. */
  readonly otherImages: boolean;
  /** Whether those are photographs, the matter of the paper's section 3.4. */
  readonly photographs: boolean;
  /** Whether anything says how it was trained. */
  readonly trainingKnown: boolean;
}

/**
 * The verdict: what the target is, its error against Table 6 and what to change
 * first, a line each; then what differs and what cannot be told.
 *
 * @param grounds What the audit found.
 * @returns The three lines, and everything as one text.
 */
export function verdictOf(grounds: Grounds): Pick<AuditReport, "summary" | "verdict"> {
  const { findings, changes, trainingKnown, tried, leaders } = grounds;
  const what = identity(grounds);
  const error = errorLine(grounds);
  const first = changes.length > 0 && !isUnaugmented(grounds)
    ? `Change first: ${changes[0].change}`
    : isUnaugmented(grounds)
    ? "Look first whether the augmentation reaches the network: by its first batch norm's statistics no crop out of a padded image did."
    : isUnmatched(grounds)
    ? "Show more of it first: record the training script that made it, or export the network as ONNX."
    : findings.length > 0
    ? `What departs: ${
      findings.map(({ title }) => title.replace(/\.$/, "")).slice(0, 3).join("; ")
    }.`
    : "No rule that can be observed is broken.";
  return {
    summary: [what, error, first],
    verdict: [
      what,
      ...differences(grounds),
      error,
      ...(tried && leaders.length === 0
        ? [
          "With no preprocessing it does better than guessing: the weights are untrained, or belong to another network or to other classes.",
        ]
        : []),
      ...unmatched(grounds),
      ...(trainingKnown ? [] : ["How it was trained is not observable."]),
      first,
    ].join(" "),
  };
}

/** Nets that a sentence lists. */
const MOST_NAMED = 6;
/** Of the paper's nets, from the first layer to the last. */
const MAP_SIZES = "32x32, 16x16, 8x8";

function identity(grounds: Grounds): string {
  const { candidates, ofPaper, ofForm, findings } = grounds;
  if (candidates.length === 0) {
    const structure = findings.filter(({ rule }) => rule !== "weights");
    return structure.length > 0
      ? `This is none of the networks that the checklist can express: ${
        structure.map(({ evidence }) => evidence).join("; ")
      }.`
      : "Which network this is can't be told: the order of its layers is not known.";
  }
  const [{ graph, name }] = candidates;
  const facts = factsOf(graph, grounds.parameters);
  if (grounds.photographs) {
    return `This was trained on photographs, the matter of the paper's section 3.4: ${
      titled(name)
    } with ${facts}, on images of ${graph.inputShape.slice(0, 2).join("x")}.`;
  }
  const kinds = findings.filter(({ id }) => FORMS.has(id)).map(({ title }) => title);
  if (!ofPaper) {
    const near = nearest(graph);
    // What weights alone assume of the maps is no fact.
    const sizes = candidates.some(({ assumptions }) => assumptions.length > 0)
      ? MAP_SIZES
      : mapSizes(graph).join(", ");
    const maps = sizes === MAP_SIZES
      ? ""
      : ` On images of ${
        graph.inputShape.slice(0, 2).join("x")
      } its maps are ${sizes}; the paper's are ${MAP_SIZES}.`;
    return `${
      ofForm
        ? "This has the form of the paper's CIFAR nets, at a depth that Table 6 does not have"
        : "This is not one of the paper's CIFAR nets"
    }: ${name}${kinds.length > 0 ? `, with ${kinds.join(", ")},` : ""} has ${facts}, against ${
      millions(countParameters(architecture(near)))
    } in ${titled(near)}, the paper's net nearest in depth.${maps}`;
  }
  if (candidates.length === 1) {
    return `This is ${titled(paperName(graph))} of the paper: ${facts}, ${shortcutsOf(graph)}.`;
  }
  return `By names and shapes this is ${
    [
      ...new Set(candidates.map(({ graph }) => titled(paperName(graph)))),
    ].join(" or ")
  } of the paper: ${facts}; ${candidates.length} nets have these arrays (${
    candidates.slice(0, MOST_NAMED).map(({ name }) => name).join("; ")
  }${candidates.length > MOST_NAMED ? `; and ${candidates.length - MOST_NAMED} more` : ""}), and ${
    candidates.every(({ network }) => network)
      ? grounds.tried
        ? "their errors on images do not tell them apart"
        : "only their errors on images (--data) can tell them apart"
      : "nothing tells them apart"
  }.`;
}

/** Causes that say what kind of net it is. */
const FORMS: ReadonlySet<string> = new Set([
  "pre-activation",
  "bottleneck",
  "grouped",
  "group-norm",
]);

function differences({ findings, leaders }: Grounds): string[] {
  const sentences: string[] = [];
  const [best] = leaders;
  const rules = [...new Set(findings.map(({ rule }) => rule))];
  const network = rules.filter((id) => id !== "mean" && id !== "preprocessed-mean");
  if (network.length > 0) {
    sentences.push(
      `It breaks ${network.length === 1 ? "the rule" : "the rules"} ${network.join(", ")}.`,
    );
  }
  if (best && rules.includes("mean")) {
    const tied = leaders.filter(({ standing }) => standing === "tied")
      .filter(({ preprocessing }) => preprocessing !== best.preprocessing)
      .map(({ preprocessing }) => preprocessing.name);
    const others = new Set(tied);
    sentences.push(
      `Its images were prepared by ${best.preprocessing.name}${
        best.preprocessing.channels === "BGR" ? " with blue first" : ""
      }${
        others.size > 0 ? ` (or by ${[...others].join(" or ")}: a tie)` : ""
      }, not by the per-pixel mean of the paper; what that costs is not known.`,
    );
  }
  return sentences;
}

/** Whether the best trial errs so much more than such nets do that none computes what it was. */
function isUnmatched({ candidates, leaders, findings }: Grounds): boolean {
  const [best] = leaders;
  // A variant that fits says itself what is otherwise.
  return best !== undefined && candidates.length > 0 &&
    !findings.some(({ id }) => candidates.some(({ departs }) => departs === id)) &&
    isFarFromPaper(best.errors, best.images, depthOf(best.candidate.graph));
}

/** Whether it errs more than one run of the paper's may, and nothing worse than that is known. */
function isUnaugmented({ uncropped, testError, findings, candidates }: Grounds): boolean {
  const expected = candidates.length > 0
    ? expectedError(nearestDepth(depthOf(candidates[0].graph)))
    : undefined;
  return uncropped && testError !== undefined && expected !== undefined &&
    testError.error > expected.error + expected.margin &&
    findings.every(({ rule }) => rule === "mean" || rule === "preprocessed-mean");
}

function unmatched(grounds: Grounds): string[] {
  return isUnmatched(grounds)
    ? [
      "So far from it, either its training went no further, or none of the networks and preprocessings that were tried computes what its own code does: then a recording of that code, or an ONNX file of the network, shows more.",
    ]
    : [];
}

function errorLine({ candidates, ofPaper, testError, otherImages, claimed }: Grounds): string {
  const measured = testError
    ? `It errs on ${percent(testError.error)} of ${number(testError.images)} test images (${
      percent(testError.lower)
    } to ${percent(testError.upper)} with so many images)${
      !claimed
        ? ""
        : claimed.error >= testError.lower && claimed.error <= testError.upper
        ? `, as the file says (${claimed.what})`
        : `; the file says otherwise (${claimed.what})`
    }.`
    : `Its error was not measured here${claimed ? `; the file says ${claimed.what}` : ""}.`;
  if (candidates.length === 0) return measured;
  if (otherImages) {
    return `${measured} It was trained on other images than CIFAR-10: Table 6 says nothing of it.`;
  }
  const [{ graph }] = candidates;
  const name = ofPaper ? paperName(graph) : nearest(graph);
  const expected = expectedError(depthOf(architecture(name)));
  if (!expected) return measured;
  if (!ofPaper) {
    return `${measured} The error to expect is not the ${percent(expected.error)} of ${
      titled(name)
    }: the paper gives none for this net on CIFAR-10.`;
  }
  if (candidates.every(({ graph }) => isPlain(graph))) {
    return `${measured} The paper prints no error of plain nets; Figure 6 shows them above the residual nets.`;
  }
  const points = (100 * expected.margin).toFixed(2);
  return testError
    ? `${measured} Table 6 gives ${percent(expected.error)} for ${
      titled(name)
    }, with which one run is ${
      Math.abs(testError.error - expected.error) <= expected.margin
        ? "not inconsistent"
        : "inconsistent"
    }: it may lie ${points} points off, if results spread as those of the paper's ResNet-110.`
    : `${measured} After the paper's training expect ${
      percent(expected.error)
    } (Table 6), give or take ${points} points for one run.`;
}

const isPlain = (graph: Graph): boolean => ofKind(graph, "add").length === 0;

/** The name of the paper's net of this depth. */
function paperName(graph: Graph): string {
  return `${isPlain(graph) ? "plain" : "resnet"}${depthOf(graph)}`;
}

/** The paper's residual net that is nearest in depth. */
function nearest(graph: Graph): string {
  return `resnet${nearestDepth(depthOf(graph))}`;
}

/** `resnet32` as the paper writes it. */
function titled(name: string): string {
  return name.replace(/^resnet/, "ResNet-").replace(/^plain/, "plain-");
}

function factsOf(graph: Graph, parameters = countParameters(graph)): string {
  const exact = number(parameters);
  return `${depthOf(graph)} weighted layers and ${
    parameters < 1e6 ? exact : `${exact} (${millions(parameters)})`
  } parameters`;
}

const millions = (count: number): string => `${(count / 1e6).toFixed(2)}M`;

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
