/** What libtensorflow reads from the process's environment when it is loaded, and never again. */
import { EngineError } from "../engine.ts";
import type { DeviceKind } from "./_installation.ts";

/** The variables that are set before the library is loaded; what the user has set stays. */
export const NATIVE_VARIABLES = {
  /** Its log: warnings and errors only. */
  log: "TF_CPP_MIN_LOG_LEVEL",
  /** Threads within an operation: the user's to set; all cores where it is not set. */
  threads: "TF_NUM_INTRAOP_THREADS",
  /** The same steps give the same bits: a fixed order of sums on the GPU too. */
  deterministic: "TF_DETERMINISTIC_OPS",
  /** 0: full single precision on the GPU instead of TF32's 10 bits, which fail the self-test. */
  tf32: "NVIDIA_TF32_OVERRIDE",
  /** Takes the GPU's memory as it is needed, not all at once. */
  growth: "TF_FORCE_GPU_ALLOW_GROWTH",
} as const;

/** Sets what the library reads, before it is loaded. */
export function prepareEnvironment(kind: DeviceKind): void {
  const settings: [string, string][] = [
    [NATIVE_VARIABLES.log, "1"],
    [NATIVE_VARIABLES.deterministic, "1"],
  ];
  if (kind === "gpu") {
    settings.push([NATIVE_VARIABLES.tf32, "0"], [NATIVE_VARIABLES.growth, "true"]);
  }
  try {
    for (const [name, value] of settings) {
      if (Deno.env.get(name) === undefined) Deno.env.set(name, value);
    }
  } catch (error) {
    if (!(error instanceof Deno.errors.NotCapable)) throw error;
    throw new EngineError(
      `loading TensorFlow: its settings are variables of the environment; run with ` +
        `--allow-env=${Object.values(NATIVE_VARIABLES).join(",")}`,
      { cause: error },
    );
  }
}

/** Threads within an operation on the CPU. */
export function nativeThreads(): number {
  return Number(Deno.env.get(NATIVE_VARIABLES.threads)) || navigator.hardwareConcurrency;
}
