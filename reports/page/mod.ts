/**
 * How every page of this module looks.
 *
 * @module
 */
export { style } from "./style.ts";
