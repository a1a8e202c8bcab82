import { FileError } from "../files/mod.ts";

/**
 * Data that can't be trusted: missing, truncated, altered, or out of range. The
 * message names the file, the rule, what was found, and what to do next.
 */
export class DataError extends FileError {
  /** The class's name, for messages. */
  override name = "DataError";
}
