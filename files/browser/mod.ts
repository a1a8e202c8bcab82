/**
 * What a page does with the files that it was given, so that every reader finds them by their paths.
 *
 * @module
 */
export { mount } from "../disk.browser.ts";
export { keepsFiles, OwnFolder, type OwnLog } from "./own_folder.ts";
