/**
 * The audit of whatever a path names: what the command and the page in a browser both do. Files are
 * reached by `files/`, so that the same bytes give the same report in both.
 */
import {
  architectureSubject,
  audit,
  AUDIT_STATUS,
  type AuditReport,
  type AuditSubject,
  heldTo,
  readModel,
  runSubject,
  searchOn,
  type SearchOptions,
  type Sweep,
} from "../../audit/mod.ts";
import { auditRecording } from "../../audit/recording/mod.ts";
import { type Dataset, loadDataset } from "../../data/mod.ts";
import { disk } from "../../files/mod.ts";
import {
  EVENTS_FILE,
  logSubjectOf,
  readRecording,
  RECORDING_FILE,
  RunLogError,
} from "../../log/mod.ts";
import { PAPER_DATASET } from "../../paper/mod.ts";
import { ArchitectureError } from "../../resnet/mod.ts";
import { runsIn } from "../set/find_runs.ts";
import { auditMarkdown, auditPage, formatAudit } from "./forms.ts";
import { formatRecording, recordingMarkdown, recordingPage } from "./recording.ts";

/** A path that leads to nothing that can be audited: what was looked for, and what was found. */
export class AuditError extends Error {
  /** The class's name, for messages. */
  override name = "AuditError";
}

/** What a path was found to name. */
export type FoundTarget =
  | { readonly kind: "recording" | "single"; readonly target: string }
  | { readonly kind: "runs"; readonly target: string; readonly runs: readonly string[] };

/** What an audit is asked for beside its target. */
export interface TargetOptions extends SearchOptions {
  /** Path of CIFAR-10's binary version, a folder or the archive: weights are tried on it. */
  readonly data?: string;
  /** The architecture that it is said to be. */
  readonly as?: string;
}

/** What an audit came to. */
export interface AuditedTarget {
  /** For a terminal. */
  readonly text: string;
  /** For programs; as a file it is written with {@linkcode reportJson}. */
  readonly json: unknown;
  /** The command's exit status. */
  readonly status: number;
  /** The same as a page; undefined for a folder of several runs. */
  readonly page?: () => string;
  /** The same as Markdown; undefined for a folder of several runs. */
  readonly markdown?: () => string;
}

/**
 * Tells what a path names.
 *
 * @param target A path, or an architecture's name.
 * @returns A recording's folder, a folder of several runs, or one of all else, which need not exist.
 */
export async function findTarget(target: string): Promise<FoundTarget> {
  if (await isAnything(`${target}/${RECORDING_FILE}`)) return { kind: "recording", target };
  const runs = await runsIn(target);
  return runs === undefined ? { kind: "single", target } : { kind: "runs", target, runs };
}

/**
 * Audits what was found.
 *
 * @param found By {@linkcode findTarget}.
 * @param options Images to try it on, what computes, and who is told.
 * @returns The report in all its forms.
 * @throws {AuditError} If there is nothing by that name, or no run of a folder can be judged; and
 *   what reading the target or the images throws.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { auditTarget, findTarget } from "./target.ts";
 *
 * const { status, text } = await auditTarget(await findTarget("resnet34"));
 * assertEquals([status, text.includes("21.29M")], [1, true]);
 * ```
 */
export async function auditTarget(
  found: FoundTarget,
  options: TargetOptions = {},
): Promise<AuditedTarget> {
  if (found.kind === "recording") return await auditOfRecording(found.target, options);
  if (found.kind === "runs") return await auditOfRuns(found.target, found.runs, options);
  const report = await reportOn(await readTarget(found.target), options);
  return {
    text: formatAudit(report),
    json: report,
    status: report.status,
    page: () => auditPage(report),
    markdown: () => auditMarkdown(report),
  };
}

/** A report as a file has it. */
export function reportJson(json: unknown): string {
  return JSON.stringify(json, null, 2) + "\n";
}

/** From the gravest on: what a folder of runs comes to is what its gravest run does. */
const GRAVEST_FIRST = ["wrong", "departs", "reaches", "unseen", "keeps"] as const;

/** Each run of a folder by itself: what they say together is a set's report to say. */
async function auditOfRuns(
  target: string,
  folders: readonly string[],
  options: TargetOptions,
): Promise<AuditedTarget> {
  const reports: AuditReport[] = [];
  const unread: string[] = [];
  for (const folder of folders) {
    const name = folder.slice(folder.lastIndexOf("/") + 1);
    try {
      reports.push(await reportOn(runSubject(name, await logSubjectOf(folder)), options));
    } catch (error) {
      if (!(error instanceof RunLogError)) throw error;
      unread.push(`${name}\n  can't be judged: ${error.message}`);
    }
  }
  if (reports.length === 0) {
    throw new AuditError(
      [`no run in ${target} can be judged: it has ${folders.length} folders of runs`, ...unread]
        .join("\n"),
    );
  }
  const gravest = GRAVEST_FIRST.find((conclusion) =>
    reports.some((report) => report.conclusion === conclusion)
  )!;
  const text = [
    `${reports.length} of ${folders.length} runs in ${target}, each judged by itself`,
    ...reports.map((report) => {
      const ids = report.findings.map(({ id }) => id);
      return [
        report.target,
        ...report.summary.map((line) => `  ${line}`),
        ...ids.length > 0 ? [`  ${ids.length} rules fail: ${ids.join(", ")}`] : [],
      ].join("\n");
    }),
    ...unread,
    [
      `All of one: deno task audit ${folders[0]}`,
      `What they say together, and against Table 6: deno task report ${target}`,
    ].join("\n"),
  ].join("\n\n");
  return { text, json: { target, runs: reports }, status: AUDIT_STATUS[gravest] };
}

/** A training that a recorder wrote down. */
async function auditOfRecording(target: string, options: TargetOptions): Promise<AuditedTarget> {
  const recording = await readRecording(target);
  const dataset = options.data === undefined ? undefined : await cifarOf(options.data);
  const audited = await auditRecording(
    target,
    recording,
    dataset,
    (line) => options.told?.line(line),
  );
  return {
    text: formatRecording(audited),
    json: audited.report,
    status: audited.report.status,
    page: () => recordingPage(audited),
    markdown: () => recordingMarkdown(audited),
  };
}

/** CIFAR-10, or CIFAR-100 where the folder holds that. */
async function cifarOf(path: string): Promise<Dataset> {
  const holds100 = await isAnything(`${path}/train.bin`) ||
    await isAnything(`${path}/cifar-100-binary`);
  return await loadDataset(holds100 ? "cifar100" : PAPER_DATASET, { path });
}

/** @throws {AuditError} If the target is neither there nor an architecture. */
async function readTarget(target: string): Promise<AuditSubject> {
  if (!await isAnything(target)) {
    try {
      return architectureSubject(target);
    } catch (error) {
      if (!(error instanceof ArchitectureError)) throw error;
      throw new AuditError(
        `"${target}" is neither a file, nor a folder, nor an architecture: ${error.message}`,
        { cause: error },
      );
    }
  }
  return await isAnything(`${target}/${EVENTS_FILE}`)
    ? runSubject(target, await logSubjectOf(target))
    : (await readModel(target)).subject;
}

async function isAnything(path: string): Promise<boolean> {
  try {
    await disk.stat(path);
    return true;
  } catch (error) {
    if (disk.isMissing(error) || disk.isNoFolder(error)) return false;
    throw error;
  }
}

/** Judges a subject; where there are images it is tried on them. */
async function reportOn(found: AuditSubject, options: TargetOptions): Promise<AuditReport> {
  const { data, as, told, ...search } = options;
  const subject = as === undefined ? found : heldTo(found, as);
  let sweep: Sweep | undefined;
  if (data !== undefined) {
    const images = await loadDataset(PAPER_DATASET, { path: data });
    sweep = await searchOn(images, subject, { ...search, ...(told ? { told } : {}) });
    if (sweep === undefined) {
      told?.line("--data: nothing of the target can be run on these images");
    }
  }
  return await audit(subject, sweep);
}
