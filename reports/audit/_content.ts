/** What an audit's report says, in the order in which the text and the page say it. */
import type { Judgement, Tier } from "../../spec/mod.ts";
import type { AuditReport, CandidateSummary, FeatureMap } from "../../audit/mod.ts";

/** The sections around the rules. */
export const HEADINGS = {
  candidates: "What it may be",
  notes: "Notes",
  layers: "Layer by layer",
  trials: "Tried on images",
  choices: "Open in the paper: choices, not judged",
  changes: "What to change, most effective first",
} as const;

/** The sections of the rules. */
export const TIERS: Readonly<Record<Tier, string>> = {
  static: "What the network and the recipe are",
  numeric: "What an engine shows when it is probed",
  log: "What the run's log shows",
  statistical: "What several runs show together",
};

/** What every candidate supposes. */
export function sharedAssumptions(candidates: readonly CandidateSummary[]): readonly string[] {
  return (candidates[0]?.assumptions ?? []).filter((assumption) =>
    candidates.every(({ assumptions }) => assumptions.includes(assumption))
  );
}

/** Layers, operation and shape; layers in a row with the same operation and shape share a row. */
export function layerRows(maps: readonly FeatureMap[]): string[][] {
  const rows: { first: string; last: string; count: number; what: string; shape: string }[] = [];
  for (const { layer, what, shape } of maps) {
    const before = rows.at(-1);
    if (before?.what === what && before.shape === shape.join("x")) {
      before.last = layer;
      before.count++;
    } else rows.push({ first: layer, last: layer, count: 1, what, shape: shape.join("x") });
  }
  return rows.map(({ first, last, count, what, shape }) => [
    count === 1 ? first : `${first} to ${last}`,
    count === 1 ? what : `${count} times ${what}`,
    shape,
  ]);
}

/** Error, count, standing, order of channels, and what was tried; undefined if nothing was. */
export function trialTable(
  { trials, screened, testError }: AuditReport,
): { readonly caption: string; readonly rows: readonly (readonly string[])[] } | undefined {
  if (!screened) return undefined;
  const round = `${screened.trials} trials on ${screened.images.toLocaleString("en-US")} images`;
  return {
    caption: testError
      ? `${round}; the leaders there, on all`
      : `${round}; none does better than guessing. The first`,
    rows: trials.map((
      { candidate, preprocessing, channels, errors, images, standing, p },
    ) => [
      `${(100 * errors / images).toFixed(2)}%`,
      `${errors.toLocaleString("en-US")} of ${images.toLocaleString("en-US")}`,
      standing === "best" ? "best" : `${standing}, p = ${Number(p.toPrecision(2))}`,
      channels,
      `${candidate}; ${preprocessing}`,
    ]),
  };
}

/** Judgements by outcome; those that cannot be observed by their reason. */
export function byOutcome(judgements: readonly Judgement[]): {
  readonly fails: readonly Judgement[];
  readonly passes: readonly Judgement[];
  readonly silent: readonly (readonly [reason: string, rules: readonly Judgement[]])[];
} {
  const of = (outcome: Judgement["outcome"]) =>
    judgements.filter((judgement) => judgement.outcome === outcome);
  const silent = Map.groupBy(of("not-observable"), ({ evidence }) => evidence);
  return { fails: of("fail"), passes: of("pass"), silent: [...silent] };
}
