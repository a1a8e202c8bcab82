/**
 * What an audit found, as text and as a page.
 *
 * @module
 */
export { formatAudit } from "./format.ts";
export { auditPage } from "./page.tsx";
