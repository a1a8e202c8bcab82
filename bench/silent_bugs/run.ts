/**
 * Puts known mistakes into right training scripts, records a few steps of each
 * as anybody's training is recorded, and says whether the audit of the
 * recording names the mistake first; right scripts must not be accused.
 *
 * `deno task bench:silent-bugs --data cifar-10-batches-bin`
 */
import {
  CommandError,
  COMMON,
  type FlagValues,
  integer,
  list,
  main,
  type Outcome,
  text,
  toggle,
  UsageError,
} from "../../cli/mod.ts";
import { loadDataset } from "../../data/mod.ts";
import type { ByteImages } from "../../engine/mod.ts";
import { PAPER_DATASET } from "../../paper/mod.ts";
import { type Audit, auditCommand } from "./_audit.ts";
import { writeBinaryFiles } from "./_binary_files.ts";
import { type Case, caseOf, cleanCase, drawnCase, systemCCase, writeCase } from "./_case.ts";
import { type CaseResult, formatResults, isRight, standingOf } from "./_judge.ts";
import { NETS, STYLES } from "./_mistake.ts";
import { type PageOptions, resultsPage } from "./_page.ts";
import { pythonObstacle } from "../../testing/mod.ts";
import { record, RecordError } from "./_record.ts";
import { CLEAN } from "./clean.ts";
import { MISTAKES } from "./mistakes.ts";

const FLAGS = {
  data: text("DIR", "CIFAR-10's binary files; the built-in images by default"),
  id: list("A,B", "only these mistakes, clean, clean styles, or system-c"),
  style: list("A,B", `only these of ${STYLES.join(", ")}, and of the clean styles`),
  net: list("A,B", `only these of ${NETS.join(", ")}`),
  seed: integer(
    "of what is drawn: where a mistake is put, its values; 0 by default",
    0,
    0xffffffff,
  ),
  draw: toggle("each once, in a style, with a net and under a seed that --seed draws"),
  sample: toggle("a few mistakes and right scripts, one style and net each: some minutes"),
  jobs: integer("cases at a time, one thread each; 1 by default", 1, 64),
  keep: toggle("keep recordings, and audit those that are there already"),
  "scripts-only": toggle("write the scripts, and run nothing: for other tools"),
  page: text("FILE", "write the results as a page of the documentation as well"),
  ...COMMON,
} as const;

const command = {
  usage: "deno task bench:silent-bugs",
  summary:
    "Records right training scripts with one mistake each, and audits the recordings: is the\n" +
    "mistake named first, and is no right script accused? Needs python3 with torch and numpy.\n" +
    "Everything is written under runs/silent-bugs. Exit status 1 if any case is not right.",
  flags: FLAGS,
} as const;

/** What `--sample` runs: a mistake of each place that a recording sees. */
const SAMPLE = [
  ...["subset-transform", "one-view-a-batch", "per-image-mean", "test-not-normalised"],
  ...["label-offset", "double-softmax", "decay-zero", "clipped", "train-not-restored"],
  ...["no-relu-after-add", "plain-loop", "functional"],
];

const ROOT = decodeURIComponent(new URL("../..", import.meta.url).pathname);
const FOLDER = `${ROOT}runs/silent-bugs`;

type Flags = FlagValues<typeof FLAGS>;

/** @throws {UsageError} If a filter names what is not there, or nothing is left. */
async function casesOf(flags: Flags): Promise<readonly Case[]> {
  const { seed = 0, sample = false } = flags;
  const known = {
    id: ["clean", "system-c", ...MISTAKES.map(({ id }) => id), ...CLEAN.map(({ id }) => id)],
    style: [...STYLES, ...CLEAN.map(({ id }) => id)],
    net: [...NETS],
  };
  for (const [flag, names] of Object.entries(known)) {
    for (const word of flags[flag as keyof typeof known] ?? []) {
      if (!(names as string[]).includes(word)) {
        throw new UsageError(`--${flag}: one of ${names.join(", ")}, found ${word}`);
      }
    }
  }
  const asked = (id: string, group: string) =>
    (flags.id === undefined || flags.id.includes(id) || flags.id.includes(group)) &&
    (!sample || SAMPLE.includes(id));
  const inStyle = (style: string) => flags.style === undefined || flags.style.includes(style);
  const nets = NETS.filter((net) => flags.net === undefined || flags.net.includes(net));
  if (flags.draw) {
    if (flags.style !== undefined || flags.net !== undefined || sample) {
      throw new UsageError(
        "--draw: the style and the net are drawn, leave out --style, --net, --sample",
      );
    }
    const drawn = [
      ...MISTAKES.filter(({ id }) => asked(id, id)),
      ...CLEAN.filter(({ id }) => asked(id, "clean")),
    ];
    return await Promise.all(drawn.map((of) => drawnCase(of, seed)));
  }
  const groups: Promise<Case | undefined>[][] = [
    ...MISTAKES.filter(({ id }) => asked(id, id)).map((mistake) =>
      nets.flatMap((net) =>
        STYLES.filter(inStyle).map((style) => caseOf(mistake, style, net, seed))
      )
    ),
    ...CLEAN.filter(({ id }) => asked(id, "clean") && inStyle(id))
      .map((clean) => nets.map((net) => cleanCase(clean, net, seed))),
    ...(asked("system-c", "system-c") && flags.style === undefined ? [[systemCCase(seed)]] : []),
  ];
  const found = await Promise.all(groups.map(async (group, i) => {
    const cases = (await Promise.all(group)).filter((one) => one !== undefined);
    // A sample goes through the styles and nets in turn.
    return sample && cases.length > 0 ? [cases[(seed + i) % cases.length]] : cases;
  }));
  const cases = found.flat();
  if (cases.length === 0) throw new UsageError("no case is left by --id, --style, --net");
  return cases;
}

const folderOf = ({ id }: Case, { seed = 0 }: Flags): string => `${FOLDER}/${seed}/${id}`;

/** Records and audits a case. */
async function resultOf(
  one: Case,
  { whole, tenth }: Folders,
  flags: Flags,
  audit: Audit,
): Promise<CaseResult> {
  const { id, mistake } = one;
  const folder = folderOf(one, flags);
  const expects = mistake?.expects ?? [];
  let recordSeconds: number | undefined;
  try {
    const data = one.tenth ? tenth : whole;
    recordSeconds = await record(one, { folder, data });
    const began = performance.now();
    const findings = await audit(`${folder}/recording`, whole);
    const auditSeconds = (performance.now() - began) / 1000;
    return { id, expects, ...standingOf(one, findings), recordSeconds, auditSeconds };
  } catch (error) {
    if (!(error instanceof RecordError) && (error as Error).name !== "AuditError") throw error;
    const reason = (error as Error).message;
    return { id, expects, standing: "failed", departures: [], reason, recordSeconds };
  } finally {
    if (!flags.keep) await Deno.remove(folder, { recursive: true });
  }
}

async function bench(flags: Flags): Promise<Outcome> {
  const cases = await casesOf(flags);
  if (flags["scripts-only"]) {
    for (const one of cases) await writeCase(one, folderOf(one, flags));
    const text = `${cases.length} scripts are under ${FOLDER}/${flags.seed ?? 0}`;
    return { text, json: { scripts: cases.map(({ id }) => id) } };
  }
  const obstacle = pythonObstacle(["torch", "numpy"]);
  if (obstacle !== undefined) throw new CommandError(`the scripts can't be run: ${obstacle}`);
  const folders = await dataFolders(flags);
  const results: CaseResult[] = [];
  const waiting = [...cases];
  const worker = async () => {
    for (let one = waiting.shift(); one !== undefined; one = waiting.shift()) {
      const result = await resultOf(one, folders, flags, auditCommand);
      results.push(result);
      const done = `${cases.length - waiting.length}/${cases.length}`;
      console.error(`${done} ${one.id}: ${result.standing}`);
    }
  };
  await Promise.all(Array.from({ length: flags.jobs ?? 1 }, worker));
  const order = new Map(cases.map(({ id }, i) => [id, i]));
  results.sort((a, b) => order.get(a.id)! - order.get(b.id)!);
  if (flags.page !== undefined) {
    await Deno.writeTextFile(flags.page, resultsPage(results, pageOptions(flags)));
  }
  return {
    text: formatResults(results),
    json: { seed: flags.seed ?? 0, data: flags.data ?? "shapes10", results },
    status: results.every(({ standing }) => isRight(standing)) ? 0 : 1,
  };
}

function pageOptions({ id, style, net, seed, draw, sample, data }: Flags): PageOptions {
  const filters = [["id", id], ["style", style], ["net", net]] as const;
  const words = [
    ...filters.flatMap(([name, values]) => values ? [`--${name} ${values.join(",")}`] : []),
    ...(seed === undefined ? [] : [`--seed ${seed}`]),
    ...(draw ? ["--draw"] : []),
    ...(sample ? ["--sample"] : []),
    ...(data === undefined ? [] : ["--data cifar-10-batches-bin"]),
  ];
  return {
    command: [command.usage, ...words].join(" "),
    ...{ mistakes: MISTAKES, clean: CLEAN.map(({ id }) => id) },
  };
}

/** Where the scripts find their images. */
interface Folders {
  /** CIFAR-10's folder, or one with the built-in images in its format. */
  readonly whole: string;
  /** The first images of each part. */
  readonly tenth: string;
}

async function dataFolders({ data }: Flags): Promise<Folders> {
  const path = data === undefined ? undefined : await realPath(data);
  const dataset = path === undefined
    ? await loadDataset("shapes10")
    : await loadDataset(PAPER_DATASET, { path });
  const tenth = `${FOLDER}/tenth`;
  await writeBinaryFiles(tenth, { train: tenthOf(dataset.train), test: tenthOf(dataset.test) });
  if (path !== undefined) return { whole: path, tenth };
  const whole = `${FOLDER}/shapes10`;
  await writeBinaryFiles(whole, dataset);
  return { whole, tenth };
}

async function realPath(data: string): Promise<string> {
  try {
    return await Deno.realPath(data);
  } catch (error) {
    throw new CommandError(`--data ${data}: ${(error as Error).message}`, { cause: error });
  }
}

function tenthOf(images: ByteImages): ByteImages {
  return { ...images, count: images.count / 10 };
}

if (import.meta.main) await main(command, bench);
