/**
 * Points the paper's checklist at a network or a run, of this project or of
 * anybody's.
 *
 * `deno task audit resnet32.th --data cifar-10-batches-bin`
 */
import { basename } from "node:path";
import { PAPER_DATASET } from "../paper/mod.ts";
import { type Dataset, loadDataset } from "../data/mod.ts";
import { ArchitectureError } from "../resnet/mod.ts";
import {
  architectureSubject,
  audit as judge,
  AUDIT_STATUS,
  type AuditReport,
  type AuditSubject,
  heldTo,
  runSubject,
  type Sweep,
} from "../audit/mod.ts";
import { auditRecording } from "../audit/recording/mod.ts";
import {
  auditMarkdown,
  auditPage,
  formatAudit,
  formatRecording,
  recordingMarkdown,
  recordingPage,
} from "../reports/audit/mod.ts";
import {
  EVENTS_FILE,
  logSubjectOf,
  readRecording,
  RECORDING_FILE,
  RunLogError,
} from "../log/mod.ts";
import { writeWhole } from "../files/mod.ts";
import { runsIn } from "../reports/mod.ts";
import { type FlagValues, text, toggle, UsageError } from "./_flags.ts";
import { CommandError, main, type Outcome } from "./_main.ts";
import { ENGINE_FLAGS } from "./_training_flags.ts";
import { searchOn } from "./_search.ts";
import { readModel } from "./_weights.ts";

const FLAGS = {
  data: text("DIR", "CIFAR-10's binary version: tries weights on it, to tell more of them"),
  as: text("NAME", "the architecture that it is said to be"),
  json: text("FILE", "write the report as JSON as well"),
  html: text("FILE", "write the report as a page as well"),
  markdown: text("FILE", "write the report as Markdown as well"),
  engine: ENGINE_FLAGS.engine,
  threads: ENGINE_FLAGS.threads,
  help: toggle("print this help"),
} as const;

const command = {
  usage: "deno task audit",
  positional: "TARGET",
  summary:
    "Judges a network or a run by the paper's checklist. TARGET is an architecture's name, a run's\n" +
    "folder, a folder of runs (a few lines for each), a recording of a training (recorders/), or a\n" +
    "file of weights or of a network (PyTorch, safetensors, ONNX, Keras, TensorFlow.js, Flax, NumPy).\n" +
    "Exit status: 0 every rule could be observed and is kept, 1 it departs from the paper, 2 the\n" +
    "target could not be read, 3 nothing speaks against it, but not everything can be seen, 4\n" +
    "something is wrong whatever the paper says, 5 it departs and reaches the paper's error.",
  flags: FLAGS,
} as const;

/** Where 1 stands for a violation, errors have the status of a command line that fails. */
const UNREADABLE = 2;

async function audit(flags: FlagValues<typeof FLAGS>, target?: string): Promise<Outcome> {
  if (target === undefined) {
    throw new UsageError(
      `${command.usage} needs a ${command.positional}. See ${command.usage} --help`,
    );
  }
  if (await statOf(`${target}/${RECORDING_FILE}`) !== undefined) {
    return await auditOfRecording(flags, target);
  }
  const runs = await runsIn(target);
  if (runs !== undefined) return await auditOfRuns(flags, target, runs);
  const found = await readTarget(target);
  const subject = flags.as === undefined ? found : heldTo(found, flags.as);
  const report = await judge(subject, await tryOnImages(subject, flags));
  await writeReports(flags, report, () => auditPage(report), () => auditMarkdown(report));
  return { text: formatAudit(report), json: report, status: report.status };
}

/** From the gravest on: what a folder of runs comes to is what its gravest run does. */
const GRAVEST_FIRST = ["wrong", "departs", "reaches", "unseen", "keeps"] as const;

/** Each run of a folder by itself: what they say together is a report's to say. */
async function auditOfRuns(
  flags: FlagValues<typeof FLAGS>,
  target: string,
  folders: readonly string[],
): Promise<Outcome> {
  if (flags.html !== undefined || flags.markdown !== undefined) {
    throw new UsageError(
      `--html and --markdown write the audit of one run, and ${target} holds ${folders.length}; ` +
        `name one, or write a page of all by deno task report ${target}`,
    );
  }
  const reports: AuditReport[] = [];
  const unread: string[] = [];
  for (const folder of folders) {
    const name = basename(folder);
    try {
      const subject = runSubject(name, await logSubjectOf(folder));
      const asked = flags.as === undefined ? subject : heldTo(subject, flags.as);
      reports.push(await judge(asked, await tryOnImages(asked, flags)));
    } catch (error) {
      if (!(error instanceof RunLogError)) throw error;
      unread.push(`${name}\n  can't be judged: ${error.message}`);
    }
  }
  if (reports.length === 0) {
    throw new CommandError(
      [`no run in ${target} can be judged: it has ${folders.length} folders of runs`, ...unread]
        .join("\n"),
    );
  }
  await writeReports(flags, { target, runs: reports }, () => "", () => "");
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
async function auditOfRecording(
  flags: FlagValues<typeof FLAGS>,
  target: string,
): Promise<Outcome> {
  const recording = await readRecording(target);
  const dataset = flags.data === undefined ? undefined : await cifarOf(flags.data);
  const audited = await auditRecording(
    target,
    recording,
    dataset,
    (line) => console.error(line),
  );
  const { report } = audited;
  await writeReports(
    flags,
    report,
    () => recordingPage(audited),
    () => recordingMarkdown(audited),
  );
  return { text: formatRecording(audited), json: report, status: report.status };
}

/** The files that were asked for. */
async function writeReports(
  { json, html, markdown }: FlagValues<typeof FLAGS>,
  report: unknown,
  page: () => string,
  text: () => string,
): Promise<void> {
  if (json !== undefined) await writeWhole(json, encode(JSON.stringify(report, null, 2) + "\n"));
  if (html !== undefined) await writeWhole(html, encode(page()));
  if (markdown !== undefined) await writeWhole(markdown, encode(text()));
}

/** CIFAR-10, or CIFAR-100 where the folder holds that. */
async function cifarOf(path: string): Promise<Dataset> {
  const holds100 = await statOf(`${path}/train.bin`) ?? await statOf(`${path}/cifar-100-binary`);
  return await loadDataset(holds100 === undefined ? PAPER_DATASET : "cifar100", { path });
}

function encode(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

/** @throws {CommandError} If the target is neither there nor an architecture. */
async function readTarget(target: string): Promise<AuditSubject> {
  const info = await statOf(target);
  if (info === undefined) {
    try {
      return architectureSubject(target);
    } catch (error) {
      if (!(error instanceof ArchitectureError)) throw error;
      throw new CommandError(
        `"${target}" is neither a file, nor a folder, nor an architecture: ${error.message}`,
        { cause: error },
      );
    }
  }
  if (info.isDirectory && await statOf(`${target}/${EVENTS_FILE}`)) {
    return runSubject(target, await logSubjectOf(target));
  }
  return (await readModel(target)).subject;
}

async function statOf(path: string): Promise<Deno.FileInfo | undefined> {
  try {
    return await Deno.stat(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotADirectory) {
      return undefined;
    }
    throw error;
  }
}

/** Tries the candidates on images, where there are weights and images. */
async function tryOnImages(
  subject: AuditSubject,
  flags: FlagValues<typeof FLAGS>,
): Promise<Sweep | undefined> {
  if (flags.data === undefined) return undefined;
  const data = await loadDataset(PAPER_DATASET, { path: flags.data });
  const found = await searchOn(data, subject, flags);
  if (found === undefined) {
    console.error("--data: nothing of the target can be run on these images");
  }
  return found;
}

if (import.meta.main) await main(command, audit, UNREADABLE);
