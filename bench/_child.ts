/** Whole programs as child processes: ours by their commands, PyTorch's by its script. */
import { CommandError } from "../cli/mod.ts";

/** The project's root, where `deno task` finds its tasks. */
const ROOT = decodeURIComponent(new URL("..", import.meta.url).pathname);

/** A child process that ended well. */
export interface Finished {
  /** When it was started, in milliseconds since 1970: what an event log's times are held against. */
  readonly began: number;
  /** From the start to the end of the process. */
  readonly milliseconds: number;
  /** The last line of its standard output. */
  readonly lastLine: string;
}

/**
 * Runs a program in the project's root to its end; what it says on standard
 * error is kept for the message.
 *
 * @throws {CommandError} If it can't be started or ends with another status than 0.
 */
export async function runChild(program: string, args: readonly string[]): Promise<Finished> {
  const line = [program, ...args].join(" ");
  const began = Date.now();
  const clock = performance.now();
  let output: Deno.CommandOutput;
  try {
    output = await new Deno.Command(program, { args: [...args], cwd: ROOT }).output();
  } catch (error) {
    // Where LD_LIBRARY_PATH is set, for one, Deno wants the permission to run anything.
    if (error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotCapable) {
      throw new CommandError(`starting ${line}: ${error.message}`);
    }
    throw error;
  }
  const milliseconds = performance.now() - clock;
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes).trimEnd();
  if (!output.success) {
    throw new CommandError(
      `${line}: the exit status must be 0, found ${output.code}; it said:\n${
        text(output.stderr).split("\n").slice(-3).join("\n")
      }`,
    );
  }
  return { began, milliseconds, lastLine: text(output.stdout).split("\n").at(-1)! };
}

/** The arguments that make PyTorch do what `deno task train` does with the same flags. */
export interface Training {
  readonly arch: string;
  readonly iterations: number;
  readonly batch: number;
  readonly threads: number;
  /** CIFAR-10's binary files; when undefined the small built-in set, PyTorch's random images. */
  readonly data?: string;
  /** The run's folder; it must not be there. */
  readonly out: string;
  /** Steps of a run that is stopped early, each logged. */
  readonly stopAfter?: number;
}

/** Memory layouts of PyTorch. */
export const LAYOUTS = ["channels_last", "contiguous"] as const;

/** The flags of `deno task train`. */
export function trainArguments(training: Training): string[] {
  const { arch, data } = training;
  return [
    ...["--arch", arch, ...(data === undefined ? ["--dataset", "shapes10"] : ["--data", data])],
    ...commonArguments(training),
  ];
}

/** The command line of the peer: the script and its flags. */
export function peerArguments(training: Training, layout: typeof LAYOUTS[number]): string[] {
  const { arch, data } = training;
  return [
    ...["bench/peers/pytorch_program.py", "--architecture", arch, "--layout", layout],
    ...(data === undefined ? [] : ["--data", data]),
    ...commonArguments(training),
  ];
}

function commonArguments({ iterations, batch, threads, out, stopAfter }: Training): string[] {
  return [
    ...["--iterations", `${iterations}`, "--batch", `${batch}`],
    ...["--threads", `${threads}`, "--out", out],
    ...(stopAfter === undefined ? [] : ["--stop-after", `${stopAfter}`, "--log-every", "1"]),
  ];
}
