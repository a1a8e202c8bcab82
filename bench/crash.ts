/**
 * Lets every operation on files of a short training go wrong in every way, one
 * after the other, and asks of each: does the same command, and nothing else,
 * come to the same weights and a whole report?
 *
 * `deno task crash` (the whole), `deno task crash --sample 24` (as many, spread)
 */
import { parseArgs } from "@std/cli/parse-args";
import { sha256 } from "../files/mod.ts";
import { type Fault, FAULTS, KILLED } from "../testing/runs/mod.ts";

const ROOT = new URL("..", import.meta.url).pathname;
const FAULTS_MODULE = new URL("../testing/runs/mod.ts", import.meta.url).href;
const TRAINING = [
  ...["--arch", "resnet8", "--dataset", "shapes10", "--batch", "8", "--split", "90/10"],
  ...["--iterations", "12", "--checkpoint-every", "4", "--eval-every", "4", "--log-every", "2"],
  ...["--engine", "wasm", "--threads", "2"],
];
const REPORT = ["report.html", "result.json", "steps.csv"];

/** How a process ended. */
interface Ended {
  readonly code: number;
  readonly said: string;
  readonly operations: number;
}

async function train(folder: string, fault: Fault, k: number): Promise<Ended> {
  const preload = `${folder}.preload.ts`;
  const call = `faultAt(${JSON.stringify(fault)}, ${k});`;
  await Deno.writeTextFile(preload, `import { faultAt } from "${FAULTS_MODULE}";\n${call}\n`);
  const { code, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [
      ...["run", "-q", "--no-check", "--no-prompt", "--cached-only", "-P=train"],
      ...[`--config=${ROOT}deno.json`, `--preload=${preload}`, `${ROOT}cli/train.ts`],
      ...[...TRAINING, "--out", folder],
    ],
    ...{ stdin: "null", stdout: "null", stderr: "piped" },
  }).output();
  const said = new TextDecoder().decode(stderr);
  return { code, said, operations: Number(/operations: (\d+)/.exec(said)?.[1] ?? 0) };
}

async function weightsOf(folder: string): Promise<string> {
  for (const name of REPORT) {
    if ((await Deno.stat(`${folder}/${name}`)).size === 0) throw new Error(`${name} is empty`);
  }
  return sha256(await Deno.readFile(`${folder}/weights.safetensors`));
}

/** What is wrong after a fault and the same command again; undefined where nothing is. */
async function problemAfter(
  folder: string,
  fault: Fault,
  k: number,
  whole: string,
): Promise<string | undefined> {
  const broken = await train(folder, fault, k);
  if (broken.said.includes("unexpected, please report it")) return "called a defect";
  if (broken.code === KILLED || broken.code === 1) {
    const again = await train(folder, "before", 0);
    if (again.code !== 0) return `the same command: ${again.said.trim().slice(0, 200)}`;
  } else if (broken.code !== 0) return `status ${broken.code}`;
  const found = await weightsOf(folder).catch((error) => String(error));
  return found === whole ? undefined : `the weights are ${found}`;
}

if (import.meta.main) {
  const { sample } = parseArgs(Deno.args, { string: ["sample"] });
  const work = await Deno.makeTempDir({ prefix: "crash-" });
  const { code, said, operations } = await train(`${work}/whole`, "before", 0);
  if (code !== 0) throw new Error(said);
  const whole = await weightsOf(`${work}/whole`);
  const cases = FAULTS.flatMap((fault) =>
    Array.from({ length: operations }, (_, i) => ({ fault, k: i + 1 }))
  );
  const step = sample === undefined ? 1 : Math.max(1, Math.floor(cases.length / Number(sample)));
  const chosen = cases.filter((_, i) => i % step === 0);
  console.log(`${operations} operations, ${FAULTS.length} faults; ${chosen.length} cases`);
  const table = new Map<Fault, { cases: number; problems: string[] }>();
  for (const { fault, k } of chosen) {
    const folder = `${work}/${fault.replaceAll(" ", "-")}-${k}`;
    const problem = await problemAfter(folder, fault, k, whole);
    const row = table.get(fault) ?? { cases: 0, problems: [] };
    row.cases++;
    if (problem) {
      row.problems.push(`${k}: ${problem}`);
      console.error(`${fault}, operation ${k}: ${problem}`);
    } else await Deno.remove(folder, { recursive: true });
    table.set(fault, row);
  }
  console.log("| fault | cases | same weights, whole report |\n| --- | --- | --- |");
  for (const [fault, { cases, problems }] of table) {
    console.log(`| ${fault} | ${cases} | ${cases - problems.length} |`);
  }
  const failed = [...table.values()].some(({ problems }) => problems.length > 0);
  if (!failed) await Deno.remove(work, { recursive: true });
  Deno.exit(failed ? 1 : 0);
}
