/** Table 6: the test errors of the residual nets on CIFAR-10, and what the nets cost. */

/** One net of Table 6. */
export interface Table6Net {
  /** Weighted layers, 6n+2. */
  readonly depth: number;
  /** Test error, a share: the mean where the paper has several runs, not the best of them. */
  readonly error: number;
  /** Runs behind the error. */
  readonly runs: number;
  /** Trainable parameters as the paper prints them. */
  readonly printedParameters: string;
  /** Trainable parameters, counted: option A. The paper does not print them. */
  readonly parameters: number;
  /** Multiply-adds for one image, counted. The paper does not print them. */
  readonly multiplyAdds: number;
}

/** How far results of equal trainings lie apart: the only spread that the paper prints. */
export const PAPER_SPREAD = {
  /** Sample standard deviation of the test error, a share. */
  standardDeviation: 0.0016,
  /** Runs that it was estimated from. */
  runs: 5,
  /** Where it stands. */
  source: "Table 6, ResNet-110",
} as const;

/**
 * The nets of Table 6 by name. ResNet-110's error is the mean of the paper's
 * five runs (6.61 +- 0.16%), not the best of them (6.43%).
 *
 * Source: Table 6.
 *
 * @example
 * ```ts
 * import { TABLE_6 } from "./table_6.ts";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(TABLE_6.resnet32.error, 0.0751);
 * assertEquals(TABLE_6.resnet32.parameters, 464_154);
 * ```
 */
export const TABLE_6: Readonly<Record<string, Table6Net>> = Object.fromEntries(
  ([
    [20, 0.0875, 1, "0.27M", 269_722, 40_551_040],
    [32, 0.0751, 1, "0.46M", 464_154, 68_862_592],
    [44, 0.0717, 1, "0.66M", 658_586, 97_174_144],
    [56, 0.0697, 1, "0.85M", 853_018, 125_485_696],
    [110, 0.0661, 5, "1.7M", 1_727_962, 252_887_680],
    [1202, 0.0793, 1, "19.4M", 19_421_274, 2_829_238_912],
  ] as const).map(([depth, error, runs, printedParameters, parameters, multiplyAdds]) => [
    `resnet${depth}`,
    { depth, error, runs, printedParameters, parameters, multiplyAdds },
  ]),
);
