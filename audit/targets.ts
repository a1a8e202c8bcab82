/** What an audit can be pointed at, read into what it judges. */
import { identityProblem, type LogSubject, type StartEvent } from "../log/mod.ts";
import {
  architecture,
  buildGraph,
  consumersOf,
  type Graph,
  type Node,
  type NodeSpec,
  ofKind,
  parametersOf,
  WeightFileError,
  type Weights,
} from "../resnet/mod.ts";
import {
  type Contents,
  type ModelFile,
  nameByPlace,
  type OnnxModel,
  type OnnxNoteId,
} from "../weights/mod.ts";
import type { RunIdentity } from "../train/mod.ts";
import { completed, isOfPhotographs } from "../recipes/mod.ts";
import { subjectOf } from "../spec/mod.ts";
import { number } from "../text/mod.ts";
import type { Cause, CauseId } from "./causes.ts";
import { faultsOf } from "./_health.ts";
import { evidenceOf } from "./saved_training.ts";
import type { AuditCandidate, AuditSubject } from "./report.ts";
import { type Candidate, identify } from "./identify.ts";

/**
 * An architecture by its name: its graph, and nothing of a training.
 *
 * @param name Such as `resnet34`.
 * @returns What is judged.
 * @throws {ArchitectureError} If there is none of that name.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { architectureSubject } from "./targets.ts";
 *
 * assertEquals(architectureSubject("resnet34").candidates.length, 1);
 * ```
 */
export function architectureSubject(name: string): AuditSubject {
  const graph = architecture(name);
  return {
    target: name,
    form: "an architecture",
    candidates: [{ name, graph, assumptions: [] }],
  };
}

/**
 * A file of weights or of a network: its one network, as it is computed, or
 * every network that its names and shapes admit. Weights of our own runs say
 * how they were trained, which is taken for granted.
 *
 * @param target The file's name, for the report.
 * @param file What was read from it.
 * @param identity What the file says of its training, if it says anything.
 * @returns What is judged. Where operations cannot be expressed, that is a
 *   violation, and what the arrays tell stands beside it.
 * @throws {WeightFileError} If what it says is of no run of this module.
 */
export function fileSubject(
  target: string,
  file: Contents & Partial<Pick<ModelFile, "title">>,
  identity?: RunIdentity,
): AuditSubject {
  const subject = file.network
    ? networkSubject(target, file.network, file.title)
    : file.unmapped
    ? unmappedSubject(target, file.unmapped, file.tensors, file.title)
    : weightsSubject(target, file, identity);
  const said = file.training && evidenceOf(file.training);
  return {
    ...subject,
    causes: [...faultsOf(file.tensors), ...said?.causes ?? [], ...subject.causes ?? []],
    weightsSeen: true,
    evidence: said?.evidence ?? [],
    ...(said ? { choices: said.choices, claimed: said.claimed } : {}),
    notes: [...file.notes ?? [], ...said?.notes ?? [], ...subject.notes ?? []],
  };
}

function weightsSubject(
  target: string,
  { tensors, ordered }: Contents,
  identity?: RunIdentity,
): AuditSubject {
  const problem = identity && identityProblem(identity);
  if (problem !== undefined) {
    throw new WeightFileError(
      `${target}: what the metadata says of the run must be a recipe of this module: ${problem}; remove the metadata to have the weights judged alone`,
    );
  }
  const found = identify(tensors, ordered);
  const { candidates, naming, census, findings, ignored, orderUnknown } = found;
  const recipe = identity && completed(identity.recipe);
  const claims = identity && recipe && claimsOf(recipe, identity.seed);
  const run = (candidate: Candidate) => runnable(candidate, recipe?.batchNorm.epsilon);
  const claimed = identity ? candidates.filter(({ graph }) => isClaimed(graph, identity)) : [];
  return {
    target,
    form: "a file of weights",
    candidates: (claimed.length > 0 ? claimed : candidates).map(run),
    ...(claimed.length > 0 ? {} : { variants: () => found.variants().map(run) }),
    inferred: claimed.length === 0,
    causes: findings,
    parameters: census.parameters,
    notes: [
      `names: ${naming}`,
      `arrays: ${census.convolutions} convolutions, ${census.batchNorms} batch norms, ${
        number(census.parameters)
      } trainable parameters`,
      ...found.notes,
      ...(orderUnknown
        ? [
          `the order of the layers can't be known, neither by the file nor by names or shapes (${orderUnknown}): what depends on it is not judged`,
        ]
        : []),
      ...(ignored.length > 0
        ? [`${ignored.length} arrays belong to no layer: ${some(ignored)}`]
        : []),
    ],
    unobservable: { "no-dropout": "dropout has no weights, and does nothing when it is tested" },
    ...(claims ? { claims } : {}),
  };
}

function networkSubject(target: string, network: OnnxModel, form = ONNX): AuditSubject {
  const { graph, weights, executable, notes, departures, inputTransform, epsilon, producer } =
    network;
  const folded = isFolded(graph);
  const judged = folded ? unfolded(graph, weights) : graph;
  const why =
    "batch norm was folded into the convolutions when the file was written, or never there";
  const seen = new Set(notes.map(({ id }) => id));
  return {
    target,
    form,
    candidates: [{
      name: judged.name,
      graph: judged,
      assumptions: [],
      ...(executable ? { network: { ...executable, ...{ inputTransform, epsilon } } } : {}),
    }],
    causes: [
      ...departures,
      ...notes.flatMap(({ id, evidence }): Cause[] => {
        // Keras's loss takes probabilities, PyTorch's does not.
        const ofKeras = /tf2onnx|keras|tensorflow/i.test(producer);
        if (id === "softmax-inside" && ofKeras) return [];
        return Object.hasOwn(NOTED, id) ? [{ id: NOTED[id]!, evidence }] : [];
      }),
    ],
    notes: [`written by ${producer || "an exporter that does not say its name"}`]
      .concat(notes.map(({ id, evidence }) => `${id}: ${evidence}`)),
    unobservable: {
      "no-dropout": "an exporter leaves dropout out, since it does nothing when it is tested",
      ...(folded ? { "batch-norm": why, "no-bias": why, "parameters": why } : {}),
      ...(departures.some(({ id }) => COUNTED_OTHERWISE.has(id))
        ? {
          "parameters":
            "layers of another kind have other parameters than those that stand for them",
        }
        : {}),
      ...(seen.has("input-size-open") ? { "input": "the file leaves the images' size open" } : {}),
    },
  };
}

/** Whether no batch norm follows a convolution, and biases stand where it would have been folded. */
function isFolded(graph: Graph): boolean {
  const convolutions = ofKind(graph, "convolution");
  const follows = ({ name }: Node) =>
    consumersOf(graph, name).some(({ kind }) => kind === "batch-norm");
  return convolutions.some(({ bias }) => bias) && !convolutions.some(follows);
}

/** The graph with a batch norm behind each convolution into which one may have been folded. */
function unfolded(graph: Graph, weights: Weights): Graph {
  const renamed = new Map<string, string>();
  const inputOf = (name: string) => renamed.get(name) ?? name;
  const specs = graph.nodes.flatMap((node): NodeSpec[] => {
    if (node.kind === "add") {
      return [{ ...node, inputs: [inputOf(node.inputs[0]), inputOf(node.inputs[1])] }];
    }
    const spec = { ...node, input: inputOf(node.input) };
    if (spec.kind !== "convolution" || !spec.bias) return [spec];
    const norm = `${node.name}.norm`;
    renamed.set(node.name, norm);
    return [{ ...spec, bias: false }, { kind: "batch-norm", name: norm, input: node.name }];
  });
  return nameByPlace(buildGraph(graph.name, graph.inputShape, specs), weights).graph;
}

function unmappedSubject(
  target: string,
  operators: readonly string[],
  weights: Weights,
  form = ONNX,
): AuditSubject {
  const { census, findings } = identify(weights);
  return {
    target,
    form,
    candidates: [],
    causes: [
      {
        id: "operations",
        evidence: operators.slice(0, 3).join("; ") +
          (operators.length > 3 ? `; and ${operators.length - 3} more` : ""),
      },
      ...findings.filter(({ id }) => id !== "unknown-structure"),
    ],
    notes: [`arrays: ${census.convolutions} convolutions`],
  };
}

const ONNX = "an ONNX file";
const COUNTED_OTHERWISE: ReadonlySet<string> = new Set([
  "flattened-head",
  "grouped",
  "hidden-dense",
]);

/** Notes of an ONNX file that speak against it. */
const NOTED: Readonly<Partial<Record<OnnxNoteId, CauseId>>> = {
  "dropout": "dropout",
  "batch-norm-in-training-mode": "training-mode-norm",
  "softmax-inside": "softmax-at-end",
  "dense-without-bias": "dense-without-bias",
};

/**
 * A run: what its recipe says and what its log shows.
 *
 * @param target The folder, for the report.
 * @param log As `logSubjectOf` reads it.
 * @returns What is judged.
 */
export function runSubject(target: string, log: LogSubject): AuditSubject {
  const start = log.events?.find((event): event is StartEvent => event.type === "start");
  if (!start) return { target, form: "a run without a start", candidates: [], log };
  const { recipe, seed, classes } = start;
  const { graph, ...claims } = subjectOf(
    recipe,
    seed,
    isOfPhotographs(recipe) ? classes.length : undefined,
  );
  return {
    target,
    form: `a run of ${graph.name}`,
    candidates: [{ name: graph.name, graph, assumptions: [] }],
    claims,
    log,
  };
}

/**
 * Holds a target to what it is said to be.
 *
 * @param subject What is judged.
 * @param name The architecture that it is said to be.
 * @returns The candidates of that name alone; where there are none, the same
 *   candidates and a violation.
 * @throws {ArchitectureError} If there is no architecture of that name.
 */
export function heldTo(subject: AuditSubject, name: string): AuditSubject {
  architecture(name);
  // A candidate's name begins with its net's; what it supposes comes behind a comma.
  const nets = subject.candidates.map((candidate) => candidate.name.split(",")[0]);
  const fitting = subject.candidates.filter((_, i) => nets[i] === name);
  if (fitting.length > 0) return { ...subject, candidates: fitting };
  const found = [...new Set(nets)].join(" or ");
  return {
    ...subject,
    causes: [...subject.causes ?? [], {
      id: "claimed",
      evidence: `it is said to be ${name}, and is ${found || "of no form that is known"}`,
    }],
  };
}

function claimsOf(...[recipe, seed]: Parameters<typeof subjectOf>): AuditSubject["claims"] {
  const { graph: _, ...claims } = subjectOf(recipe, seed);
  return claims;
}

/** A graph as a text that does not depend on the order of its nodes. */
export function textOf({ nodes }: Graph): string {
  return nodes.map((node) => JSON.stringify(node, Object.keys(node).sort())).sort().join();
}

/** Whether a graph is the one that a file says it is of; the nodes' order is no difference. */
function isClaimed(graph: Graph, { recipe, classes }: RunIdentity): boolean {
  const { name, ...options } = recipe.architecture;
  return textOf(graph) === textOf(architecture(name, { ...options, classes }));
}

/** A candidate with what can be run of it: nothing where the file lacks arrays of the graph. */
function runnable(
  { name, graph, weights, assumptions, departs, run = { graph, weights } }: Candidate,
  epsilon?: number,
): AuditCandidate {
  const complete = parametersOf(graph).every((parameter) => weights.has(parameter.name));
  return {
    ...{ name, graph, assumptions },
    ...(complete ? { network: { ...run, ...(epsilon === undefined ? {} : { epsilon }) } } : {}),
    ...(departs ? { departs } : {}),
  };
}

function some(names: readonly string[]): string {
  return names.slice(0, 3).join(", ") + (names.length > 3 ? ", ..." : "");
}
