/**
 * Data that can't be had or can't be trusted: missing, truncated, altered, out
 * of range, or not downloadable. The message names the file, the rule, what was
 * found, and what to do next.
 */
export class DataError extends Error {
  /** `DataError`. */
  override name = "DataError";
}
