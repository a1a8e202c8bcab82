/** What is audited, and what an audit found. */
import type { LogSubject } from "../log/mod.ts";
import type { Choice } from "../recipes/mod.ts";
import type { Graph, Shape } from "../resnet/mod.ts";
import type { Judgement, StaticSubject } from "../spec/mod.ts";
import type { Change } from "./advice.ts";
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
}

/** Something that breaks the paper's word and that no rule on a graph sees. */
export interface Violation {
  /** Short and stable. */
  readonly id: string;
  /** What is asked for. */
  readonly requirement: string;
  /** What was found. */
  readonly evidence: string;
}

/** What is audited. */
export interface AuditSubject {
  /** As the user named it. */
  readonly target: string;
  /** What kind of thing it is, in words. */
  readonly form: string;
  /** Every network that it may be; none where it is of no form that can be expressed. */
  readonly candidates: readonly AuditCandidate[];
  /** Whether the candidates were inferred from names and shapes, which leave much open. */
  readonly inferred?: boolean;
  /** Violations that were seen beside the graph. */
  readonly violations?: readonly Violation[];
  /** By rule: what names and shapes show against it, whichever candidate it is. */
  readonly seen?: Readonly<Record<string, string>>;
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

/** What an audit found. */
export interface AuditReport {
  /** As the user named it. */
  readonly target: string;
  /** What kind of thing it is, in words. */
  readonly form: string;
  /** What it is, what differs, what that costs and which error to expect, in a few sentences. */
  readonly verdict: string;
  /** 0: everything observable and passed; 1: a violation; 3: none seen, but not all observable. */
  readonly status: 0 | 1 | 3;
  /** Every network that it may be. */
  readonly candidates: readonly CandidateSummary[];
  /** Layer by layer; none for the paper's nets and where no candidate is known. */
  readonly featureMaps: readonly FeatureMap[];
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
  /** A judgement a rule, tier by tier. */
  readonly judgements: readonly Judgement[];
  /** The points that the paper leaves open; no choice where it is not known. */
  readonly choices: readonly (Pick<Choice, "id" | "question"> & { readonly choice?: string })[];
  /** Most effective first. */
  readonly changes: readonly Change[];
  /** What a reader should know. */
  readonly notes: readonly string[];
}
