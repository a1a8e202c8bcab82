/**
 * Photographs: image files decoded, resized, and found in a folder for each class. A door of its
 * own, since most of what reads data has no use for the decoders.
 *
 * @module
 */
export { DataError } from "../errors.ts";
export * from "./augment.ts";
export * from "./folder.ts";
export * from "./image_file.ts";
export * from "./imagenet_archives.ts";
export * from "./imagenet_classes.ts";
export * from "./resample.ts";
export * from "./rgb_image.ts";
export * from "./scores.ts";
export * from "./set.ts";
export * from "./statistics.ts";
export * from "./views.ts";
