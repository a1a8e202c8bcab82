/**
 * A recorded training judged: what is trained, what keeps it from the paper's
 * error, with evidence that its owner can check, and what was not seen.
 */
import type { Dataset } from "../../data/mod.ts";
import { linesOf, type NetworkLine, type Recording } from "../../log/mod.ts";
import { countParameters, depthOf, type Graph, ofKind } from "../../resnet/mod.ts";
import {
  ARCHITECTURE_RULES,
  CHECKLIST,
  type ChecklistVersion,
  concerning,
  IMAGE_RULES,
  isOfSection3,
  judge,
  type Judgement,
  mainNetwork,
  RECORDING_RULES,
  type RecordingSubject,
} from "../../spec/mod.ts";
import { number, percent } from "../../text/mod.ts";
import { featureMaps } from "../_feature_maps.ts";
import { expectedError, PAPER_DEPTHS } from "../expected.ts";
import type { AuditReport, FeatureMap } from "../report.ts";
import { onPhotographs, type RecordingChange, recordingChanges } from "./advice.ts";
import { recordedChoices } from "./_choices.ts";
import { observe } from "./observe.ts";
import { type LargeImages, largeImages } from "./_photographs.ts";
import type { ObservedSample } from "./_samples.ts";
import { type TracedGraph, tracedGraph, weightsUnder } from "./traced_graph.ts";

/** What an audit of a recording found. */
export interface RecordingReport {
  /** The folder, as the user named it. */
  readonly target: string;
  /** What was recorded, in words. */
  readonly form: string;
  /** What is trained and how far from the paper's error it ends; what to change first; what else. */
  readonly verdict: readonly [string, string, string];
  /** 0: all that is observable is kept; 1: something departs; 3: nothing seen, not all observable. */
  readonly status: 0 | 1 | 3;
  /** Which rules judged it. */
  readonly checklist: ChecklistVersion;
  /** A judgement a rule. */
  readonly judgements: readonly Judgement[];
  /** In the order to make them: the costlier first, where costs are known. */
  readonly changes: readonly RecordingChange[];
  /** Rules that could not be observed, by why, and how to show more. */
  readonly unseen: readonly { readonly why: string; readonly rules: readonly string[] }[];
  /** How to see what was not seen. */
  readonly showMore: readonly string[];
  /** Where crops stood and how many were mirrored: counts of [9, 9] offsets from -4 to 4. */
  readonly offsets?: {
    readonly counts: readonly number[];
    readonly flipped: number;
    readonly views: number;
  };
  /** The network layer by layer, each with the rules that name it as departing. */
  readonly layers: readonly (FeatureMap & { readonly departs: readonly string[] })[];
  /** What it decided where the paper leaves a point open. */
  readonly choices: AuditReport["choices"];
  /** Rates by step: where they changed. */
  readonly rates: readonly { readonly iteration: number; readonly rate: number }[];
  /** How the steps' time was spent, where its loader was timed. */
  readonly waiting?: {
    /** All seconds of these steps. */
    readonly seconds: number;
    /** Of them, between asking the loader for a batch and having it. */
    readonly waited: number;
    /** Processes that load. */
    readonly workers: number;
  };
  /** What a reader should know. */
  readonly notes: readonly string[];
}

/** A report, and what of it is not plain data. */
export interface RecordingAudit {
  /** The report. */
  readonly report: RecordingReport;
  /** What the rules looked at. */
  readonly subject: RecordingSubject;
  /** A few training images as they entered. */
  readonly samples: readonly ObservedSample[];
}

const IMAGE_IDS = new Set(IMAGE_RULES.map(({ id }) => id));
/** Network rules that a graph without images of a data set decides. */
const NETWORK_IDS = new Set(ARCHITECTURE_RULES.map(({ id }) => id));

/**
 * Judges a recording.
 *
 * @param target As the user named it.
 * @param recording As `readRecording` reads it.
 * @param dataset The images that it is of; without it nothing is said of what needs them.
 * @param onProgress Told what is being done.
 * @returns The report.
 */
export async function auditRecording(
  target: string,
  recording: Recording,
  dataset?: Dataset,
  onProgress?: (line: string) => void,
): Promise<RecordingAudit> {
  const { subject: observed, samples } = await observe(recording, dataset, onProgress);
  const network = mainNetwork(recording);
  const large = largeImages(recording, network, dataset);
  const photographs = large?.photographs === true;
  const traced = network && graphOf(recording, network);
  const initial = traced && await initialWeights(recording, network, traced);
  const subject: RecordingSubject = {
    ...observed,
    photographs,
    ...(traced?.graph === undefined ? {} : { graph: traced.graph }),
    ...(traced === undefined ? {} : { onImages: traced.onImages }),
    ...(initial === undefined ? {} : { initialWeights: initial }),
  };
  const judgements = concerning([
    ...judge(ARCHITECTURE_RULES, subject.graph === undefined ? {} : { graph: subject.graph }),
    ...judge(RECORDING_RULES, subject),
    ...(traced?.problems ?? []).map((evidence): Judgement => ({
      ...{ id: "operations", section: "4.2", tier: "static", outcome: "fail", evidence },
      requirement: "The network is made of the layers that the paper names.",
    })),
  ], photographs).map((judgement): Judgement =>
    dataset === undefined && judgement.outcome === "not-observable" &&
      (IMAGE_IDS.has(judgement.id) || /^not known: .*\bdataset\b/.test(judgement.evidence)) &&
      judgement.tier === "recording"
      ? {
        ...judgement,
        evidence: photographs
          ? "photographs are not matched with their files"
          : "the images were not matched: give --data",
      }
      : judgement
  );
  const failed = judgements.filter(({ outcome }) => outcome === "fail");
  const found = recordingChanges(failed, siteOf(recording));
  const changes = photographs
    ? onPhotographs(found, new Set(failed.filter(isOfSection3).map(({ id }) => id)))
    : found;
  const silent = judgements.filter(({ outcome }) => outcome === "not-observable");
  const report: RecordingReport = {
    target,
    form: formOf(recording),
    verdict: verdictOf(
      recording,
      subject.graph,
      judgements,
      changes,
      photographs ? large.size : undefined,
      dataset !== undefined,
    ),
    status: failed.length > 0 ? 1 : silent.length > 0 ? 3 : 0,
    checklist: CHECKLIST,
    judgements,
    changes,
    unseen: [...Map.groupBy(silent, ({ evidence }) => evidence)]
      .map(([why, of]) => ({ why, rules: of.map(({ id }) => id) })),
    showMore: waysToShowMore(recording, dataset !== undefined || photographs, silent),
    ...offsetsOf(subject),
    layers: layersOf(subject.graph, judgements),
    choices: recordedChoices(subject),
    rates: ratesOf(recording),
    ...waitingOf(recording),
    notes: [
      ...enlarged(large),
      ...recording.notes,
      ...(traced?.notes ?? []),
      ...linesOf(recording.lines, "warning").slice(0, 5).map(({ message }) => message),
    ],
  };
  return { report, subject, samples };
}

/** The layers, with the failing rules of the architecture whose evidence names them. */
function layersOf(
  graph: Graph | undefined,
  judgements: readonly Judgement[],
): RecordingReport["layers"] {
  if (graph === undefined) return [];
  const failing = judgements.filter(({ id, outcome }) => outcome === "fail" && NETWORK_IDS.has(id));
  return featureMaps(graph).map((map) => ({
    ...map,
    departs: failing.filter(({ evidence }) => names(evidence, map.layer)).map(({ id }) => id),
  }));
}

/** Whether a text names a layer: by its whole name, not as a part of another's. */
function names(text: string, layer: string): boolean {
  const end = /[\w.]/;
  for (let at = text.indexOf(layer); at >= 0; at = text.indexOf(layer, at + 1)) {
    const after = text.slice(at + layer.length);
    if (!end.test(text[at - 1] ?? " ") && !/^(\w|\.\w)/.test(after)) return true;
  }
  return false;
}

function enlarged(large: LargeImages | undefined): string[] {
  return large === undefined || large.photographs ? [] : [
    `The images that entered are of ${large.size}. They are taken for enlarged small ones and judged by section 4.2: ${large.why}.`,
  ];
}

/** Its graph, from its first training pass. */
function graphOf({ lines }: Recording, network: NetworkLine): TracedGraph | undefined {
  const graphs = linesOf(lines, "graph").filter((line) => line.network === network.id);
  const graph = graphs.find(({ phase }) => phase === "training") ?? graphs[0];
  return graph && tracedGraph(graph, network);
}

async function initialWeights(recording: Recording, { id }: NetworkLine, traced: TracedGraph) {
  const file = linesOf(recording.lines, "file").find(({ kind, network = id }) =>
    kind === "weights-start" && network === id
  );
  const arrays = file && await recording.arrays(file.file);
  return traced.graph && arrays && weightsUnder(traced, arrays.floats);
}

/** The first place in the code where something was called. */
function siteOf({ lines }: Recording): (calls: string) => string | undefined {
  const sites = linesOf(lines, "site");
  return (calls) => {
    const site = sites.find((one) => one.calls === calls);
    // A call that goes on in the next line.
    return site &&
      `${site.file}:${site.line}: ${site.code}${/[,([{]$/.test(site.code) ? " ..." : ""}`;
  };
}

function formOf({ start, lines }: Recording): string {
  const steps = linesOf(lines, "step").at(-1)?.iteration ?? 0;
  const end = lines.at(-1);
  const how = end?.type === "end"
    ? end.reason === "steps" ? "ended by the recorder" : "to its end"
    : end?.type === "failure"
    ? `ended by ${end.reason}`
    : "killed";
  return `a recording of ${
    start.script?.name ?? "a notebook"
  } (${start.framework.name} ${start.framework.version}), ${number(steps)} steps, ${how}`;
}

function verdictOf(
  recording: Recording,
  graph: Graph | undefined,
  judgements: readonly Judgement[],
  changes: readonly RecordingChange[],
  photographs: string | undefined,
  matched: boolean,
): RecordingReport["verdict"] {
  const failed = new Set(
    judgements.filter(({ outcome }) => outcome === "fail").map(({ id }) => id),
  );
  const network = whatIsTrained(
    recording,
    graph,
    [...failed].some((id) => NETWORK_IDS.has(id) || id === "operations"),
    photographs,
  );
  const [first, ...others] = changes;
  const expected = graph && expectedError(depthOf(graph));
  const isPlain = graph !== undefined && ofKind(graph, "add").length === 0;
  const error = expected === undefined || isPlain
    ? "The paper gives no error for this network on CIFAR-10."
    : changes.length === 0 && !matched
    ? `The paper's is ${percent(expected.error)}.`
    : changes.length === 0
    ? `Nothing that was seen keeps it from the paper's ${percent(expected.error)} (give or take ${
      (100 * expected.margin).toFixed(2)
    } points for one run).`
    : `The paper's is ${percent(expected.error)}; how far from it this training ends ${
      first.cost === undefined ? "was not measured" : `is known of a like case: ${first.cost}`
    }.`;
  if (linesOf(recording.lines, "step").length === 0 && changes.length === 0) {
    const [warning] = linesOf(recording.lines, "warning");
    return [
      network,
      `Nothing can be said of the training: no step of it was recorded${
        warning === undefined ? "" : ` (the recorder said: ${warning.message})`
      }.`,
      "Begin the recording before the first step, and let it see at least a few.",
    ];
  }
  if (photographs !== undefined) {
    return [
      `${network} It is judged by what that section states, and by what holds of any training.`,
      first === undefined || first.choice
        ? "No mistake was seen; how photographs are cut out, coloured and normalised is not judged, since they are not matched with their files."
        : firstInWords(first),
      departuresInWords(changes),
    ];
  }
  return [
    `${network} ${error}`,
    first === undefined
      ? matched
        ? "Nothing that was seen departs from the paper."
        : "Nothing that was seen departs from the paper, but the images that entered were not looked at: give --data (augmentation, preparation, labels and data are not judged without it)."
      : firstInWords(first),
    others.length === 0
      ? "Nothing else was seen to depart."
      : `What else departs: ${listed(others)}.`,
  ];
}

function firstInWords({ change, evidence, where, rule }: RecordingChange): string {
  return `Change first: ${change} Evidence: ${evidence}${
    where === undefined ? "" : ` (${where})`
  }. [${rule}]`;
}

function listed(changes: readonly RecordingChange[]): string {
  const some = changes.slice(0, 6).map(({ rule, evidence }) => `${rule} (${brief(evidence)})`);
  return `${some.join("; ")}${changes.length > 6 ? `; and ${changes.length - 6} more` : ""}`;
}

/** On photographs: what else is wrong, and what is otherwise than in section 3.4 by choice. */
function departuresInWords(changes: readonly RecordingChange[]): string {
  const wrong = changes.filter(({ choice }) => !choice).slice(1);
  const chosen = changes.filter(({ choice }) => choice);
  const sentences = [
    ...wrong.length > 0 ? [`What else is wrong: ${listed(wrong)}.`] : [],
    ...chosen.length > 0 ? [`Chosen otherwise than in section 3.4: ${listed(chosen)}.`] : [],
  ];
  return sentences.length > 0 ? sentences.join(" ") : "Nothing else was seen to depart.";
}

/** At most 90 characters, cut behind a word. */
function brief(text: string): string {
  if (text.length <= 90) return text;
  const cut = text.slice(0, 87);
  return `${cut.slice(0, Math.max(cut.lastIndexOf(" "), 60)).replace(/[\s,(:;]+$/, "")} ...`;
}

function whatIsTrained(
  recording: Recording,
  graph: Graph | undefined,
  departs: boolean,
  photographs: string | undefined,
): string {
  const line = mainNetwork(recording) ?? linesOf(recording.lines, "network")[0];
  if (photographs !== undefined) {
    const parameters = `${number(line.trainable)} parameters`;
    return `Trained on photographs, the matter of the paper's section 3.4: ${
      line.class.split(".").at(-1)
    } with ${
      graph === undefined ? parameters : `${depthOf(graph)} weighted layers, ${parameters}`
    }, on images of ${photographs}.`;
  }
  if (graph === undefined) {
    return line === undefined
      ? "No network was seen."
      : `Trained is ${line.class}, ${number(line.trainable)} parameters.`;
  }
  const depth = depthOf(graph);
  // Layers that share their arrays have fewer than the graph's nodes.
  const count = line === undefined ? countParameters(graph) : line.trainable + line.frozen;
  const facts = `${depth} weighted layers, ${number(count)} parameters`;
  const kind = ofKind(graph, "add").length === 0 ? "plain" : "ResNet";
  const what = departs
    ? `a net that is not the paper's (${facts})`
    : PAPER_DEPTHS.includes(depth)
    ? `${kind}-${depth} of the paper (${facts})`
    : `a net of the paper's form at a depth that Table 6 does not have (${kind}-${depth}, ${facts})`;
  return `Trained is ${what}.`;
}

function offsetsOf({ training = [] }: RecordingSubject): Pick<RecordingReport, "offsets"> {
  const views = training.flatMap((group) => group.views);
  if (views.length === 0) return {};
  const counts = new Array<number>(81).fill(0);
  for (const { y, x } of views) {
    if (Math.abs(y) <= 4 && Math.abs(x) <= 4) counts[(y + 4) * 9 + x + 4]++;
  }
  return {
    offsets: { counts, flipped: views.filter(({ flip }) => flip).length, views: views.length },
  };
}

function ratesOf({ lines }: Recording): RecordingReport["rates"] {
  const rates: { iteration: number; rate: number }[] = [];
  for (const { iteration, learningRate } of linesOf(lines, "step")) {
    if (rates.at(-1)?.rate !== learningRate) rates.push({ iteration, rate: learningRate });
    if (rates.length >= 1_000) break;
  }
  return rates;
}

/** Of the steps whose images came from a loader that was timed. */
function waitingOf({ lines }: Recording): Pick<RecordingReport, "waiting"> {
  let seconds = 0, waited = 0, last: number | undefined;
  for (const step of linesOf(lines, "step")) {
    if (step.loader === undefined || step.waitSeconds === undefined) continue;
    seconds += step.seconds ?? 0;
    waited += step.waitSeconds;
    last = step.loader;
  }
  const loader = linesOf(lines, "loader").find(({ id }) => id === last);
  return loader === undefined ? {} : { waiting: { seconds, waited, workers: loader.workers } };
}

function waysToShowMore(
  { lines }: Recording,
  matched: boolean,
  silent: readonly Judgement[],
): readonly string[] {
  const ids = new Set(silent.map(({ id }) => id));
  const steps = linesOf(lines, "step").at(-1)?.iteration ?? 0;
  return [
    ...(!matched
      ? ["--data cifar-10-batches-bin: matches the recorded images with the stored ones"]
      : []),
    ...(["views-over-epochs", "order-over-epochs", "shuffled", "learning-rate"].some((id) =>
        ids.has(id)
      ) && steps < 400
      ? ["--steps 400 when recording: past the first epoch"]
      : []),
    ...(["test-view", "test-set-whole"].some((id) => ids.has(id))
      ? ["without --steps, or with few epochs: the script's own test is recorded"]
      : ids.has("test-set-unseen")
      ? ["without --steps, two epochs: whether each of them is tested on the test set"]
      : []),
  ];
}
