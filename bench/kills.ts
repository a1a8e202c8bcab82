/**
 * Kills trainings on CIFAR-10 at random moments, over and over, and goes on with
 * each by the same command: do all come to the same weights?
 *
 * `deno task crash:kills --data cifar-10-batches-bin --kills 500`
 */
import {
  COMMON,
  type FlagValues,
  integer,
  list,
  main,
  type Outcome,
  text,
  UsageError,
} from "../cli/mod.ts";
import { Sha256 } from "../files/mod.ts";
import { RandomStream } from "../random/mod.ts";
import { decodeSafetensors } from "../weights/mod.ts";

const ROOT = new URL("..", import.meta.url).pathname;
const NETWORKS = ["resnet8", "resnet20"];
const STEPS = 12;
/** Milliseconds after which a start has hung. */
const LONGEST = 600_000;
/** How a training ends, and the share of the kills that it gets: a test of 10,000 images is long. */
const ENDS = [
  { name: "to a checkpoint", share: 0.98, args: ["--stop-after", `${STEPS}`] },
  {
    name: "to the test and the report",
    share: 0.02,
    args: ["--iterations", `${STEPS}`, "--split", "49900/100"],
  },
] as const;
type End = typeof ENDS[number];

const FLAGS = {
  data: text("PATH", "folder with the binary version of CIFAR-10"),
  kills: integer("how many; 500 by default", 1),
  networks: list("A,B,...", `the networks that share them; ${NETWORKS} by default`),
  seed: integer("of the moments; 1 by default", 0, 0xffffffff),
  ...COMMON,
} as const;

const command = {
  usage: "deno task crash:kills",
  summary:
    "Kills trainings on CIFAR-10 at random moments, and goes on by the same command: exit status 0\n" +
    "where all come to the weights of the undisturbed training.",
  flags: FLAGS,
} as const;

/** When a start is killed: milliseconds after its begin, or after its first line in the log. */
interface Moment {
  readonly after: "begin" | "first line";
  readonly milliseconds: number;
}

/** How a start ended. */
interface Started {
  readonly killed: boolean;
  /** Milliseconds until it ended. */
  readonly life: number;
  /** Milliseconds until its first line in the log; undefined where it came to none. */
  readonly firstLine: number | undefined;
}

/** One start of a training; killed after a while, or left to its end. */
async function start(
  network: string,
  end: End,
  data: string,
  folder: string,
  moment?: Moment,
): Promise<Started> {
  const before = await logBytes(folder);
  const began = performance.now();
  const since = () => performance.now() - began;
  const process = new Deno.Command(Deno.execPath(), {
    args: [
      ...["run", "-q", "--no-check", "--no-prompt", "--cached-only", "-P=train", "cli/train.ts"],
      ...["--arch", network, "--batch", "4", "--data", data, "--engine", "wasm", "--threads", "2"],
      ...["--checkpoint-every", "2", "--log-every", "1", "--out", folder],
      ...end.args,
    ],
    ...{ cwd: ROOT, stdin: "null", stdout: "null", stderr: "piped" },
  }).spawn();
  let firstLine: number | undefined;
  const timers: ReturnType<typeof setTimeout>[] = [];
  const killIn = (milliseconds: number) =>
    timers.push(setTimeout(() => process.kill("SIGKILL"), milliseconds));
  killIn(moment?.after === "begin" ? moment.milliseconds : LONGEST);
  const watch = setInterval(async () => {
    if (firstLine !== undefined || await logBytes(folder) <= before) return;
    firstLine ??= since();
    if (moment?.after === "first line") killIn(moment.milliseconds);
    clearInterval(watch);
  }, 10);
  const said = new Response(process.stderr).text();
  const { code, signal } = await process.status;
  const life = since();
  clearInterval(watch);
  timers.forEach(clearTimeout);
  if (code !== 0 && signal !== "SIGKILL") throw new Error(`${network}: ${await said}`);
  if (await logBytes(folder) > before) firstLine ??= life;
  return { killed: signal === "SIGKILL", life, firstLine };
}

async function logBytes(folder: string): Promise<number> {
  return await Deno.stat(`${folder}/events.jsonl`).then(({ size }) => size, () => 0);
}

/**
 * The hash of the last checkpoint's arrays; its notes have the time that the training took.
 *
 * @throws {Error} If a training that was to be reported has no whole report.
 */
async function stateOf(folder: string, end: End): Promise<string> {
  if (end !== ENDS[0]) {
    const report = await Deno.readTextFile(`${folder}/report.html`);
    if (!report.trimEnd().endsWith("</html>")) throw new Error(`${folder}: the report breaks off`);
  }
  const bytes = await Deno.readFile(`${folder}/checkpoint-${STEPS}.safetensors`);
  const arrays = [...decodeSafetensors(bytes).tensors].sort(([a], [b]) => a < b ? -1 : 1);
  const digest = new Sha256();
  for (const [, { data }] of arrays) {
    digest.update(new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
  }
  return digest.hex();
}

/** What the kills of one network came to. */
interface Row {
  readonly network: string;
  readonly end: string;
  kills: number;
  /** Kills of starts that had added to the log: the others were made before the first step. */
  logged: number;
  trainings: number;
  same: number;
}

const inWords = ({ network, end, kills, logged, trainings, same }: Row): string =>
  `${network}, ${end}: ${kills} kills, ${logged} of them behind the start's first line; ` +
  `${same} of ${trainings} trainings came to the same weights`;

async function kills(flags: FlagValues<typeof FLAGS>): Promise<Outcome> {
  const { data, kills = 500, seed = 1, networks = NETWORKS } = flags;
  if (data === undefined) throw new UsageError(`${command.usage} needs --data PATH`);
  const random = new RandomStream(seed, "probe", 0);
  const work = await Deno.makeTempDir({ prefix: "kills-" });
  const rows: Row[] = [];
  const all = networks.flatMap((network) => ENDS.map((end) => ({ network, end })));
  const undisturbed: { last: Started; readonly state: string }[] = [];
  for (const [i, { network, end }] of all.entries()) {
    rows.push({ network, end: end.name, kills: 0, logged: 0, trainings: 0, same: 0 });
    const folder = `${work}/${i}`;
    const last = await start(network, end, data, folder);
    undisturbed.push({ last, state: await stateOf(folder, end) });
    await Deno.remove(folder, { recursive: true });
  }
  const isFull = (i: number) =>
    rows[i].kills >= Math.round(kills * all[i].end.share / networks.length);
  while (!all.every((_, i) => isFull(i))) {
    for (const [i, { network, end }] of all.entries()) {
      if (isFull(i)) continue;
      const [row, before, folder] = [rows[i], undisturbed[i], `${work}/${i}`];
      for (let killed = true; killed;) {
        // Of the last start that was not killed: a machine's pace changes. Every other moment lies
        // behind the first line, since most of a start passes before it.
        const { life, firstLine = 0 } = before.last;
        const after = row.kills % 2 === 0 ? "begin" : "first line";
        const most = after === "begin" ? life : life - firstLine;
        const moment = { after, milliseconds: random.uniform() * most } as const;
        const found = await start(network, end, data, folder, isFull(i) ? undefined : moment);
        killed = found.killed;
        if (!killed && found.firstLine !== undefined) before.last = found;
        row.kills += Number(killed);
        row.logged += Number(killed && found.firstLine !== undefined);
      }
      row.trainings++;
      row.same += Number(await stateOf(folder, end) === before.state);
      console.error(inWords(row));
      await Deno.remove(folder, { recursive: true });
    }
  }
  await Deno.remove(work, { recursive: true });
  const lines = rows.map(inWords);
  const isSame = rows.every(({ trainings, same }) => trainings === same);
  return { text: lines.join("\n"), json: rows, status: isSame ? 0 : 1 };
}

if (import.meta.main) await main(command, kills);
