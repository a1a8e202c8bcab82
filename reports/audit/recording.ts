/** An audit of a recording as text for a terminal. */
import type { RecordingReport } from "../../audit/recording/mod.ts";
import { number } from "../../text/mod.ts";

/**
 * The report: three lines first, then what they rest on.
 *
 * @param report What an audit of a recording found.
 * @returns Lines without a line feed at the end.
 *
 * @example
 * ```ts
 * import { assertStringIncludes } from "@std/assert";
 * import { formatRecording } from "./recording.ts";
 *
 * const text = formatRecording({
 *   target: "recording", form: "a recording of train.py", status: 3,
 *   verdict: ["Trained is a net.", "Nothing departs.", "Nothing else."],
 *   judgements: [], changes: [], unseen: [], showMore: [], rates: [], notes: [],
 * });
 * assertStringIncludes(text, "Trained is a net.");
 * ```
 */
export function formatRecording(report: RecordingReport): string {
  const { target, form, verdict, changes, judgements, unseen, showMore, offsets, rates, notes } =
    report;
  const passes = judgements.filter(({ outcome }) => outcome === "pass");
  return [
    [...verdict, "", `${target}: ${form}`],
    section(
      "What to change, most effective first",
      changes.flatMap(({ rule, change, evidence, where, cost }, i) => [
        `${i + 1}. ${change} [${rule}]`,
        `   ${evidence}`,
        ...(where === undefined ? [] : [`   in ${where}`]),
        `   what it costs: ${cost}`,
      ]),
    ),
    section("Offsets of the training's crops, down by across", offsets ? offsetLines(offsets) : []),
    section(
      "Rates by step",
      rates.slice(0, 12).map(({ iteration, rate }) => `from step ${number(iteration)}: ${rate}`),
    ),
    section("Kept", passes.map(({ id, evidence }) => `- ${id}: ${evidence}`)),
    section("Not seen", unseen.map(({ why, rules }) => `- ${rules.join(", ")}: ${why}`)),
    section("How to see more", showMore.map((way) => `- ${way}`)),
    section("Notes", notes.map((note) => `- ${note}`)),
  ].filter((lines) => lines.length > 0).map((lines) => lines.join("\n")).join("\n\n");
}

function section(title: string, lines: readonly string[]): string[] {
  return lines.length === 0 ? [] : [title, "", ...lines];
}

function offsetLines({ counts, flipped, views }: NonNullable<RecordingReport["offsets"]>) {
  const rows = Array.from(
    { length: 9 },
    (_, y) => counts.slice(9 * y, 9 * y + 9).map((count) => String(count).padStart(5)).join(""),
  );
  return [...rows, `${number(flipped)} of ${number(views)} are mirrored`];
}
