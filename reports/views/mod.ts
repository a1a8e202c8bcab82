/**
 * What a test on a folder of photographs found, as a page.
 *
 * @module
 */
export { type Confusion, type SureMistake, type TestedViews, viewsPage } from "./page.ts";
