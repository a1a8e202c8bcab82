/** What every command does around its work: help, results, errors, exit status. */
import { fitted, printable, printableJson } from "../text/mod.ts";
import { ARGUMENTS, enterFolder } from "./_arguments.ts";
import {
  type Command,
  type FlagTable,
  type FlagValues,
  helpOf,
  parseFlags,
  UsageError,
} from "./_flags.ts";
import { columnsOf } from "./_progress.ts";

/** Something that the user can mend, in words that say how. */
export class CommandError extends Error {
  override name = "CommandError";
}

/**
 * Errors whose message is all that a user needs; any other is a defect and keeps
 * its stack. By name: with the classes, every command would load every room.
 */
const EXPECTED: readonly string[] = [
  "ArchitectureError",
  "AuditError",
  "CommandError",
  "DataError",
  "EngineError",
  "FileError",
  "GraphError",
  "PlanError",
  "PredictionError",
  "RecipeError",
  "RecordingError",
  "ReproductionError",
  "RunError",
  "RunInUseError",
  "RunLogError",
  "TrainingError",
  "VerdictError",
  "WeightFileError",
];

/** What a command's work comes to. */
export interface Outcome {
  /** Lines for people, to standard output. */
  readonly text: string;
  /** The same for programs, with `--json`. */
  readonly json: unknown;
  /** Exit status; 0 when undefined. */
  readonly status?: number;
}

/**
 * Runs a command and ends the process with its exit status: for errors `failure`,
 * for command lines that cannot be understood 2.
 */
export async function main<F extends FlagTable & { json: unknown; help: unknown }>(
  command: Command<F>,
  work: (flags: FlagValues<F>, ...positionals: string[]) => Promise<Outcome>,
  failure = 1,
): Promise<never> {
  try {
    const { flags, positionals } = parseFlags(command, ARGUMENTS);
    if (flags.help) {
      console.log(helpOf(command));
      Deno.exit(0);
    }
    enterFolder();
    const { text, json, status = 0 } = await work(flags, ...positionals);
    console.log(
      flags.json === true ? printableJson(json) : fitted(printable(text), columnsOf(Deno.stdout)),
    );
    Deno.exit(status);
  } catch (error) {
    const { message, status } = explain(error);
    const columns = columnsOf(Deno.stderr);
    // A line of progress may stand there, as long as its work went well.
    console.error(
      `${columns === undefined ? "" : "\r\x1b[K"}${fitted(printable(message), columns)}`,
    );
    Deno.exit(status === 1 ? failure : status);
  }
}

/** The message and the exit status of an error. */
export function explain(error: unknown): { readonly message: string; readonly status: number } {
  if (error instanceof UsageError) return { message: `error: ${error.message}`, status: 2 };
  if (error instanceof Deno.errors.NotCapable) {
    return { message: `error: ${grantHint(error.message)}`, status: 1 };
  }
  if (error instanceof Error && EXPECTED.includes(error.name)) {
    return { message: `error: ${error.message}`, status: 1 };
  }
  // What the system refuses where nobody foresaw it is no defect: it says what, and of which file.
  if (error instanceof Error && "code" in error && /^E[A-Z0-9]+$/.test(String(error.code))) {
    return {
      message: `error: ${error.message}; check that path and the room on the disk`,
      status: 1,
    };
  }
  const stack = error instanceof Error ? error.stack : String(error);
  return { message: `error: unexpected, please report it\n${stack}`, status: 1 };
}

/** Deno's refusal, with the flag in the place where it belongs. */
function grantHint(message: string): string {
  const [refused] = message.split(", run again with");
  const flag = /--allow-[a-z]+/.exec(message)?.[0];
  // Deno guards system folders such as /proc even where reading and writing are granted.
  if (flag === undefined || flag === "--allow-all") {
    return `Deno refused: ${refused}. Choose another path`;
  }
  return `Deno refused: ${refused}. Add ${flag} before the script's name (deno run ${flag} cli/...), or use deno task`;
}
