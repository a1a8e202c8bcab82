/** What the page that predicts asks its worker for. */
import type { Given } from "../page/messages.ts";

/** What a network takes images for. */
export interface Asked extends Given {
  /** Path of the network. */
  readonly weights: string;
  /** Paths of the images. */
  readonly photographs: readonly string[];
  /** As `--preprocess` takes it; the weights' own run's, else the paper's, when undefined. */
  readonly preprocess?: string;
  /** As `--shortcut-padding` takes it. */
  readonly padding?: "append" | "split";
  /** Path of CIFAR-10 among the files, where it was given. */
  readonly data?: string;
}
