/** What a run's report is made of. */
import type { Run } from "../../log/mod.ts";
import type { RunResult } from "./result.ts";

/** What every section is made of. */
export interface Subject {
  /** The run, as its folder tells it. */
  readonly run: Run;
  /** What came out of it. */
  readonly result: RunResult;
}
