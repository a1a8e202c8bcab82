/**
 * The report of one run, made without a disk.
 *
 * @module
 */
export { renderRunReport, type RunReport } from "./report.ts";
