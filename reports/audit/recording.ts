/** An audit of a recording: as a page, as Markdown, and as text for a terminal. */
import type { RecordingAudit } from "../../audit/recording/mod.ts";
import { renderHtml } from "../page/html.tsx";
import { renderMarkdown } from "../page/markdown.ts";
import { renderText } from "../page/text.ts";
import { recordingContent } from "./recording_content.ts";

/**
 * What an audit of a recording found, as a page: three lines first, then what
 * the network saw.
 *
 * @param audit As `auditRecording` gives it.
 * @returns HTML that needs no other file, runs nothing and requests nothing.
 */
export function recordingPage(audit: RecordingAudit): string {
  return renderHtml(recordingContent(audit));
}

/**
 * The same as Markdown, without drawings and images.
 *
 * @param audit As `auditRecording` gives it.
 */
export function recordingMarkdown(audit: RecordingAudit): string {
  return renderMarkdown(recordingContent(audit));
}

/**
 * The same as text for a terminal: the three lines, then what they rest on.
 *
 * @param audit As `auditRecording` gives it.
 * @returns Lines without a line feed at the end.
 *
 * @example
 * ```ts
 * import { assertStringIncludes } from "@std/assert";
 * import { CHECKLIST } from "../../spec/mod.ts";
 * import { formatRecording } from "./recording.ts";
 *
 * const text = formatRecording({
 *   report: {
 *     target: "recording", form: "a recording of train.py", status: 3,
 *     verdict: ["Trained is a net.", "Nothing departs.", "Nothing else."],
 *     judgements: [], changes: [], unseen: [], showMore: [],
 *     layers: [], choices: [], rates: [], notes: [], checklist: CHECKLIST,
 *   },
 *   subject: {}, samples: [],
 * });
 * assertStringIncludes(text, "Trained is a net.");
 * ```
 */
export function formatRecording(audit: RecordingAudit): string {
  const { head, ...content } = recordingContent(audit);
  // The verdict stands above all else, so that it is what a terminal shows of a long text's top.
  const rest = head.filter(({ kind }) => kind === "facts");
  return [...audit.report.verdict, "", renderText({ ...content, head: rest })].join("\n");
}
