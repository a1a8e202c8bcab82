/** How the audit's answer is held against what was put into a script. */
import type { Case } from "./_case.ts";
import type { Findings } from "./_audit.ts";

/**
 * What became of a case: of a mistake `first` (named as the first thing to
 * change), `later` (named, but not first), `missed`; of a right script `silent`
 * or `accused`; `failed` where no recording or no audit came about.
 */
export type Standing = "first" | "later" | "missed" | "silent" | "accused" | "failed";

/** What became of a case. */
export interface CaseResult {
  /** The case's id. */
  readonly id: string;
  /** See {@linkcode Standing}. */
  readonly standing: Standing;
  /** What should have been named first: one of these. */
  readonly expects: readonly string[];
  /** What the audit named, in its order. */
  readonly departures: readonly string[];
  /** Why it failed. */
  readonly reason?: string;
  /** Wall time of the recorded training; undefined where an earlier recording was audited. */
  readonly recordSeconds?: number;
  /** Wall time of the audit. */
  readonly auditSeconds?: number;
}

/**
 * What is true of a script that the bench made short so that it tests: it stops
 * before its 64,000 iterations. It is no mistake that was put in, and no false accusation.
 */
const TRUE_OF_SHORT = ["iterations", "steps-taken"];
/** What is true of a script that the bench gave a tenth of the images. */
const TRUE_OF_TENTH = ["split", "test-set-whole"];

/**
 * Holds the audit's findings against what was put in.
 *
 * @param one The case.
 * @param findings What the audit said.
 */
export function standingOf(
  { mistake, tests, tenth }: Pick<Case, "mistake" | "tests" | "tenth">,
  findings: Findings,
): { readonly standing: Standing; readonly departures: readonly string[] } {
  const departures = findings.departures.filter((id) =>
    !(tests && TRUE_OF_SHORT.includes(id)) && !(tenth && TRUE_OF_TENTH.includes(id))
  );
  if (mistake === undefined) {
    return { standing: departures.length === 0 ? "silent" : "accused", departures };
  }
  const at = departures.findIndex((id) => mistake.expects.includes(id));
  return { standing: at === 0 ? "first" : at > 0 ? "later" : "missed", departures };
}

/** Whether a standing is what it should be. */
export function isRight(standing: Standing): boolean {
  return standing === "first" || standing === "silent";
}

/** The results as lines: one a mistake or right script, with the cases that are not right. */
export function formatResults(results: readonly CaseResult[]): string {
  const rows = new Map<string, CaseResult[]>();
  for (const result of results) {
    const parts = result.id.split("/");
    const key = parts[0] === "clean" ? parts.slice(0, 2).join("/") : parts[0];
    rows.set(key, [...(rows.get(key) ?? []), result]);
  }
  const width = Math.max(0, ...[...rows.keys()].map(({ length }) => length));
  const lines: string[] = [];
  for (const [key, cases] of rows) {
    const right = cases.filter(({ standing }) => isRight(standing));
    const word = key.startsWith("clean/") ? "not accused" : "found first";
    lines.push(`${key.padEnd(width)}  ${right.length} of ${cases.length} ${word}`);
    for (const result of cases) {
      if (!right.includes(result)) lines.push(`  ${result.id}: ${complaint(result)}`);
    }
  }
  return [...lines, "", summary(results)].join("\n");
}

function complaint({ standing, departures, expects, reason }: CaseResult): string {
  const named = departures.join(", ") || "nothing";
  switch (standing) {
    case "failed":
      return `failed: ${reason}`;
    case "accused":
      return `falsely accused of ${named}`;
    case "later":
      return `found, but not first: ${named}; expected ${expects.join(" or ")}`;
    default:
      return `missed: ${named}; expected ${expects.join(" or ")}`;
  }
}

function summary(results: readonly CaseResult[]): string {
  const count = (standing: Standing) =>
    results.filter((result) => result.standing === standing).length;
  return `mistakes: ${count("first")} found first, ${count("later")} found but not first, ${
    count("missed")
  } missed; right scripts: ${count("silent")} not accused, ${
    count("accused")
  } falsely accused; failed: ${count("failed")}`;
}
