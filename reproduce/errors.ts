/** What the accuracy job refuses. */

/** A reproduction that can't go on: what was attempted, the rule, what was found, what to do. */
export class ReproductionError extends Error {
  /** The class's name, for messages. */
  override name = "ReproductionError";
}
