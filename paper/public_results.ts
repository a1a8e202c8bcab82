/**
 * What public implementations of the paper's CIFAR-10 nets say that they reach:
 * figures as their authors state them, none measured here. They stand beside
 * Table 6 for orientation and decide no verdict: each deviates from the paper's
 * protocol, and nearly all are of single runs.
 */

/** A published test error of an implementation that others made. */
export interface PublicResult {
  /** Owner and name of the repository. */
  readonly implementation: string;
  /** Where the figure stands, at the revision that was read. */
  readonly source: string;
  /** The network, as `architecture()` takes it. */
  readonly architecture: string;
  /** Test error on CIFAR-10, a share. */
  readonly error: number;
  /** What the error is of, and where the training leaves the paper's, as its authors state it. */
  readonly conditions: string;
}

interface Implementation extends Pick<PublicResult, "implementation" | "source" | "conditions"> {
  readonly errors: Readonly<Record<string, number>>;
}

const IMPLEMENTATIONS: readonly Implementation[] = [
  {
    implementation: "akamaster/pytorch_resnet_cifar10",
    source:
      "https://github.com/akamaster/pytorch_resnet_cifar10/blob/10675c47133a606e58e773612be1632df51317b0/README.md",
    conditions:
      "no validation images are held out, and the epoch is chosen on the test set (its issues 4 and 35)",
    errors: {
      resnet20: 0.0827,
      resnet32: 0.0737,
      resnet44: 0.0690,
      resnet56: 0.0661,
      resnet110: 0.0632,
    },
  },
  {
    implementation: "gcr/torch-residual-networks",
    source:
      "https://github.com/gcr/torch-residual-networks/blob/1e5b3913b211316ff30d67f2d1c76306feb6ba3e/README.md",
    conditions: "one run of 200 epochs with Nesterov momentum, the rate divided at 80 and 160",
    errors: {
      resnet20: 0.0829,
      resnet32: 0.0763,
      resnet44: 0.0714,
      resnet56: 0.0694,
      resnet110: 0.0673,
    },
  },
  {
    implementation: "hysts/pytorch_resnet",
    source:
      "https://github.com/hysts/pytorch_resnet/blob/61b127cdad0ca3f5c5aa712b9218e27d52e33914/README.md",
    conditions: "median of 3 runs",
    errors: { resnet110: 0.0652 },
  },
];

/**
 * What public implementations state for a network.
 *
 * @param architecture For example `resnet20`.
 * @returns One result an implementation; none for a network that no one states.
 *
 * @example
 * ```ts
 * import { publicResults } from "./public_results.ts";
 * import { assertEquals } from "@std/assert";
 *
 * const [{ implementation, error }] = publicResults("resnet20");
 * assertEquals([implementation, error], ["akamaster/pytorch_resnet_cifar10", 0.0827]);
 * assertEquals(publicResults("plain20"), []);
 * ```
 */
export function publicResults(architecture: string): readonly PublicResult[] {
  return IMPLEMENTATIONS.flatMap(({ errors, ...implementation }) =>
    Object.hasOwn(errors, architecture)
      ? [{ ...implementation, architecture, error: errors[architecture] }]
      : []
  );
}
