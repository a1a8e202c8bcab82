/** The report of one run: a page for people, and its result and curves as data. */
import { writeWhole } from "../../files/mod.ts";
import { stringify } from "@std/csv";
import { renderHtml } from "../page/html.tsx";
import { modelCard } from "./card.ts";
import { runContent } from "./content.ts";
import { type FolderReading, readFolder, runOf, subjectOfReading } from "../../log/mod.ts";
import { type RunResult, runResult } from "./result.ts";

/** What a report consists of, as text and data. */
export interface RunReport {
  /** One self-contained page, without scripts or requests. */
  readonly html: string;
  /** The result as data. */
  readonly result: RunResult;
  /** The training's step events; loss is cross entropy, error a share from 0 to 1. */
  readonly stepsCsv: string;
  /** The model card, in Hugging Face's form; undefined of a run without a result. */
  readonly card?: string;
}

/** Where a report was written. */
export interface RunReportPaths {
  /** The page. */
  readonly html: string;
  /** The result as JSON, in the form of `RunResult`. */
  readonly result: string;
  /** The training's steps as CSV. */
  readonly steps: string;
  /** The model card; undefined of a run without a result. */
  readonly card?: string;
}

/**
 * The report of a run, made from nothing but its folder's content.
 *
 * @param reading A run's folder, as `readFolder` gives it.
 * @returns The page, the result and the steps.
 * @throws {RunLogError} If the folder is not that of a run, see `readRun`.
 */
export function renderRunReport(reading: FolderReading): RunReport {
  const run = runOf(reading);
  const result = runResult(run, subjectOfReading(reading));
  const card = modelCard({ run, result });
  return {
    html: renderHtml(runContent({ run, result })),
    result,
    stepsCsv: stringify(run.steps.map((step) => ({ ...step })), {
      columns: [
        ...["iteration", "steps", "learningRate", "loss", "error", "imagesPerSecond"],
        ...(result.waiting === null ? [] : ["waitingSeconds", "computingSeconds"]),
        "time",
      ],
    }),
    ...(card === undefined ? {} : { card }),
  };
}

/**
 * Reads a run's folder and writes `report.html`, `result.json`, `steps.csv` and,
 * of a finished run, the model card `README.md` into it, each whole: beside, then renamed.
 *
 * Needs read and write access to the folder.
 *
 * @param folder Path of the run's folder.
 * @returns The paths of the files.
 * @throws {RunLogError} If the folder is not that of a run, see `readRun`.
 *
 * @example
 * ```ts
 * import { RunLogError } from "../../log/mod.ts";
 * import { writeRunReport } from "../mod.ts";
 * import { assertRejects } from "@std/assert";
 *
 * await assertRejects(() => writeRunReport("no/run/is/here"), RunLogError, "events.jsonl");
 * ```
 */
export async function writeRunReport(folder: string): Promise<RunReportPaths> {
  const { html, result, stepsCsv, card } = renderRunReport(await readFolder(folder));
  const write = async (name: string, text: string): Promise<string> => {
    const path = `${folder}/${name}`;
    await writeWhole(path, text);
    return path;
  };
  return {
    html: await write("report.html", html),
    result: await write("result.json", JSON.stringify(result, null, 2) + "\n"),
    steps: await write("steps.csv", stepsCsv),
    ...(card === undefined ? {} : { card: await write("README.md", card) }),
  };
}
