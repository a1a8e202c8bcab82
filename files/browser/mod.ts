/**
 * What a page does with the files that it was given, so that every reader finds them by their paths.
 *
 * @module
 */
export { mount } from "../disk.browser.ts";
