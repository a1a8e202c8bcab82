/**
 * Installs the native part of the engines `tensorflow` and `tensorflow-gpu`.
 *
 * `deno task backend:tensorflow --gpu`
 */
import {
  checkComputation,
  loadBackend,
  provision,
  TENSORFLOW_VERSION,
} from "../engine/tensorflow/mod.ts";
import { choice, COMMON, type FlagValues, text, toggle, UsageError } from "./_flags.ts";
import { main, type Outcome } from "./_main.ts";
import { ProgressPrinter } from "./_progress.ts";

const FLAGS = {
  gpu: toggle("for an NVIDIA GPU: the engine tensorflow-gpu"),
  from: choice(
    ["official", "wheel"],
    "the packages' own TensorFlow 2.9.1 (on the GPU for CUDA 11.2), or Python's wheel",
  ),
  wheel: text("VERSION|FILE", `which wheel: ${TENSORFLOW_VERSION} by default`),
  library: text("DIR", "a folder with libtensorflow and its headers, or Python's tensorflow"),
  check: toggle("install nothing: load what is installed and compute with it"),
  ...COMMON,
} as const;

const command = {
  usage: "deno task backend:tensorflow",
  summary: "Installs the native part of TensorFlow.js into this program's cache folder.",
  flags: FLAGS,
} as const;

async function install(flags: FlagValues<typeof FLAGS>): Promise<Outcome> {
  const sources = (["from", "wheel", "library"] as const).filter((name) =>
    flags[name] !== undefined && !(name === "from" && flags.from === "wheel")
  );
  if (sources.length > 1) {
    throw new UsageError(
      `--${sources.join(" and --")} name two libraries; give one. See ${command.usage} --help`,
    );
  }
  const kind = flags.gpu ? "gpu" : "cpu";
  const printer = new ProgressPrinter();
  if (!flags.check) {
    await provision({
      kind,
      ...(flags.from && { from: flags.from }),
      ...(flags.wheel && { wheel: flags.wheel }),
      ...(flags.library && { library: flags.library }),
      log: (line) => printer.line(line),
      onProgress: (progress) => printer.download(progress),
    });
  }
  const backend = await loadBackend(kind);
  checkComputation(backend);
  const { installation: { version, source }, device } = backend;
  const engine = kind === "gpu" ? "tensorflow-gpu" : "tensorflow";
  return {
    text: `TensorFlow ${version} computes on ${device}; train with --engine ${engine}`,
    json: { engine, version, source, device },
  };
}

if (import.meta.main) await main(command, install);
