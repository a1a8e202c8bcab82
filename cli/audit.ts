/**
 * Points the paper's checklist at a network or a run, of this project or of
 * anybody's.
 *
 * `deno task audit resnet32.th --data cifar-10-batches-bin`
 */
import { auditTarget, findTarget, reportJson } from "../reports/audit/mod.ts";
import { writeWhole } from "../files/mod.ts";
import { type FlagValues, text, toggle, UsageError } from "./_flags.ts";
import { main, type Outcome } from "./_main.ts";
import { requireApart, requirePlaces } from "./_place.ts";
import { ENGINE_FLAGS } from "./_training_flags.ts";
import { telling } from "./_search.ts";

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
  const { json, html, markdown, data, as, engine, threads } = flags;
  const found = await findTarget(target);
  if (found.kind === "runs" && (html !== undefined || markdown !== undefined)) {
    throw new UsageError(
      `--html and --markdown write the audit of one run, and ${target} holds ${found.runs.length}; ` +
        `name one, or write a page of all by deno task report ${target}`,
    );
  }
  await requirePlaces(json, html, markdown);
  await requireApart([target], json, html, markdown);
  const audited = await telling((told) => auditTarget(found, { data, as, engine, threads, told }));
  if (json !== undefined) await writeWhole(json, reportJson(audited.json));
  if (html !== undefined) await writeWhole(html, audited.page!());
  if (markdown !== undefined) await writeWhole(markdown, audited.markdown!());
  return audited;
}

if (import.meta.main) await main(command, audit, UNREADABLE);
