/**
 * A file that can't be read, written or downloaded. The message names the file,
 * the rule, what was found, and what to do next.
 */
export class FileError extends Error {
  /** The class's name, for messages. */
  override name = "FileError";
}
