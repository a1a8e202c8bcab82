/** An audit's report as text for a terminal. */
import type { Judgement } from "../../spec/mod.ts";
import {
  byOutcome,
  HEADINGS,
  layerRows,
  sharedAssumptions,
  TIERS,
  trialTable,
} from "./_content.ts";
import type { AuditReport } from "../../audit/mod.ts";

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
 * import { audit } from "../../audit/mod.ts";
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
    section(HEADINGS.candidates, candidateLines(report)),
    section(HEADINGS.notes, report.notes.map((note) => `- ${note}`)),
    section(HEADINGS.layers, aligned(layerRows(report.featureMaps))),
    section(HEADINGS.trials, trialLines(report)),
    ...Object.entries(TIERS).map(([tier, title]) =>
      section(title, ruleLines(report.judgements.filter((judgement) => judgement.tier === tier)))
    ),
    section(
      HEADINGS.choices,
      report.choices.map(({ question, choice }) => `- ${question} ${choice ?? "Not observable."}`),
    ),
    section(
      HEADINGS.changes,
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
  const shared = sharedAssumptions(candidates);
  return [
    ...candidates.map(({ name, depth, parameters, possible }) =>
      `- ${name}: ${depth} weighted layers, ${parameters.toLocaleString("en-US")} parameters${
        possible ? "" : " - excluded by the trials on images"
      }`
    ),
    ...(shared.length > 0 ? ["", `All suppose: ${shared.join("; ")}.`] : []),
  ];
}

function trialLines(report: AuditReport): string[] {
  const table = trialTable(report);
  return table ? [`${table.caption}:`, ...aligned(table.rows)] : [];
}

/** Fails first, then passes; what cannot be observed is summed up by its reason. */
function ruleLines(judgements: readonly Judgement[]): string[] {
  const { fails, passes, silent } = byOutcome(judgements);
  return [
    ...fails.map(({ id, section, requirement, evidence }) =>
      `FAIL ${id} (${section}): ${requirement}\n     ${evidence}`
    ),
    ...passes.map(({ id, evidence }) => `pass ${id}: ${evidence}`),
    ...silent.map(([evidence, rules]) =>
      `not observable: ${rules.map(({ id }) => id).join(", ")} (${evidence})`
    ),
  ];
}

/** Columns under each other. */
function aligned(rows: readonly (readonly string[])[]): string[] {
  const widths = (rows[0] ?? []).map((_, i) => Math.max(...rows.map((row) => row[i].length)));
  return rows.map((row) => row.map((cell, i) => cell.padEnd(widths[i])).join("  ").trimEnd());
}
