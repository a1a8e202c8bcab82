/**
 * How every page of this module looks.
 *
 * @module
 */
export { style } from "./style.ts";
export { Drawing, type Plot, type Point, type Series, spanMeans } from "./plot.tsx";
