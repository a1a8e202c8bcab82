/** What is audited, and what an audit found. */
import type { LogSubject } from "../log/mod.ts";
import type { Choice } from "../recipes/mod.ts";
import type { Graph, Shape } from "../resnet/mod.ts";
import type { ChecklistVersion, Finding, Judgement, StaticSubject } from "../spec/mod.ts";
import type { Change } from "./advice.ts";
import type { Cause, CauseId, Severity } from "./causes.ts";
import type { RankedTrial, Trialled } from "./sweep.ts";

/** A network that the target may be. */
export interface AuditCandidate {
  /** Tells the candidates of one target apart. */
  readonly name: string;
  /** What it computes. */
  readonly graph: Graph;
  /** What can be run on images, where weights are known; it computes what the graph says. */
  readonly network?: Omit<Trialled, "name">;
  /** What neither names nor shapes say and this candidate supposes. */
  readonly assumptions: readonly string[];
  /** In what it leaves the paper, where only trials on images can show it. */
  readonly departs?: CauseId;
}

/** What something that was found says of one rule. */
export interface RuleEvidence extends Finding {
  /** The rule's id. */
  readonly rule: string;
}

/** An error that a file claims for its weights. */
export interface ClaimedError {
  /** The share of images. */
  readonly error: number;
  /** As the file has it, for people: `best_prec1 of 92.63`. */
  readonly what: string;
}

/** What is audited. */
export interface AuditSubject {
  /** As the user named it. */
  readonly target: string;
  /** What kind of thing it is, in words. */
  readonly form: string;
  /** Every network that it may be; none where it is of no form that can be expressed. */
  readonly candidates: readonly AuditCandidate[];
  /** Networks that only trials on images can tell from the candidates. */
  readonly variants?: () => readonly AuditCandidate[];
  /** Whether the candidates were inferred from names and shapes, which leave much open. */
  readonly inferred?: boolean;
  /** What was seen against it, whichever candidate it is. */
  readonly causes?: readonly Cause[];
  /** Judgements of what the file itself says of its training, by rule. */
  readonly evidence?: readonly RuleEvidence[];
  /** Points that the paper leaves open and the file decides: ids of point and of reading. */
  readonly choices?: ReadonlyMap<string, string>;
  /** The error that the file claims for its weights. */
  readonly claimed?: ClaimedError;
  /** Trainable parameters as the file holds them, where the graph has others. */
  readonly parameters?: number;
  /** Whether the arrays were looked at for what no training leaves so. */
  readonly weightsSeen?: boolean;
  /** What a reader should know: the naming, arrays that were ignored, notes of the file. */
  readonly notes?: readonly string[];
  /** Rules on which the file cannot tell, with the reason. */
  readonly unobservable?: Readonly<Record<string, string>>;
  /** What a run says of itself, beside the graph. */
  readonly claims?: Omit<StaticSubject, "graph">;
  /** A run's log. */
  readonly log?: LogSubject;
}

/** One layer's output on one image. */
export interface FeatureMap {
  /** The node's name. */
  readonly layer: string;
  /** What it is, for example `7x7 convolution, stride 2`. */
  readonly what: string;
  /** [H, W, C] or [C]. */
  readonly shape: Shape;
}

/** A candidate as the report shows it. */
export interface CandidateSummary {
  /** The candidate's name. */
  readonly name: string;
  /** What it supposes. */
  readonly assumptions: readonly string[];
  /** Whether it was tried on images only because they can show what weights cannot. */
  readonly variant?: boolean;
  /** Weighted layers on the longest way. */
  readonly depth: number;
  /** Trainable parameters. */
  readonly parameters: number;
  /** Whether the trials leave it possible; true for all where nothing was tried. */
  readonly possible: boolean;
}

/** A trial as the report shows it. */
export interface TrialSummary extends Pick<RankedTrial, "errors" | "images" | "standing" | "p"> {
  /** The candidate's name. */
  readonly candidate: string;
  /** In words. */
  readonly preprocessing: string;
  /** The order that the network takes them in. */
  readonly channels: "RGB" | "BGR";
  /** errors / images. */
  readonly error: number;
}

/** Something that speaks against the target, with what follows from it. */
export interface AuditFinding {
  /** The kind of cause, or the rule's id where no cause is known. */
  readonly id: string;
  /** In a few words. */
  readonly title: string;
  /** Whether something is broken, or another choice than the paper's. */
  readonly severity: Severity;
  /** The rule that it breaks. */
  readonly rule: string;
  /** What the paper states. */
  readonly requirement: string;
  /** The names and numbers on which it rests. */
  readonly evidence: string;
  /** Rules that fail because of it, and say nothing more. */
  readonly follows: readonly Pick<Judgement, "id" | "evidence">[];
}

/** A layer of the network, with what it breaks. */
export interface NetworkLayer {
  /** Its name in the target. */
  readonly name: string;
  /** As a graph names it, such as `convolution`. */
  readonly kind: string;
  /** Names of the layers that it takes, or `input`. */
  readonly inputs: readonly string[];
  /** Of its output for one image. */
  readonly shape: readonly number[];
  /** Ids of the rules whose evidence against the target names this layer. */
  readonly breaks?: readonly string[];
}

/** What an audit comes to. */
export type AuditConclusion =
  /** Every rule could be observed and is kept. */
  | "keeps"
  /** Nothing speaks against it, but not everything can be seen. */
  | "unseen"
  /** Another choice than the paper's. */
  | "departs"
  /** Another choice than the paper's, and an error that is not inconsistent with Table 6. */
  | "reaches"
  /** Something is broken, whatever the paper says. */
  | "wrong";

/** The exit status of a command for each conclusion; 2 is for what cannot be read. */
export const AUDIT_STATUS: Readonly<Record<AuditConclusion, 0 | 1 | 3 | 4 | 5>> = {
  keeps: 0,
  departs: 1,
  unseen: 3,
  wrong: 4,
  reaches: 5,
};

/** What an audit found. */
export interface AuditReport {
  /** As the user named it. */
  readonly target: string;
  /** What kind of thing it is, in words. */
  readonly form: string;
  /** What it comes to. */
  readonly conclusion: AuditConclusion;
  /** The exit status that says so; see {@linkcode AUDIT_STATUS}. */
  readonly status: 0 | 1 | 3 | 4 | 5;
  /** Three lines: what it is, its error against Table 6, what to change first. */
  readonly summary: readonly [what: string, error: string, first: string];
  /** The summary, and what cannot be told, as one text. */
  readonly verdict: string;
  /** What speaks against it, the gravest first. */
  readonly findings: readonly AuditFinding[];
  /** Every network that it may be. */
  readonly candidates: readonly CandidateSummary[];
  /** Layer by layer; none for the paper's nets and where no candidate is known. */
  readonly featureMaps: readonly FeatureMap[];
  /** Every layer, where the network is known and not supposed. */
  readonly network?: readonly NetworkLayer[];
  /** The trials on all images, and if there are none those on the first ones. */
  readonly trials: readonly TrialSummary[];
  /** On everything that was tried: how many trials, on how many images. */
  readonly screened?: { readonly trials: number; readonly images: number };
  /** Of the best trial on all images, or of a finished run's last step; Wilson interval at 95%. */
  readonly testError?: {
    readonly error: number;
    readonly images: number;
    readonly lower: number;
    readonly upper: number;
  };
  /** Which rules judged it. */
  readonly checklist: ChecklistVersion;
  /** A judgement a rule, tier by tier. */
  readonly judgements: readonly Judgement[];
  /** The points that the paper leaves open; no choice where it is not known. */
  readonly choices: readonly (Pick<Choice, "id" | "question"> & { readonly choice?: string })[];
  /** In the order to make them: the costlier first, where costs are known. */
  readonly changes: readonly Change[];
  /** What a reader should know. */
  readonly notes: readonly string[];
}
