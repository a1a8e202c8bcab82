/** The bench's results as a page of the documentation. */
import type { CaseResult, Standing } from "./_judge.ts";
import { isRight } from "./_judge.ts";
import type { Mistake } from "./_mistake.ts";

/** How a standing is written. */
const WORDS: Readonly<Record<Standing, string>> = {
  ...{ first: "found first", later: "found later", missed: "missed" },
  ...{ silent: "not accused", accused: "falsely accused", failed: "not judged" },
};

/** What a page has to say of how its results came about. */
export interface PageOptions {
  /** The command that gives them again. */
  readonly command: string;
  /** Every mistake of the bench, for what it is and for those that were not run. */
  readonly mistakes: readonly Mistake[];
  /** Ids of the right scripts. */
  readonly clean: readonly string[];
  /** What else a reader has to know of how they came about. */
  readonly note?: string;
}

/**
 * Markdown of the results: counts, a table of mistakes, a table of right
 * scripts, and what was not run.
 *
 * @param results One a case; several of a mistake are several rows.
 */
export function resultsPage(
  results: readonly CaseResult[],
  { command, mistakes, clean, note }: PageOptions,
): string {
  const isClean = ({ id }: CaseResult) => id.startsWith("clean/");
  const put = results.filter((result) => !isClean(result));
  const right = results.filter(isClean);
  const ran = new Set(results.map(({ id }) => id.split("/")[id.startsWith("clean/") ? 1 : 0]));
  const what = new Map(mistakes.map((mistake) => [mistake.id, mistake.what]));
  const missing = [...mistakes.map(({ id }) => id), ...clean].filter((id) => !ran.has(id));
  const row = (cells: readonly string[]) => `| ${cells.join(" | ")} |`;
  return [
    "# Silent bugs: what the audit of a recording finds",
    "",
    "Each mistake of [the bench](../bench/silent_bugs) is put by one change into a right training",
    "script; the script is recorded for the steps that it needs, and the recording is audited. *Found",
    "first* means that the mistake's own rule is the first thing to change. Right scripts in ten styles",
    "must not be accused of anything. But for the mistakes in the number of images, scripts train on a",
    "tenth of CIFAR-10, so that an epoch ends within 36 steps; that it is a tenth is held against none.",
    "",
    "```",
    command,
    "```",
    "",
    `${count(put, "first")} of ${put.length} cases of ${
      new Set(put.map(({ id }) => id.split("/")[0])).size
    } mistakes found first, ${count(put, "later")} found later, ${count(put, "missed")} missed; ${
      count(right, "silent")
    } of ${right.length} right scripts not accused, ${count(right, "accused")} falsely accused; ${
      count(results, "failed")
    } not judged.${missing.length === 0 ? "" : ` Not run: ${missing.join(", ")}.`}`,
    ...note === undefined ? [] : ["", note],
    "",
    row(["Mistake", "What is wrong", "Script, net, seed", "Outcome", "Named, in order"]),
    row(["---", "---", "---", "---", "---"]),
    ...put.map((result) => {
      const [id, ...where] = result.id.split("/");
      return row([`\`${id}\``, what.get(id) ?? "", where.join(", "), ...outcome(result)]);
    }),
    "",
    row(["Right script", "Net, seed", "Outcome", "Accused of"]),
    row(["---", "---", "---", "---"]),
    ...right.map((result) => {
      const [, style, ...where] = result.id.split("/");
      return row([style, where.join(", "), ...outcome(result)]);
    }),
    "",
  ].join("\n");
}

const count = (results: readonly CaseResult[], standing: Standing): number =>
  results.filter((result) => result.standing === standing).length;

function outcome({ standing, departures, reason = "" }: CaseResult): [string, string] {
  const words = WORDS[standing];
  return [
    isRight(standing) ? words : `**${words}**`,
    standing === "failed" ? reason : departures.map((id) => `\`${id}\``).join(", "),
  ];
}
