/** The report of a set of runs: a page, the same as Markdown, and the same as data. */
import { relative, resolve } from "node:path";
import { readFolder, RunLogError, runOf, subjectOfReading } from "../../log/mod.ts";
import { attempt, isFile, readWhole, writeWhole } from "../../files/mod.ts";
import { renderHtml } from "../page/html.tsx";
import { renderMarkdown } from "../page/markdown.ts";
import { setContent } from "./content.ts";
import { findRuns } from "./find_runs.ts";
import { PlanError, planHash } from "../../verdicts/mod.ts";
import {
  type BrokenRun,
  type RunOfSet,
  type SetContent,
  type SetResult,
  setResult,
} from "./result.ts";

/** What a set's report consists of. */
export interface SetReport {
  /** One self-contained page, without scripts or requests. */
  readonly html: string;
  /** The same for a pull request, without the drawings. */
  readonly markdown: string;
  /** The same as data. */
  readonly result: SetResult;
}

/** Where a set's report was written. */
export interface SetReportPaths {
  /** The page. */
  readonly html: string;
  /** The same as Markdown. */
  readonly markdown: string;
  /** The result as JSON, in the form of `SetResult`. */
  readonly json: string;
  /** Folders that could not be read as a run, each with why; relative to the report's folder. */
  readonly broken: readonly BrokenRun[];
}

/**
 * The report of a set, made from nothing but what was read.
 *
 * @param content The plan, the runs and the folders that are none.
 * @returns The page, the Markdown and the result; the same for the same content.
 */
export function renderSetReport(content: SetContent): SetReport {
  const result = setResult(content);
  const document = setContent(result);
  return { html: renderHtml(document), markdown: renderMarkdown(document), result };
}

/**
 * Reads runs and writes their common report, `report.html`, `report.md` and
 * `report.json`, each whole: beside, then renamed.
 *
 * Needs read access to the runs and to the current folder, and write access to
 * `out`.
 *
 * @param folders Paths of runs; of folders of runs; or of a job, with `plan.json` and its runs in
 *   `runs/`. A folder that holds no run, or a run that cannot be read, is named in the report.
 * @param out Path of the folder for the report; made where it is not there. The report names the
 *   runs, and links to their own reports, relative to it.
 * @returns The paths of the three files, and what could not be read.
 * @throws {PlanError} If a plan is none, or the folders have two different ones.
 *
 * @example
 * ```ts
 * import { PlanError } from "../../verdicts/mod.ts";
 * import { writeSetReport } from "../mod.ts";
 * import { assertRejects } from "@std/assert";
 *
 * const job = await Deno.makeTempDir();
 * await Deno.writeTextFile(`${job}/plan.json`, "{}");
 * await assertRejects(() => writeSetReport([job], job), PlanError, "version");
 * await Deno.remove(job, { recursive: true });
 * ```
 */
export async function writeSetReport(
  folders: readonly string[],
  out: string,
): Promise<SetReportPaths> {
  const content = await readSet(folders, out);
  const { html, markdown, result } = renderSetReport(content);
  await attempt("write", out, () => Deno.mkdir(out, { recursive: true }));
  const write = async (name: string, text: string): Promise<string> => {
    const path = `${out}/${name}`;
    await writeWhole(path, text);
    return path;
  };
  return {
    html: await write("report.html", html),
    markdown: await write("report.md", markdown),
    json: await write("report.json", JSON.stringify(result, null, 2) + "\n"),
    broken: content.broken,
  };
}

/** Every run in the folders, by path, each once; and the plan that is among them. */
async function readSet(folders: readonly string[], out: string): Promise<SetContent> {
  const found = await Promise.all(folders.map(findRuns));
  const plans = new Map(found.flatMap(({ plan }) => plan ? [[planHash(plan), plan]] : []));
  if (plans.size > 1) {
    throw new PlanError(
      `Reporting on ${folders.join(", ")}: a set has one plan, found ${plans.size} (${
        [...plans.keys()].join(", ")
      }); report on each job alone`,
    );
  }
  const paths = [...new Set(found.flatMap(({ paths }) => paths.map((path) => resolve(path))))];
  const runs: RunOfSet[] = [];
  const broken: BrokenRun[] = [];
  // One after the other: the weights of all runs need not be in memory at once.
  for (const path of paths.sort()) {
    const run = await readRunOfSet(path, relative(resolve(out), path).replaceAll("\\", "/") || ".");
    if ("problem" in run) broken.push(run);
    else runs.push(run);
  }
  const [plan] = plans.values();
  return { plan, runs, broken };
}

async function readRunOfSet(path: string, folder: string): Promise<RunOfSet | BrokenRun> {
  // By its name in the report, so that no message holds a path of this machine.
  const read = (file: string) => readWhole(`${path}${file.slice(folder.length)}`);
  try {
    const reading = await readFolder(folder, read);
    return {
      folder,
      run: runOf(reading),
      log: subjectOfReading(reading),
      logSha256: reading.logSha256,
      report: await isFile(`${path}/report.html`) ? `${folder}/report.html` : null,
    };
  } catch (error) {
    if (!(error instanceof RunLogError)) throw error;
    return { folder, problem: error.message.replaceAll(path, folder) };
  }
}
