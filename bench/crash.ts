/**
 * Lets every operation on files of a short command go wrong in every way, one
 * after the other, and asks of each: does the same command, and nothing else,
 * come to the same files?
 *
 * `deno task crash` (the whole, and 200 pairs of faults), `deno task crash --sample 24` (as many of
 * each command, spread), `--only train,report`, `--pairs N`
 */
import { parseArgs } from "@std/cli/parse-args";
import { sha256 } from "../files/mod.ts";
import { RandomStream } from "../random/mod.ts";
import { type Fault, FAULTS, KILLED } from "../testing/runs/mod.ts";

const ROOT = new URL("..", import.meta.url).pathname;
const FAULTS_MODULE = new URL("../testing/runs/mod.ts", import.meta.url).href;
const ENGINE = ["--engine", "wasm", "--threads", "2"];

/** What is done in a folder of its own, to end with the same files whatever went wrong before. */
interface Scenario {
  readonly name: string;
  /** Program, its permission, and its arguments but for the folder's. */
  readonly command: (folder: string) => readonly string[];
  /** What the folder holds before, from a finished training. */
  readonly begin: (folder: string, finished: string) => Promise<void>;
  /** The files that must be there, and not be empty. */
  readonly whole: readonly string[];
  /** Those of them that have the same bytes whatever happened. */
  readonly same: readonly string[];
}

const SCENARIOS: readonly Scenario[] = [
  {
    name: "train",
    command: (folder) => [
      ...["-P=train", "cli/train.ts", "--arch", "resnet8", "--dataset", "shapes10"],
      ...["--batch", "8", "--split", "90/10", "--iterations", "12", "--checkpoint-every", "4"],
      ...["--eval-every", "4", "--log-every", "2", ...ENGINE, "--out", folder],
    ],
    begin: () => Promise.resolve(),
    whole: ["report.html", "result.json", "steps.csv", "predictions.csv"],
    same: ["weights.safetensors", "predictions.csv"],
  },
  {
    name: "report",
    command: (folder) => ["-P=report", "cli/report.ts", folder],
    begin: async (folder, finished) => {
      await copyFolder(finished, folder);
      for (const name of ["report.html", "result.json", "steps.csv"]) {
        await Deno.remove(`${folder}/${name}`);
      }
    },
    whole: ["report.html"],
    same: ["result.json", "steps.csv", "weights.safetensors", "events.jsonl"],
  },
  {
    name: "export",
    command: (folder) => [
      ...["--allow-read", "--allow-write", "cli/export.ts", "--to", "onnx"],
      ...["--weights", `${folder}/weights.safetensors`, "--out", `${folder}/net.onnx`],
    ],
    begin: copyWeights,
    whole: [],
    same: ["net.onnx", "weights.safetensors"],
  },
  {
    name: "reproduce",
    command: (folder) => [
      ...["-P=reproduce", "cli/reproduce.ts", "--archs", "resnet8", "--seeds", "2"],
      ...["--recipe", "demo", "--dataset", "shapes10", "--iterations", "4", ...ENGINE],
      ...["--out", folder],
    ],
    begin: () => Promise.resolve(),
    whole: ["plan.json", "report.html", "report.json"],
    same: [0, 1].map((seed) => `runs/resnet8-seed${seed}/weights.safetensors`),
  },
];

async function copyFolder(from: string, to: string): Promise<void> {
  await Deno.mkdir(to);
  for await (const { name, isFile } of Deno.readDir(from)) {
    if (isFile) await Deno.copyFile(`${from}/${name}`, `${to}/${name}`);
  }
}

async function copyWeights(folder: string, finished: string): Promise<void> {
  await Deno.mkdir(folder);
  await Deno.copyFile(`${finished}/weights.safetensors`, `${folder}/weights.safetensors`);
}

/** How a process ended. */
interface Ended {
  readonly code: number;
  readonly said: string;
  readonly operations: number;
}

/** A fault at an operation; at operation 0, none. */
interface Case {
  readonly fault: Fault;
  readonly k: number;
}

const NONE: Case = { fault: "before", k: 0 };

async function run(scenario: Scenario, folder: string, { fault, k }: Case): Promise<Ended> {
  const preload = `${folder}.preload.ts`;
  const call = `faultAt(${JSON.stringify(fault)}, ${k});`;
  await Deno.writeTextFile(preload, `import { faultAt } from "${FAULTS_MODULE}";\n${call}\n`);
  const { code, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [
      ...["run", "-q", "--no-check", "--no-prompt", "--cached-only"],
      ...[`--preload=${preload}`, ...scenario.command(folder)],
    ],
    ...{ cwd: ROOT, stdin: "null", stdout: "null", stderr: "piped" },
  }).output();
  const said = new TextDecoder().decode(stderr);
  return { code, said, operations: Number(/operations: (\d+)/.exec(said)?.[1] ?? 0) };
}

/** The files that are to be the same, as one hash. */
async function outcomeOf({ name, whole, same }: Scenario, folder: string): Promise<string> {
  for (const file of [...whole, ...same]) {
    if ((await Deno.stat(`${folder}/${file}`)).size === 0) throw new Error(`${file} is empty`);
  }
  // What reads a folder that others may be writing into can't tell their unfinished files from
  // those of a killed process; a training has its folder to itself, and removes them.
  const owned = name === "train" || name === "reproduce";
  const left = owned &&
    (await Array.fromAsync(Deno.readDir(folder))).find(({ name }) => /partial|\.tmp/.test(name));
  if (left) throw new Error(`${left.name} is left over`);
  const hashes = await Promise.all(
    same.map(async (name) => sha256(await Deno.readFile(`${folder}/${name}`))),
  );
  return hashes.join(" ");
}

/** What is wrong after faults, one a start, and the same command again; undefined where nothing is. */
async function problemAfter(
  scenario: Scenario,
  folder: string,
  faults: readonly Case[],
  expected: string,
): Promise<string | undefined> {
  for (const fault of [...faults, NONE]) {
    const { code, said } = await run(scenario, folder, fault);
    if (said.includes("unexpected, please report it")) return "called a defect";
    if (code === 0) break;
    if (fault === NONE || code !== KILLED && code !== 1) {
      return `status ${code}: ${said.trim().slice(0, 300)}`;
    }
  }
  const found = await outcomeOf(scenario, folder).catch((error) => String(error));
  return found === expected ? undefined : `the files are ${found}`;
}

/** As many of a list, spread over it. */
function spread<T>(list: readonly T[], count: number): T[] {
  if (count >= list.length) return [...list];
  return Array.from({ length: count }, (_, i) => list[Math.floor((i + 0.5) * list.length / count)]);
}

if (import.meta.main) {
  const flags = parseArgs(Deno.args, { string: ["sample", "only", "pairs"] });
  const sample = Number(flags.sample ?? Infinity);
  const pairs = Number(flags.pairs ?? (flags.sample === undefined ? 200 : 0));
  const only = flags.only?.split(",");
  const work = await Deno.makeTempDir({ prefix: "crash-" });
  const finished = `${work}/finished`;
  const trained = await run(SCENARIOS[0], finished, NONE);
  if (trained.code !== 0) throw new Error(trained.said);

  const rows: string[] = [];
  let failed = 0;
  for (const scenario of SCENARIOS.filter(({ name }) => only?.includes(name) ?? true)) {
    const { name, begin } = scenario;
    const folderOf = async (id: string) => {
      const folder = `${work}/${name}-${id.replaceAll(" ", "-")}`;
      await begin(folder, finished);
      return folder;
    };
    const undisturbed = await folderOf("whole");
    const { code, said, operations } = await run(scenario, undisturbed, NONE);
    if (code !== 0) throw new Error(said);
    const expected = await outcomeOf(scenario, undisturbed);
    const cases = FAULTS.flatMap((fault) =>
      Array.from({ length: operations }, (_, i) => ({ fault, k: i + 1 }))
    );
    const random = new RandomStream(1, "probe", 0);
    const drawn = () => cases[Math.floor(random.uniform() * cases.length)];
    const kinds: [string, Case[][]][] = [
      ...FAULTS.map((fault): [string, Case[][]] => [
        fault,
        spread(cases, sample).filter((one) => one.fault === fault).map((one) => [one]),
      ]),
      ["two, one a start", Array.from({ length: pairs }, () => [drawn(), drawn()])],
    ];
    console.log(`${name}: ${operations} operations on files`);
    for (const [kind, chosen] of kinds) {
      let problems = 0;
      for (const [i, faults] of chosen.entries()) {
        const folder = await folderOf(`${kind}-${i}`);
        const problem = await problemAfter(scenario, folder, faults, expected);
        if (problem) {
          problems++;
          const where = faults.map(({ fault, k }) => `${fault} at operation ${k}`).join(", then ");
          console.error(`${name}, ${where}: ${problem}`);
        } else await Deno.remove(folder, { recursive: true });
      }
      failed += problems;
      if (chosen.length > 0) {
        rows.push(`| ${name} | ${kind} | ${chosen.length} | ${chosen.length - problems} |`);
      }
    }
  }
  console.log("\n| command | fault | cases | same files |\n| --- | --- | ---: | ---: |");
  console.log(rows.join("\n"));
  if (failed === 0) await Deno.remove(work, { recursive: true });
  Deno.exit(failed === 0 ? 0 : 1);
}
