/**
 * The checklist pointed at a network that others made: what it is, which rules
 * it keeps and breaks, what it cannot show, and what to change first.
 */
import type { ByteImages } from "../engine/mod.ts";
import { wilsonInterval } from "../verdicts/mod.ts";
import { countParameters, depthOf, type Graph, nodeOf, ofKind, shapeOf } from "../resnet/mod.ts";
import { type EvaluationEvent, finalTestOf, loggedRun, type LogSubject } from "../log/mod.ts";
import { choicesOf, isOfPhotographs } from "../recipes/mod.ts";
import {
  ARCHITECTURE_RULES,
  CHECKLIST,
  concerning,
  type Finding,
  judge,
  type Judgement,
  LOG_RULES,
  probeEngine,
  STATIC_RULES,
  TRAINING_RULES,
} from "../spec/mod.ts";
import { OPEN_POINTS, PAPER_DATASET } from "../paper/mod.ts";
import { number, percent } from "../text/mod.ts";
import { changesFor } from "./advice.ts";
import { type Cause, causeKind, OWN_REQUIREMENTS, rankOf } from "./causes.ts";
import { expectedError, isFarFromPaper, nearestDepth, PAPER_DEPTHS } from "./expected.ts";
import { featureMaps, networkLayers } from "./_feature_maps.ts";
import { declaredBy, isUnderWay } from "./_declared.ts";
import { causesIn } from "./_graph_causes.ts";
import {
  AUDIT_STATUS,
  type AuditCandidate,
  type AuditConclusion,
  type AuditFinding,
  type AuditReport,
  type AuditSubject,
  type TrialSummary,
} from "./report.ts";
import { scalesByChannel } from "./preprocessings.ts";
import { withoutLastRelu } from "./_runs.ts";
import type { Fit } from "./_first_norm.ts";
import type { RankedTrial, Sweep, Trialled } from "./sweep.ts";
import { verdictOf } from "./verdict.ts";

/**
 * Judges a target by every rule of the checklist.
 *
 * A rule on which the candidates disagree is not observable, and so is each on
 * which the target holds too little. What the trials show counts: candidates
 * that err more than the best drop out, and the preprocessings that tie with
 * the best decide the rule on the mean.
 *
 * @param subject What is audited.
 * @param trials The candidates tried on images, where there are images.
 * @returns The report.
 *
 * @example A graph alone shows its architecture and nothing else.
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { architecture } from "../resnet/mod.ts";
 * import { audit } from "./audit.ts";
 *
 * const graph = architecture("resnet20", { shortcut: "B" });
 * const report = await audit({
 *   target: "resnet20", form: "an architecture",
 *   candidates: [{ name: graph.name, graph, assumptions: [] }],
 * });
 * assertEquals(report.status, 1);
 * assertEquals(report.changes[0].rule, "identity");
 * ```
 */
export async function audit(
  subject: AuditSubject,
  trials?: Sweep,
): Promise<AuditReport> {
  // What only images can tell is no candidate without them.
  const tried = new Set(trials?.screened.map(({ candidate }) => candidate.name));
  const variants = trials ? (subject.variants?.() ?? []).filter(({ name }) => tried.has(name)) : [];
  const candidates = [...subject.candidates, ...variants];
  const possible = trials ? possibleAfter(candidates, subject.candidates, trials) : candidates;
  const observed = trials ? observe(trials, possible) : {};
  const assumed = subject.inferred === true && !(trials && confirms(trials, possible));
  const { recipe } = subject.claims ?? {};
  const photographs = recipe !== undefined && isOfPhotographs(recipe);
  // What causes of departures there are is known of section 4.2's nets alone.
  const causes = photographs ? [] : causesOf(subject, possible, assumed, trials);
  const judgements = concerning([
    ...ownJudgements(subject, causes),
    ...staticJudgements(subject, possible)
      .map((judgement) => assumed ? withoutAssumed(judgement) : judgement),
    ...await probeEngine({}),
    ...judge(LOG_RULES, subject.log ?? {}),
  ], photographs).map((judgement): Judgement => {
    const { id } = judgement;
    const seen = causes.filter((cause) => causeKind(cause.id).rule === id);
    if (seen.length > 0) {
      const evidence = seen.map(({ evidence }) => evidence).join("; ");
      return { ...judgement, outcome: "fail", evidence };
    }
    const said = subject.evidence?.find(({ rule }) => rule === id);
    if (said) return { ...judgement, outcome: said.outcome, evidence: said.evidence };
    if (observed[id] && judgement.outcome !== "fail") return { ...judgement, ...observed[id] };
    const why = subject.unobservable?.[id] ?? silence(judgement, subject);
    return why === undefined ? judgement : { ...judgement, ...notObservable(why) };
  });
  const findings = findingsOf(judgements, causes, subject.log, possible[0]?.graph);
  const open = judgements.some(({ outcome }) => outcome !== "pass" && outcome !== "fail");
  const leaders = trials?.leaders ?? [];
  const tested = leaders.length > 0 ? leaders[0] : finalTest(subject.log);
  const testError = tested && errorOf(tested);
  const ofPaper = !photographs && isOfPaper(judgements, possible);
  const changes = changesFor(findings);
  const otherImages = (recipe?.data.set ?? PAPER_DATASET) !== PAPER_DATASET;
  const conclusion = concludes(findings, open, possible, otherImages ? undefined : testError);
  const ofForm = judgements.every(({ id, outcome }) =>
    outcome !== "fail" || !ARCHITECTURE_IDS.has(id)
  );
  return {
    target: subject.target,
    form: subject.form,
    conclusion,
    status: AUDIT_STATUS[conclusion],
    ...verdictOf({
      ...{ candidates: possible, ofPaper, ofForm, findings, changes, leaders, testError },
      parameters: parametersOf(subject, possible),
      tried: trials !== undefined,
      uncropped: trials?.firstNorm?.border === "none",
      claimed: subject.claimed,
      trainingKnown: subject.claims?.recipe !== undefined || (subject.evidence ?? []).length > 0,
      ...{ otherImages, photographs },
    }),
    findings,
    candidates: candidates.map((candidate) => ({
      name: candidate.name,
      assumptions: candidate.assumptions,
      ...(candidate.departs ? { variant: true } : {}),
      depth: depthOf(candidate.graph),
      parameters: parametersOf(subject, [candidate])!,
      possible: possible.includes(candidate),
    })),
    // Of weights alone the maps' sizes are not known.
    featureMaps: ofPaper || possible.length === 0 || assumed ? [] : featureMaps(possible[0].graph),
    ...(possible.length === 0 || assumed
      ? {}
      : { network: networkLayers(possible[0].graph, judgements) }),
    trials: (leaders.length > 0 ? leaders : (trials?.screened ?? []).slice(0, 5)).map(summarised),
    ...(trials
      ? { screened: { trials: trials.screened.length, images: trials.screened[0].images } }
      : {}),
    ...(testError ? { testError } : {}),
    checklist: CHECKLIST,
    judgements,
    choices: choicesFor(possible, subject),
    changes,
    notes: subject.notes ?? [],
  };
}

/** What was seen, and what a graph shows that is known or that trials confirmed. */
function causesOf(
  subject: AuditSubject,
  possible: readonly AuditCandidate[],
  assumed: boolean,
  trials: Sweep | undefined,
): readonly Cause[] {
  const seen = subject.causes ?? [];
  const [first] = possible;
  const tried = trials && trials.leaders.length > 0 &&
    possible.every(({ departs }) => departs !== undefined && departs === first?.departs);
  const ofTrials: Cause[] = tried && first?.departs
    ? [{
      id: first.departs,
      evidence: `on images the weights err least as ${first.name}`,
    }]
    : [];
  const ofGraph = !first || assumed || first.departs ? [] : causesIn(first.graph);
  const known = new Set([...seen, ...ofTrials].map(({ id }) => id));
  const all = [...seen, ...ofTrials, ...ofGraph.filter(({ id }) => !known.has(id))];
  // What another cause says already.
  return all.filter(({ id }) =>
    !all.some((other) => other.id !== id && causeKind(other.id).subsumes?.includes(id))
  ).sort((a, b) => rankOf(a.id) - rankOf(b.id));
}

/** Judgements of rules that the checklist does not have. */
function ownJudgements(subject: AuditSubject, causes: readonly Cause[]): Judgement[] {
  return Object.entries(OWN_REQUIREMENTS).flatMap(([id, requirement]): Judgement[] => {
    const broken = causes.some((cause) => causeKind(cause.id).rule === id);
    if (!broken && !(id === "weights" && subject.weightsSeen)) return [];
    return [{
      ...{ id, requirement, section: "4.2", tier: "static", outcome: "pass" },
      evidence: "all are finite, and none is as it started",
    }];
  });
}

/** What speaks against the target: each cause with what follows from it, then rules without one. */
function findingsOf(
  judgements: readonly Judgement[],
  causes: readonly Cause[],
  log: LogSubject | undefined,
  graph: Graph | undefined,
): readonly AuditFinding[] {
  const failing = judgements.filter(({ outcome }) => outcome === "fail");
  const left = new Map(failing.map((judgement) => [judgement.id, judgement]));
  const requirementOf = (rule: string) =>
    judgements.find(({ id }) => id === rule)?.requirement ?? OWN_REQUIREMENTS[rule] ?? "";
  for (const { id } of causes) left.delete(causeKind(id).rule);
  const findings = causes.map(({ id, evidence }): AuditFinding => {
    const { title, severity = "departure", rule, explains = [] } = causeKind(id);
    const follows = explains.flatMap((rule) => left.get(rule) ?? []);
    for (const { id } of follows) left.delete(id);
    return {
      ...{ id, title, severity, rule, evidence, follows },
      requirement: requirementOf(rule),
    };
  });
  const others = [...left.values()].map(({ id, tier, requirement, evidence }): AuditFinding => ({
    ...{ id, rule: id, title: requirement, requirement, evidence, follows: [] },
    severity: tier === "static" || CHOICES.has(id) || id === "run-finished" && isUnderWay(log)
      ? "departure"
      : "fault",
  }));
  const all = [...findings, ...others];
  // What follows from another rule's failure stands with that.
  const before = (finding: AuditFinding) => {
    const rules = [...FOLLOWING[finding.id] ?? [], ...declaredBy(finding.id, log, graph)];
    return all.find((other) => other !== finding && rules.includes(other.rule));
  };
  return all.filter((finding) => !before(finding)).map((finding): AuditFinding => ({
    ...finding,
    follows: [...finding.follows, ...all.filter((other) => before(other) === finding)],
  })).sort((a, b) => (a.severity === "fault" ? 0 : 1) - (b.severity === "fault" ? 0 : 1));
}

/** Rules that fail because others do and bring no cause of their own. */
const FOLLOWING: Readonly<Record<string, readonly string[]>> = {
  "parameters": ["stem", "stages", "depth", "identity", "no-bias", "batch-norm", "head"],
  "preprocessed-mean": ["mean"],
  "warm-up": ["learning-rate"],
};
/**
 * Rules of other tiers that say what was chosen, not that something is broken: the preprocessing
 * that trials on images find, and how the run's recipe and start differ from the paper's.
 */
const CHOICES: ReadonlySet<string> = new Set([
  ...["preprocessed-mean", "recipe-of-paper", "from-scratch"],
]);

/** What it all comes to. */
function concludes(
  findings: readonly AuditFinding[],
  open: boolean,
  possible: readonly AuditCandidate[],
  testError: AuditReport["testError"],
): AuditConclusion {
  if (findings.length === 0) return open ? "unseen" : "keeps";
  if (findings.some(({ severity }) => severity === "fault")) return "wrong";
  const [first] = possible;
  const expected = first && expectedError(nearestDepth(depthOf(first.graph)));
  return expected && testError && testError.error <= expected.error + expected.margin
    ? "reaches"
    : "departs";
}

/** Trainable parameters: the file's own count where it has one. */
function parametersOf(
  { parameters }: AuditSubject,
  [first]: readonly AuditCandidate[],
): number | undefined {
  return parameters ?? (first && countParameters(first.graph));
}

const ARCHITECTURE_IDS = new Set(ARCHITECTURE_RULES.map(({ id }) => id));
const TRAINING_IDS = new Set(TRAINING_RULES.map(({ id }) => id));

const notObservable = (evidence: string): Finding => ({ outcome: "not-observable", evidence });

/** Why a rule has nothing at all to look at; undefined where it has. */
function silence({ id, tier }: Judgement, subject: AuditSubject): string | undefined {
  if (tier === "numeric") return "the code that trained and tested it is not here to be probed";
  if (tier === "log" && !subject.log) return "there is no event log";
  if (tier === "static" && !subject.claims && TRAINING_IDS.has(id)) {
    return subject.evidence && subject.evidence.length > 0
      ? "the file does not say it of its training"
      : "nothing here says how it was trained";
  }
}

/** What names and shapes cannot show of each rule, however well the rest of it fits. */
const ASSUMED: Readonly<Record<string, string>> = {
  "input": "the size of the images has no weights",
  "stem": "the first layer's stride has no weights",
  "stages": "the layers' strides have no weights",
  "subsampling": "strides and pooling have no weights",
  "head": "pooling and a ReLU at the end have no weights",
  "shortcuts": "shortcuts without projections have no weights",
  "identity": "shortcuts without projections have no weights",
  "batch-norm": "the order of batch normalisation and activation has no weights",
  "activation": "ReLU has no weights",
};

/**
 * Takes back what rests on the assumptions behind a candidate, a failure too:
 * what arrays show against a net is among the causes.
 */
function withoutAssumed(judgement: Judgement): Judgement {
  const why = ASSUMED[judgement.id];
  return why === undefined ? judgement : { ...judgement, ...notObservable(why) };
}

/** Every static rule on every candidate: one judgement where they agree. */
function staticJudgements(
  subject: AuditSubject,
  candidates: readonly AuditCandidate[],
): Judgement[] {
  return ofGraphs(subject, candidates).map((judgement) => {
    const { parameters } = subject;
    const [first] = candidates;
    // The file may hold fewer than the graph needs, such as a last layer without bias.
    if (judgement.id !== "parameters" || parameters === undefined || !first) return judgement;
    const ofGraph = countParameters(first.graph);
    return parameters === ofGraph ? judgement : {
      ...judgement,
      outcome: "fail",
      evidence: `${number(parameters)} trainable parameters in the file, not ${number(ofGraph)}`,
    };
  });
}

function ofGraphs(
  { claims }: AuditSubject,
  candidates: readonly AuditCandidate[],
): Judgement[] {
  if (candidates.length === 0) return judge(STATIC_RULES, { ...claims });
  const each = candidates.map(({ graph }) => judge(STATIC_RULES, { ...claims, graph }));
  return each[0].map((first, rule) => {
    const answers = each.map((judgements) => judgements[rule]);
    if (answers.every(({ outcome }) => outcome === first.outcome)) {
      const evidence = [...new Set(answers.map((answer) => answer.evidence))].join(", or ");
      return { ...first, evidence };
    }
    const failing = candidates.filter((_, i) => answers[i].outcome === "fail");
    const { evidence } = answers.find(({ outcome }) => outcome === "fail")!;
    return {
      ...first,
      ...notObservable(
        `the candidates disagree: ${evidence} in ${failing.map(({ name }) => name).join(", ")}`,
      ),
    };
  });
}

/** Of the errors of what leaves nothing out, so many at most has a net that was trained otherwise. */
const CONVINCING = 0.5;

/** Candidates that the trials leave possible. */
function possibleAfter(
  candidates: readonly AuditCandidate[],
  own: readonly AuditCandidate[],
  { leaders, screened }: Sweep,
): readonly AuditCandidate[] {
  const standing = leaders.filter(({ standing }) => standing !== "worse");
  if (standing.length === 0) return candidates;
  // The least bad of dozens that all err is none of them.
  const isOwn = ({ candidate }: RankedTrial) => own.some(({ name }) => name === candidate.name);
  const [best] = leaders;
  const ofOwn = Math.min(...screened.filter(isOwn).map(errorShare));
  const fits = !isFarFromPaper(best.errors, best.images, depthOf(best.candidate.graph)) ||
    errorShare(best) <= CONVINCING * ofOwn;
  if (!isOwn(best) && !fits) return own;
  const names = new Set(standing.map(({ candidate }) => candidate.name));
  const left = candidates.filter(({ name }) => names.has(name));
  return reluExcluded(leaders[0])
    ? left.filter(({ graph }) => withoutLastRelu(graph) === graph)
    : left;
}

/**
 * Whether the best trial is as good as the paper's net: so few errors are only
 * possible where the candidate computes what was trained.
 */
function confirms({ leaders }: Sweep, possible: readonly AuditCandidate[]): boolean {
  const expected = possible.length > 0 ? expectedError(depthOf(possible[0].graph)) : undefined;
  return expected !== undefined && leaders.length > 0 &&
    errorShare(leaders[0]) <= expected.error + expected.margin;
}

/**
 * The candidates that can be tried on images.
 *
 * @param subject What is audited.
 * @param images What they would be tried on.
 * @returns Those that take such images and tell as many classes apart; none that scale their input
 *   from pixel to pixel.
 */
export function triable(
  { candidates }: AuditSubject,
  { height, width, channels, classes }: ByteImages,
): readonly Trialled[] {
  return candidates.flatMap(({ name, graph, network }) =>
    network && graph.inputShape.join() === [height, width, channels].join() &&
      shapeOf(graph, graph.output).join() === String(classes) &&
      (!network.inputTransform || scalesByChannel(network.inputTransform, channels))
      ? [{ name, ...network }]
      : []
  );
}

/** Where so many logits are negative, a ReLU would have kept gradient from their classes. */
const NEGATIVE_SHARE = 0.1;
/** Of what independent weights would give; akamaster's trained nets have 2e-5 and 3e-5. */
const CLASS_SUM_SHARE = 0.01;

/**
 * Whether a ReLU after the last layer is ruled out for weights that err no more
 * without one. The gradient of the softmax sums to 0 over the classes, so the
 * last layer's weights, summed over the classes, only decay and end near 0 - as
 * long as every class gets its gradient. Behind a ReLU the classes with
 * negative logits get none.
 */
function reluExcluded({ candidate, negativeLogits }: RankedTrial): boolean {
  return negativeLogits > NEGATIVE_SHARE && classSumShare(candidate) < CLASS_SUM_SHARE;
}

/** |sum over classes of the last layer's weights|^2 as a share of the sum of their squares. */
function classSumShare({ graph, weights }: Trialled): number {
  const { output } = withoutLastRelu(graph);
  const last = nodeOf(graph, output);
  if (last?.kind !== "dense") return 1;
  const { shape: [classes, inputs], data } = weights.get(`${last.name}.weight`)!; // [O, I]
  let ofSums = 0;
  for (let input = 0; input < inputs; input++) {
    let sum = 0;
    for (let label = 0; label < classes; label++) sum += data[label * inputs + input];
    ofSums += sum ** 2;
  }
  return ofSums / data.reduce((total, weight) => total + weight ** 2, 0);
}

/** What trials show of rules that no file shows. */
function observe(
  { screened, leaders, firstNorm }: Sweep,
  possible: readonly AuditCandidate[],
): Readonly<Record<string, Finding>> {
  if (leaders.length === 0) {
    const { errors, images } = screened[0];
    const why = notObservable(
      `no preprocessing does better than guessing: the best errs on ${errors} of ${images} images`,
    );
    return { mean: why, "preprocessed-mean": why, "negative-logits": why };
  }
  const [best] = leaders;
  const tied = leaders.filter(({ standing }) => standing !== "worse");
  const names = (trials: readonly RankedTrial[]) =>
    [...new Set(trials.map(({ preprocessing }) => nameOf(preprocessing)))].join(", tied with ");
  const fitting = tied.filter(({ preprocessing }) => preprocessing.perPixelMean);
  // What makes it err so much may be anything that was not tried.
  const far = isFarFromPaper(best.errors, best.images, depthOf(best.candidate.graph));
  const certain = firstNorm && firstNorm.preprocessing.id === best.preprocessing.id;
  const evidence = `the weights err least with: ${names(tied)} (${percent(errorShare(best))} of ${
    number(best.images)
  } images)${
    certain ? ", and the first batch norm holds the mean and variance of images prepared so" : ""
  }`;
  const mean: Finding = fitting.length > 0 && (!far || certain)
    ? { outcome: "pass", evidence }
    : far
    ? notObservable(`${evidence}, which is too many for that to say how images were prepared`)
    : { outcome: "fail", evidence: `${evidence}; the per-pixel mean does worse` };
  const withRelu = possible.filter(({ graph }) => withoutLastRelu(graph) !== graph).length;
  const share = `${percent(best.negativeLogits, 0)} of the logits are negative before any ReLU`;
  return {
    mean,
    "preprocessed-mean": mean,
    ...(firstNorm ? { augmentation: notObservable(cropsIn(firstNorm)) } : {}),
    "negative-logits": withRelu === 0
      ? best.negativeLogits > 0
        ? {
          outcome: "pass",
          evidence: `${share}, and over the classes the last layer's weights sum to ${
            percent(Math.sqrt(classSumShare(best.candidate)))
          } of what chance would give: each class got its gradient`,
        }
        : { outcome: "fail", evidence: "no logit is negative" }
      : withRelu === possible.length
      ? { outcome: "fail", evidence: "a ReLU follows the last layer" }
      : notObservable(`${share}; with one and without the errors are the same`),
  };
}

/** How images were cropped, in words. */
function cropsIn({ border }: Fit): string {
  switch (border) {
    case "none":
      return "the first batch norm holds the mean and variance of whole images: no crops out of a border of one value reached it, unless its statistics were taken anew after training";
    case "black":
      return "the first batch norm holds the mean and variance of crops out of images with a black border; whether they were mirrored can't be seen";
    case "zero":
      return "the first batch norm holds the mean and variance of crops out of images with a border of zeros; whether they were mirrored can't be seen";
  }
}

const errorShare = ({ errors, images }: RankedTrial): number => errors / images;

function nameOf({ name, channels }: RankedTrial["preprocessing"]): string {
  return channels === "RGB" ? name : `${name}, blue first`;
}

/** The test of a finished run after its last step. */
function finalTest(log: LogSubject | undefined): EvaluationEvent | undefined {
  if (!log?.events) return undefined;
  const run = loggedRun(log.events);
  return run.end && finalTestOf(run);
}

function errorOf(
  { errors, images }: { readonly errors: number; readonly images: number },
): AuditReport["testError"] {
  const { lower, upper } = wilsonInterval(errors, images);
  return { error: errors / images, images, lower, upper };
}

function summarised({ candidate, preprocessing, ...trial }: RankedTrial): TrialSummary {
  const { errors, images, standing, p } = trial;
  return {
    candidate: candidate.name,
    preprocessing: preprocessing.name,
    channels: preprocessing.channels,
    ...{ errors, images, error: errors / images, standing, p },
  };
}

/** Whether every candidate is one of the paper's nets, or their plain counterpart. */
function isOfPaper(
  judgements: readonly Judgement[],
  candidates: readonly AuditCandidate[],
): boolean {
  const kept = judgements.every(({ id, outcome }) =>
    !ARCHITECTURE_IDS.has(id) || outcome !== "fail"
  );
  return kept && candidates.length > 0 &&
    candidates.every(({ graph }) => PAPER_DEPTHS.includes(depthOf(graph)));
}

/** What the candidates, or the recipe, say on the points that the paper leaves open. */
function choicesFor(
  candidates: readonly AuditCandidate[],
  { claims, choices }: AuditSubject,
): AuditReport["choices"] {
  if (claims?.recipe) return choicesOf(claims.recipe);
  return OPEN_POINTS.map(({ id, question, readings }) => {
    const said = readings.find((reading) => reading.id === choices?.get(id));
    if (said) return { id, question, choice: said.reading };
    const [epsilon] = candidates.flatMap(({ network }) => network?.epsilon ?? []);
    if (id === "running-statistics" && epsilon !== undefined) {
      return { id, question, choice: `with epsilon ${epsilon}; how they moved is not known` };
    }
    if (id !== "zero-channels") return { id, question };
    const found = new Set(
      candidates.map(({ graph }) => ofKind(graph, "shortcut-a")[0]?.zeroChannels),
    );
    const [zeroChannels] = found;
    const reading = readings.find((reading) => reading.id === zeroChannels)?.reading;
    return found.size === 1 && reading ? { id, question, choice: reading } : { id, question };
  });
}
