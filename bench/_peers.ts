/**
 * PyTorch and ONNX Runtime as contenders: processes of `peers/pytorch_resnet.py` and
 * `peers/onnxruntime_resnet.py`, asked line by line.
 */
import { CommandError } from "../cli/mod.ts";
import { initialise } from "../resnet/mod.ts";
import { encodeOnnx } from "../weights/mod.ts";
import { type Contender, networkOf, type Precision, type Task } from "./_contender.ts";

/** Where PyTorch computes. */
export type PeerDevice = "cpu" | "cuda" | "mps";

/** One way in which PyTorch computes, by the script's flags. */
export interface PeerVariant {
  readonly device: PeerDevice;
  readonly mode: "eager" | "compile" | "graphs";
  readonly layout: "contiguous" | "channels_last";
  readonly precision: Precision;
}

/**
 * The ways that are compared on a device: no one way is PyTorch's fastest everywhere.
 *
 * @param ours The precisions of our engines: on CUDA those that compare with them are run.
 */
export function peerVariants(
  device: PeerDevice,
  ours: readonly ("single" | "mixed")[] = ["single"],
): PeerVariant[] {
  const eager = [
    { device, mode: "eager", layout: "channels_last", precision: "fp32" },
    { device, mode: "eager", layout: "contiguous", precision: "fp32" },
  ] as const;
  const compiled = { device, mode: "compile", layout: "channels_last", precision: "fp32" } as const;
  if (device === "mps") return [...eager];
  if (device === "cpu") return [...eager, compiled, { ...eager[0], precision: "bf16" }];
  const fp32 = [
    ...eager,
    compiled,
    { device, mode: "graphs", layout: "channels_last", precision: "fp32" },
    { device, mode: "graphs", layout: "contiguous", precision: "fp32" },
  ] as const;
  const comparable = { single: ["fp32", "tf32"], mixed: ["fp16"] } as const;
  return ours.flatMap((precision) => comparable[precision])
    .flatMap((precision) => fp32.map((variant) => ({ ...variant, precision })));
}

/** For tables: `PyTorch graphs channels_last tf32`. */
export function peerName({ device, mode, layout, precision }: PeerVariant): string {
  const says = device === "cuda" || precision !== "fp32" ? [precision] : [];
  return ["PyTorch", mode, layout, ...says].join(" ");
}

/** A peer that can't run here, or stopped: the message is its reason. */
export class PeerError extends CommandError {}

/** What a peer says of itself: versions, the device's name, the flags in effect. */
type Info = Readonly<Record<string, string | number | boolean | null>>;

/** A running peer, and what it says of itself. */
export interface Peer extends Contender {
  /** PyTorch's version, the device's name, cuDNN's version, and the flags in effect. */
  readonly info: Info;
}

/**
 * Starts PyTorch and waits until it is warm, which with a compiler takes minutes.
 *
 * @param augment Whether it prepares each batch, as our engines do.
 * @param milliseconds In which it has to be warm; as long as it likes when undefined.
 * @throws {PeerError} If it can't run here: the message is the reason.
 */
export async function pytorchContender(
  { arch, batch, threads, size }: Task,
  variant: PeerVariant,
  augment: boolean,
  milliseconds?: number,
): Promise<Peer> {
  const { device, mode, layout, precision } = variant;
  const { info, ask, close } = await startPython("pytorch_resnet.py", [
    ...["--architecture", arch, "--batch", `${batch}`],
    ...["--threads", `${threads}`, "--device", device, "--mode", mode],
    ...["--layout", layout, "--precision", precision, ...(augment ? ["--augment"] : [])],
    ...sizeFlags(size),
  ], { milliseconds });
  return {
    info,
    name: peerName(variant),
    precision,
    isPeer: true,
    queues: device !== "cpu",
    train: (steps) => ask(`step ${steps}`),
    evaluate: (images) => ask(`evaluate ${images}`),
    close,
  };
}

/**
 * Starts ONNX Runtime with the network as our exporter writes it, initialised at random; it
 * only evaluates.
 *
 * @throws {PeerError} If it can't run here: the message is the reason.
 */
export async function onnxRuntimeContender(task: Task): Promise<Omit<Peer, "train">> {
  const graph = networkOf(task);
  const file = encodeOnnx(graph, initialise(graph, 0, "in"));
  const { info, ask, close } = await startPython("onnxruntime_resnet.py", [
    ...["--threads", `${task.threads}`, ...sizeFlags(task.size)],
  ], { file });
  return {
    info,
    name: "ONNX Runtime",
    precision: "fp32",
    isPeer: true,
    queues: false,
    evaluate: (images) => ask(`evaluate ${images}`),
    close,
  };
}

function sizeFlags(size: number | undefined): string[] {
  return size === undefined ? [] : ["--size", `${size}`];
}

/** A script that answers a command a line, after a first line of JSON that says what it is. */
async function startPython(
  name: string,
  args: readonly string[],
  { file, milliseconds }: { readonly file?: Uint8Array; readonly milliseconds?: number },
): Promise<{ info: Info; ask: (command: string) => Promise<number>; close: () => Promise<void> }> {
  const script = decodeURIComponent(new URL(`peers/${name}`, import.meta.url).pathname);
  const slow = new AbortController();
  const late = milliseconds === undefined
    ? undefined
    : setTimeout(() => slow.abort(), milliseconds);
  let python: Deno.ChildProcess;
  try {
    python = new Deno.Command("python3", {
      args: [script, ...args],
      stdin: "piped",
      stdout: "piped",
      stderr: "piped",
      signal: slow.signal,
    }).spawn();
  } catch (error) {
    clearTimeout(late);
    if (error instanceof Deno.errors.NotFound) throw new PeerError("there is no python3");
    // Where LD_LIBRARY_PATH is set, for one, Deno wants the permission to run anything.
    if (error instanceof Deno.errors.NotCapable) throw new PeerError(error.message);
    throw error;
  }
  const writer = python.stdin.getWriter();
  const errors = lastLine(python.stderr); // read all the time, or a full pipe stops the process
  const lines = python.stdout.pipeThrough(new TextDecoderStream()).getReader();
  let pending = "";
  const ended = async () => {
    await python.status;
    clearTimeout(late);
    if (slow.signal.aborted) {
      return new PeerError(
        `it was not warm in the ${Math.round(milliseconds! / 1000)} s left for it`,
      );
    }
    return new PeerError(await errors || "it ended without a word");
  };
  const readLine = async (): Promise<string> => {
    while (!pending.includes("\n")) {
      const { value, done } = await lines.read();
      if (done) throw await ended();
      pending += value;
    }
    const end = pending.indexOf("\n");
    const line = pending.slice(0, end);
    pending = pending.slice(end + 1);
    return line;
  };
  if (file) {
    try {
      await writer.write(new TextEncoder().encode(`${file.length}\n`));
      await writer.write(file as Uint8Array<ArrayBuffer>);
    } catch (error) {
      if (error instanceof Deno.errors.BrokenPipe) throw await ended();
      throw error;
    }
  }
  const info = JSON.parse(await readLine());
  clearTimeout(late);
  return {
    info,
    async ask(command) {
      await writer.write(new TextEncoder().encode(`${command}\n`));
      return Number(await readLine());
    },
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
