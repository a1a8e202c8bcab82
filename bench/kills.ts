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

const FLAGS = {
  data: text("PATH", "folder with the binary version of CIFAR-10"),
  kills: integer("how many; 500 by default", 1),
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

/** One start of a training; killed after a while, or left to its end. */
async function start(
  network: string,
  data: string,
  folder: string,
  milliseconds?: number,
): Promise<{ readonly killed: boolean; readonly milliseconds: number }> {
  const began = performance.now();
  const process = new Deno.Command(Deno.execPath(), {
    args: [
      ...["run", "-q", "--no-check", "--no-prompt", "--cached-only", "-P=train", "cli/train.ts"],
      ...["--arch", network, "--batch", "16", "--data", data, "--engine", "wasm", "--threads", "2"],
      ...["--stop-after", `${STEPS}`, "--checkpoint-every", "2", "--log-every", "1"],
      ...["--out", folder],
    ],
    ...{ cwd: ROOT, stdin: "null", stdout: "null", stderr: "piped" },
  }).spawn();
  const timer = setTimeout(() => process.kill("SIGKILL"), milliseconds ?? 600_000);
  const said = new Response(process.stderr).text();
  const { code, signal } = await process.status;
  clearTimeout(timer);
  if (code !== 0 && signal !== "SIGKILL") throw new Error(`${network}: ${await said}`);
  return { killed: signal === "SIGKILL", milliseconds: performance.now() - began };
}

/** The hash of the last checkpoint's arrays; its notes have the time that the training took. */
async function stateOf(folder: string): Promise<string> {
  const bytes = await Deno.readFile(`${folder}/checkpoint-${STEPS}.safetensors`);
  const arrays = [...decodeSafetensors(bytes).tensors].sort(([a], [b]) => a < b ? -1 : 1);
  const digest = new Sha256();
  for (const [, { data }] of arrays) {
    digest.update(new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
  }
  return digest.hex();
}

async function kills(flags: FlagValues<typeof FLAGS>): Promise<Outcome> {
  const { data, kills = 500, seed = 1 } = flags;
  if (data === undefined) throw new UsageError(`${command.usage} needs --data PATH`);
  const random = new RandomStream(seed, "probe", 0);
  const work = await Deno.makeTempDir({ prefix: "kills-" });
  const rows: { network: string; kills: number; trainings: number; same: number }[] = [];
  for (const [i, network] of NETWORKS.entries()) {
    const row = { network, kills: 0, trainings: 0, same: 0 };
    rows.push(row);
    const whole = await start(network, data, `${work}/${network}`);
    const expected = await stateOf(`${work}/${network}`);
    const most = Math.floor((kills + i) / NETWORKS.length);
    while (row.kills < most) {
      const folder = `${work}/${network}-${row.trainings}`;
      let killed = true;
      while (killed) {
        const moment = row.kills < most ? random.uniform() * whole.milliseconds : undefined;
        ({ killed } = await start(network, data, folder, moment));
        row.kills += Number(killed);
      }
      row.trainings++;
      row.same += Number(await stateOf(folder) === expected);
      console.error(`${network}: ${row.kills} kills, ${row.same} of ${row.trainings} the same`);
      await Deno.remove(folder, { recursive: true });
    }
  }
  await Deno.remove(work, { recursive: true });
  const lines = rows.map((row) =>
    `${row.network}: ${row.kills} kills of ${row.trainings} trainings, ` +
    `${row.same} of ${row.trainings} came to the same weights`
  );
  const isSame = rows.every(({ trainings, same }) => trainings === same);
  return { text: lines.join("\n"), json: rows, status: isSame ? 0 : 1 };
}

if (import.meta.main) await main(command, kills);
