/** The commands whose operations on files go wrong, and what each must end with. */
import { sha256 } from "../files/mod.ts";

/** What is done in a folder of its own, to end with the same files whatever went wrong before. */
export interface Scenario {
  /** The file of the command, in `cli/`. */
  readonly program: string;
  /** Its permissions. */
  readonly permissions: readonly string[];
  /** Its arguments. */
  readonly args: (folder: string) => readonly string[];
  /** Files of a finished training that the folder holds before; undefined where it is not there. */
  readonly given?: (name: string) => boolean;
  /** The files that must be there, and not be empty. */
  readonly whole: readonly string[];
  /** Those of them that have the same bytes whatever happened. */
  readonly same: readonly string[];
  /** Whether nobody else may be writing into the folder, so that what kills left is removed. */
  readonly owned?: true;
}

// One thread: the operations on files are those of several, and a start is cheaper.
const ENGINE = ["--engine", "wasm", "--threads", "1"];
const REPORT = ["report.html", "result.json", "steps.csv"];

/** By name. */
export const SCENARIOS: Readonly<Record<string, Scenario>> = {
  train: {
    program: "train.ts",
    permissions: ["-P=train"],
    args: (folder) => [
      ...["--arch", "resnet8", "--dataset", "shapes10", "--batch", "2", "--split", "6/4"],
      ...["--iterations", "6", "--checkpoint-every", "2", "--eval-every", "2", "--log-every", "1"],
      ...[...ENGINE, "--out", folder],
    ],
    whole: [...REPORT, "events.jsonl"],
    same: ["weights.safetensors", "predictions.csv"],
    owned: true,
  },
  report: {
    program: "report.ts",
    permissions: ["-P=report"],
    args: (folder) => [folder],
    given: (name) => !REPORT.includes(name),
    whole: ["report.html"],
    same: ["result.json", "steps.csv", "weights.safetensors", "events.jsonl"],
  },
  export: {
    program: "export.ts",
    permissions: ["--allow-read", "--allow-write"],
    args: (folder) => [
      ...["--to", "onnx", "--weights", `${folder}/weights.safetensors`],
      ...["--out", `${folder}/net.onnx`],
    ],
    given: (name) => name === "weights.safetensors",
    whole: [],
    same: ["net.onnx", "weights.safetensors"],
  },
  reproduce: {
    program: "reproduce.ts",
    permissions: ["-P=reproduce"],
    args: (folder) => [
      ...["--archs", "resnet8", "--seeds", "2", "--recipe", "demo", "--dataset", "shapes10"],
      ...["--iterations", "1", ...ENGINE, "--out", folder],
    ],
    whole: ["plan.json", "report.html", "report.json"],
    same: [0, 1].map((seed) => `runs/resnet8-seed${seed}/weights.safetensors`),
    owned: true,
  },
};

/** Makes the folder anew as the command finds it first. Nothing here is counted or goes wrong. */
export function prepare({ given }: Scenario, folder: string, finished: string): void {
  try {
    Deno.removeSync(folder, { recursive: true });
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  if (given === undefined) return;
  Deno.mkdirSync(folder);
  for (const { name, isFile } of Deno.readDirSync(finished)) {
    if (isFile && given(name)) Deno.copyFileSync(`${finished}/${name}`, `${folder}/${name}`);
  }
}

/**
 * The files that are to be the same, as one text of hashes.
 *
 * @throws {Error} If one is missing, not whole, or left over.
 */
export function outcomeOf({ whole, same, owned }: Scenario, folder: string): string {
  for (const name of [...whole, ...same]) {
    const content = Deno.readFileSync(`${folder}/${name}`);
    if (content.length === 0) throw new Error(`${name} is empty`);
    if (
      name.endsWith(".html") && !new TextDecoder().decode(content).trimEnd().endsWith("</html>")
    ) {
      throw new Error(`${name} breaks off`);
    }
  }
  // What reads a folder that others may be writing into can't tell their unfinished files from
  // those of a killed process; a training has its folder to itself, a job its last step.
  for (const name of owned ? namesUnder(folder) : []) {
    if (name.endsWith(".partial")) throw new Error(`${name} is left over`);
  }
  return same.map((name) => sha256(Deno.readFileSync(`${folder}/${name}`))).join(" ");
}

function namesUnder(folder: string): string[] {
  return [...Deno.readDirSync(folder)].flatMap(({ name, isDirectory }) =>
    isDirectory ? namesUnder(`${folder}/${name}`) : [`${folder}/${name}`]
  );
}
