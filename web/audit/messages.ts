/** What the audit's page asks its worker for. */
import type { Given } from "../page/messages.ts";

/** One audit. */
export interface Asked extends Given {
  /** Path of what is judged, or an architecture's name. */
  readonly target: string;
  /** The architecture that it is said to be, as `--as` takes it. */
  readonly as?: string;
  /** Path of CIFAR-10 among the files, where it was given. */
  readonly data?: string;
}
