/** What an audit can be pointed at, read into what it judges. */
import { identityProblem, type LogSubject, type StartEvent } from "../log/mod.ts";
import {
  architecture,
  type Graph,
  parametersOf,
  WeightFileError,
  type Weights,
} from "../resnet/mod.ts";
import type { Contents, ModelFile, OnnxModel } from "../weights/mod.ts";
import type { RunIdentity } from "../train/mod.ts";
import { completed } from "../recipes/mod.ts";
import { subjectOf } from "../spec/mod.ts";
import type { AuditCandidate, AuditSubject, Violation } from "./report.ts";
import { type Candidate, identify, type WeightFinding } from "./identify.ts";

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
    ? networkSubject(target, file.network)
    : file.unmapped
    ? unmappedSubject(target, file.unmapped, file.tensors)
    : weightsSubject(target, file.tensors, identity);
  return { ...subject, notes: [...file.notes ?? [], ...subject.notes ?? []] };
}

function weightsSubject(
  target: string,
  weights: Weights,
  identity?: RunIdentity,
): AuditSubject {
  const problem = identity && identityProblem(identity);
  if (problem !== undefined) {
    throw new WeightFileError(
      `${target}: what the metadata says of the run must be a recipe of this module: ${problem}; remove the metadata to have the weights judged alone`,
    );
  }
  const { candidates, naming, census, findings, ignored } = identify(weights);
  const claims = identity && claimsOf(completed(identity.recipe), identity.seed);
  const claimed = identity ? candidates.filter(({ graph }) => isClaimed(graph, identity)) : [];
  return {
    target,
    form: "a file of weights",
    candidates: (claimed.length > 0 ? claimed : candidates).map(runnable),
    inferred: claimed.length === 0,
    violations: candidates.length > 0 ? [] : findings.map(violationOf),
    seen: Object.fromEntries(
      findings.flatMap(({ id, evidence }) => id in RULES ? [[RULES[id]!, evidence]] : []),
    ),
    notes: [
      `names: ${naming}`,
      `arrays: ${census.convolutions} convolutions, ${census.batchNorms} batch norms, ${
        census.parameters.toLocaleString("en-US")
      } trainable parameters`,
      ...(candidates.length > 0 ? findings.map(({ evidence }) => evidence) : []),
      ...(ignored.length > 0
        ? [`${ignored.length} arrays belong to no layer: ${some(ignored)}`]
        : []),
    ],
    unobservable: { "no-dropout": "dropout has no weights, and does nothing when it is tested" },
    ...(claims ? { claims } : {}),
  };
}

function networkSubject(target: string, network: OnnxModel): AuditSubject {
  const { graph, executable, notes, inputTransform, epsilon, producer } = network;
  const ids = new Set(notes.map(({ id }) => id));
  const folded =
    "batch norm was folded into the convolutions when the file was written, or never there";
  return {
    target,
    form: ONNX,
    candidates: [{
      name: graph.name,
      graph,
      assumptions: [],
      network: { ...executable, ...{ inputTransform, epsilon } },
    }],
    violations: notes.filter(({ id }) => id in FORBIDDEN)
      .map(({ id, evidence }) => ({ id, requirement: FORBIDDEN[id], evidence })),
    notes: [`written by ${producer || "an exporter that does not say its name"}`]
      .concat(notes.map(({ id, evidence }) => `${id}: ${evidence}`)),
    unobservable: {
      "no-dropout": "an exporter leaves dropout out, since it does nothing when it is tested",
      ...(ids.has("batch-norm-folded")
        ? Object.fromEntries(BATCH_NORM_RULES.map((rule) => [rule, folded]))
        : {}),
    },
  };
}

function unmappedSubject(
  target: string,
  operators: readonly string[],
  weights: Weights,
): AuditSubject {
  const { census, findings } = identify(weights);
  return {
    target,
    form: ONNX,
    candidates: [],
    violations: operators.map((evidence) => ({
      id: "operations",
      requirement: "The network is made of the layers that the paper names.",
      evidence,
    })).concat(findings.filter(({ id }) => id !== "unknown-structure").map(violationOf)),
    notes: [`arrays: ${census.convolutions} convolutions`],
  };
}

const ONNX = "an ONNX file";

/** Notes of an ONNX file that are violations, with the requirement. */
const FORBIDDEN: Readonly<Record<string, string>> = {
  "dropout": "There is no dropout.",
  "batch-norm-in-training-mode":
    "At test time batch normalisation takes the statistics of the training.",
};

/** What cannot be told once batch norm is folded into the convolutions. */
const BATCH_NORM_RULES = ["batch-norm", "activation", "no-bias", "parameters"];

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
  const { graph, ...claims } = subjectOf(start.recipe, start.seed);
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
    violations: [...subject.violations ?? [], {
      id: "claimed",
      requirement: `It is said to be ${name}.`,
      evidence: `it is ${found || "of no form that is known"}`,
    }],
  };
}

function claimsOf(...[recipe, seed]: Parameters<typeof subjectOf>): AuditSubject["claims"] {
  const { graph: _, ...claims } = subjectOf(recipe, seed);
  return claims;
}

/** Whether a graph is the one that a file says it is of; the nodes' order is no difference. */
function isClaimed(graph: Graph, { recipe, classes }: RunIdentity): boolean {
  const { name, ...options } = recipe.architecture;
  const text = ({ nodes }: Graph) =>
    nodes.map((node) => JSON.stringify(node, Object.keys(node).sort())).sort().join();
  return text(graph) === text(architecture(name, { ...options, classes }));
}

/** A candidate with what can be run of it: nothing where the file lacks arrays of the graph. */
function runnable({ name, graph, weights, assumptions }: Candidate): AuditCandidate {
  const complete = parametersOf(graph).every((parameter) => weights.has(parameter.name));
  return { name, graph, assumptions, ...(complete ? { network: { graph, weights } } : {}) };
}

/** The rules that findings of names and shapes break, whichever candidate it is. */
const RULES: Readonly<Partial<Record<WeightFinding["id"], string>>> = {
  "stem-7x7": "stem",
  "stem-kernel": "stem",
  "stem-filters": "stem",
  "image-channels": "input",
  "stages": "stages",
  "widths": "stages",
  "blocks-per-stage": "stages",
  "kernel-size": "stages",
  "depth": "depth",
  "bottleneck": "shortcuts",
  "projection": "identity",
  "projection-without-batch-norm": "batch-norm",
  "batch-norm-missing": "batch-norm",
  "pre-activation": "batch-norm",
  "convolution-bias": "no-bias",
  "classes": "head",
  "head-missing": "head",
};

function violationOf({ id, evidence }: WeightFinding): Violation {
  return { id, requirement: "The network is made of the layers that the paper names.", evidence };
}

function some(names: readonly string[]): string {
  return names.slice(0, 3).join(", ") + (names.length > 3 ? ", ..." : "");
}
