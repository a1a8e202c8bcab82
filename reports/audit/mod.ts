/**
 * What an audit found, as text and as a page; and the audit of whatever a path names.
 *
 * @module
 */
export * from "./forms.ts";
export { formatRecording, recordingMarkdown, recordingPage } from "./recording.ts";
export {
  type AuditedTarget,
  AuditError,
  auditTarget,
  findTarget,
  type FoundTarget,
  reportJson,
  type TargetOptions,
} from "./target.ts";
