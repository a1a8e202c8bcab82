/** PyTorch as a contender: processes of `peers/pytorch_resnet.py`, asked line by line. */
import { CommandError } from "../cli/mod.ts";
import type { Contender, Task } from "./_contender.ts";

/** Where PyTorch computes. */
export type PeerDevice = "cpu" | "cuda" | "mps";

/** One way in which PyTorch computes, by the script's flags. */
export interface PeerVariant {
  readonly device: PeerDevice;
  readonly mode: "eager" | "compile" | "graphs";
  readonly layout: "contiguous" | "channels_last";
  readonly precision: "fp32" | "tf32";
}

/** The ways that are compared on a device: no one way is PyTorch's fastest everywhere. */
export function peerVariants(device: PeerDevice): PeerVariant[] {
  const eager = [
    { device, mode: "eager", layout: "channels_last", precision: "fp32" },
    { device, mode: "eager", layout: "contiguous", precision: "fp32" },
  ] as const;
  if (device !== "cuda") return [...eager];
  const fp32 = [
    ...eager,
    { device, mode: "compile", layout: "channels_last", precision: "fp32" },
    { device, mode: "graphs", layout: "channels_last", precision: "fp32" },
    { device, mode: "graphs", layout: "contiguous", precision: "fp32" },
  ] as const;
  return [...fp32, ...fp32.map((variant) => ({ ...variant, precision: "tf32" as const }))];
}

/** For tables: `PyTorch graphs channels_last tf32`. */
export function peerName({ device, mode, layout, precision }: PeerVariant): string {
  return ["PyTorch", mode, layout, ...(device === "cuda" ? [precision] : [])].join(" ");
}

/** A peer that can't run here, or stopped: the message is its reason. */
export class PeerError extends CommandError {}

/** A running peer, and what it says of itself. */
export interface Peer extends Contender {
  /** PyTorch's version, the device's name, cuDNN's version, and the flags in effect. */
  readonly info: Readonly<Record<string, string | number | boolean | null>>;
}

/**
 * Starts PyTorch and waits until it is warm, which with a compiler takes minutes.
 *
 * @param augment Whether it prepares each batch, as our engines do.
 * @throws {PeerError} If it can't run here: the message is the reason.
 */
export async function pytorchContender(
  { arch, batch, threads }: Task,
  variant: PeerVariant,
  augment: boolean,
): Promise<Peer> {
  const { device, mode, layout, precision } = variant;
  const script = new URL("peers/pytorch_resnet.py", import.meta.url);
  let python: Deno.ChildProcess;
  try {
    python = new Deno.Command("python3", {
      args: [
        ...[script.pathname, "--architecture", arch, "--batch", `${batch}`],
        ...["--threads", `${threads}`, "--device", device, "--mode", mode],
        ...["--layout", layout, "--precision", precision, ...(augment ? ["--augment"] : [])],
      ],
      stdin: "piped",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) throw new PeerError("there is no python3");
    // Where LD_LIBRARY_PATH is set, for one, Deno wants the permission to run anything.
    if (error instanceof Deno.errors.NotCapable) throw new PeerError(error.message);
    throw error;
  }
  const writer = python.stdin.getWriter();
  const errors = lastLine(python.stderr); // read all the time, or a full pipe stops the process
  const lines = python.stdout.pipeThrough(new TextDecoderStream()).getReader();
  let pending = "";
  const readLine = async (): Promise<string> => {
    while (!pending.includes("\n")) {
      const { value, done } = await lines.read();
      if (done) {
        await python.status;
        throw new PeerError(await errors || "it ended without a word");
      }
      pending += value;
    }
    const end = pending.indexOf("\n");
    const line = pending.slice(0, end);
    pending = pending.slice(end + 1);
    return line;
  };
  const ask = async (command: string): Promise<number> => {
    await writer.write(new TextEncoder().encode(`${command}\n`));
    return Number(await readLine());
  };
  return {
    info: JSON.parse(await readLine()),
    name: peerName(variant),
    precision,
    isPeer: true,
    queues: device !== "cpu",
    train: (steps) => ask(`step ${steps}`),
    evaluate: (images) => ask(`evaluate ${images}`),
    async close() {
      await writer.close();
      await lines.cancel();
      await Promise.all([python.status, errors]);
    },
  };
}

/** The last line that is not empty: Python's errors end with what happened. */
async function lastLine(stream: ReadableStream<Uint8Array<ArrayBuffer>>): Promise<string> {
  let tail = "";
  for await (const text of stream.pipeThrough(new TextDecoderStream())) {
    tail = (tail + text).slice(-4096);
  }
  return tail.trimEnd().split("\n").at(-1) ?? "";
}
