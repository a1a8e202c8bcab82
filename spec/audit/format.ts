/** An audit's report as text for a terminal. */
import type { Judgement, Tier } from "../rule.ts";
import type { AuditReport, FeatureMap } from "./audit.ts";

const TIERS: Readonly<Record<Tier, string>> = {
  static: "What the network and the recipe are",
  numeric: "What an engine shows when it is probed",
  log: "What the run's log shows",
  statistical: "What several runs show together",
};

/**
 * The report: the verdict first, then what it rests on, then what to change.
 *
 * @param report What an audit found.
 * @returns Lines without a line feed at the end.
 *
 * @example
 * ```ts
 * import { assertStringIncludes } from "@std/assert";
 * import { architecture } from "../../resnet/mod.ts";
 * import { audit } from "./audit.ts";
 * import { formatAudit } from "./format.ts";
 *
 * const graph = architecture("resnet34");
 * const report = await audit({
 *   target: "resnet34", form: "an architecture",
 *   candidates: [{ name: graph.name, graph, assumptions: [] }],
 * });
 * assertStringIncludes(formatAudit(report), "21.29M");
 * ```
 */
export function formatAudit(report: AuditReport): string {
  return [
    [`${report.target}: ${report.form}`, "", report.verdict],
    section("What it may be", candidateLines(report)),
    section("Notes", report.notes.map((note) => `- ${note}`)),
    section("Layer by layer", mapLines(report.featureMaps)),
    section("Tried on images", trialLines(report)),
    ...Object.entries(TIERS).map(([tier, title]) =>
      section(title, ruleLines(report.judgements.filter((judgement) => judgement.tier === tier)))
    ),
    section(
      "Open in the paper: choices, not judged",
      report.choices.map(({ question, choice }) => `- ${question} ${choice ?? "Not observable."}`),
    ),
    section(
      "What to change, most effective first",
      report.changes.map(({ rule, change, cost }, i) =>
        `${i + 1}. ${change} [${rule}; what it costs: ${cost}]`
      ),
    ),
  ].filter((lines) => lines.length > 0).map((lines) => lines.join("\n")).join("\n\n");
}

function section(title: string, lines: readonly string[]): string[] {
  return lines.length === 0 ? [] : [title, "", ...lines];
}

function candidateLines({ candidates }: AuditReport): string[] {
  const shared = (candidates[0]?.assumptions ?? [])
    .filter((assumption) =>
      candidates.every(({ assumptions }) => assumptions.includes(assumption))
    );
  return [
    ...candidates.map(({ name, depth, parameters, possible }) =>
      `- ${name}: ${depth} weighted layers, ${parameters.toLocaleString("en-US")} parameters${
        possible ? "" : " - excluded by the trials on images"
      }`
    ),
    ...(shared.length > 0 ? ["", `All suppose: ${shared.join("; ")}.`] : []),
  ];
}

/** Layers in a row with the same operation and shape share a line. */
function mapLines(maps: readonly FeatureMap[]): string[] {
  const rows: { first: string; last: string; count: number; what: string; shape: string }[] = [];
  for (const { layer, what, shape } of maps) {
    const before = rows.at(-1);
    if (before?.what === what && before.shape === shape.join("x")) {
      before.last = layer;
      before.count++;
    } else rows.push({ first: layer, last: layer, count: 1, what, shape: shape.join("x") });
  }
  const cells = rows.map(({ first, last, count, what, shape }) => [
    count === 1 ? first : `${first} to ${last}`,
    count === 1 ? what : `${count} times ${what}`,
    shape,
  ]);
  return aligned(cells);
}

function trialLines({ trials, screened, testError }: AuditReport): string[] {
  if (!screened) return [];
  const round = `${screened.trials} trials on ${screened.images.toLocaleString("en-US")} images`;
  const rows = trials.map(({ candidate, preprocessing, channels, errors, images, standing, p }) => [
    `${(100 * errors / images).toFixed(2)}%`,
    `${errors} of ${images.toLocaleString("en-US")}`,
    standing === "best" ? "best" : `${standing}, p = ${Number(p.toPrecision(2))}`,
    channels,
    `${candidate}; ${preprocessing}`,
  ]);
  return [
    testError
      ? `${round}; the leaders there, on all:`
      : `${round}; none does better than guessing. The first:`,
    ...aligned(rows),
  ];
}

/** Fails first, then passes; what cannot be observed is summed up by its reason. */
function ruleLines(judgements: readonly Judgement[]): string[] {
  const of = (outcome: Judgement["outcome"]) =>
    judgements.filter((judgement) => judgement.outcome === outcome);
  const silent = Map.groupBy(of("not-observable"), ({ evidence }) => evidence);
  return [
    ...of("fail").map(({ id, section, requirement, evidence }) =>
      `FAIL ${id} (${section}): ${requirement}\n     ${evidence}`
    ),
    ...of("pass").map(({ id, evidence }) => `pass ${id}: ${evidence}`),
    ...[...silent].map(([evidence, rules]) =>
      `not observable: ${rules.map(({ id }) => id).join(", ")} (${evidence})`
    ),
  ];
}

/** Columns under each other. */
function aligned(rows: readonly (readonly string[])[]): string[] {
  const widths = (rows[0] ?? []).map((_, i) => Math.max(...rows.map((row) => row[i].length)));
  return rows.map((row) => row.map((cell, i) => cell.padEnd(widths[i])).join("  ").trimEnd());
}
