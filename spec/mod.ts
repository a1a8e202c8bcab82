/**
 * The paper as a checklist: each statement a typed rule with its evidence, and
 * what the paper leaves open as choices. The only door of this room.
 *
 * @module
 */
export * from "./checklist.ts";
export * from "./open_points.ts";
export * from "./rule.ts";
export { type StaticSubject, subjectOf } from "./subject.ts";
