/** What a test error may mean that no such network should have. */
import { isFarFromPaper } from "../audit/mod.ts";
import { PAPER_DATASET } from "../paper/mod.ts";
import { depthOf, type Graph } from "../resnet/mod.ts";

/** A test, and of what. */
export interface Tested {
  /** Images that were taken for another class. */
  readonly errors: number;
  /** Of so many. */
  readonly images: number;
  /** Classes that are told apart. */
  readonly classes: number;
  /** The network. */
  readonly graph: Graph;
  /** The data set's name. */
  readonly set: string;
}

/**
 * What may be wrong where weights err like guessing, or far more than the paper's nets do.
 *
 * @param tested What was measured.
 * @returns Lines for people; none where the error is one to expect.
 */
export function doubtsOn({ errors, images, classes, graph, set }: Tested): readonly string[] {
  const chance = 1 - 1 / classes;
  const spread = Math.sqrt(images * chance * (1 - chance));
  if (errors >= images * chance - 6 * spread) {
    return [
      "That is what guessing gives. Either the images were prepared otherwise when it was trained, or",
      "the shortcut's zero channels lie elsewhere, or it is another network: --preprocess auto looks",
      "for all of these. Or the weights are untrained or broken: deno task audit says what they show.",
    ];
  }
  return set === PAPER_DATASET && isFarFromPaper(errors, images, depthOf(graph))
    ? [
      "That is far more than the paper's nets err (Table 6). Where it is not expected, --preprocess",
      "auto looks for another preparation, and deno task audit FILE --data DIR for another network.",
    ]
    : [];
}
