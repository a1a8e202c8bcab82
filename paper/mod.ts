/**
 * The paper's facts, once: its nets, Table 6, what section 4.2 states and what
 * it leaves open, and what others report of the same nets.
 *
 * @module
 */
export * from "./open_points.ts";
export * from "./public_results.ts";
export * from "./section_3_4.ts";
export * from "./section_4_2.ts";
export * from "./table_6.ts";
