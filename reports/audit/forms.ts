/** What an audit found, as text and as a page. */
import type { AuditReport } from "../../audit/mod.ts";
import { renderHtml } from "../page/html.tsx";
import { renderMarkdown } from "../page/markdown.ts";
import { renderText } from "../page/text.ts";
import { auditContent } from "./content.ts";

/**
 * The report as a page: the same as {@link formatAudit}, in the same order.
 *
 * @param report What an audit found.
 * @returns HTML that needs no other file, runs nothing and requests nothing.
 *
 * @example
 * ```ts
 * import { assertStringIncludes } from "@std/assert";
 * import { architectureSubject, audit } from "../../audit/mod.ts";
 * import { auditPage } from "./forms.ts";
 *
 * const report = await audit(architectureSubject("resnet34"));
 * assertStringIncludes(auditPage(report), "21.29M");
 * ```
 */
export function auditPage(report: AuditReport): string {
  return renderHtml(auditContent(report));
}

/**
 * The report for a terminal: the verdict first, then what it rests on, then what to change.
 *
 * @param report What an audit found.
 * @returns Lines without a line feed at the end.
 *
 * @example
 * ```ts
 * import { assertStringIncludes } from "@std/assert";
 * import { architectureSubject, audit } from "../../audit/mod.ts";
 * import { formatAudit } from "./forms.ts";
 *
 * const report = await audit(architectureSubject("resnet34"));
 * assertStringIncludes(formatAudit(report), "21.29M");
 * ```
 */
export function formatAudit(report: AuditReport): string {
  return renderText(auditContent(report));
}

/**
 * The report as Markdown: the same as {@link auditPage}, in the same order.
 *
 * @param report What an audit found.
 */
export function auditMarkdown(report: AuditReport): string {
  return renderMarkdown(auditContent(report));
}
