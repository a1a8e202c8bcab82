/** What the log rules share. */
import type { LoggedRun, StartEvent } from "../../log/mod.ts";
import { number } from "../../text/mod.ts";
import type { Finding } from "../rule.ts";
import { finding } from "../subject.ts";

/** Classes of CIFAR-10. */
export const CLASSES = 10;

/** A share in percent, with two decimals at most. */
export const percent = (share: number): string => `${Number((100 * share).toFixed(2))}%`;
/** The name of the net that was trained. */
export const netOf = ({ recipe }: StartEvent): string => recipe.architecture.name;

/** Passes only where the run is over; a fault is one also before its end. */
export function once(run: LoggedRun, problems: readonly string[], evidence: string): Finding {
  if (problems.length > 0 || run.end) return finding(problems, evidence);
  const last = run.steps.at(-1)?.iteration ?? 0;
  return {
    outcome: "not-observable",
    evidence: `the log breaks off after step ${number(last)}; so far: ${evidence}`,
  };
}
