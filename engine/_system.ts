/** The machine and the runtime that engines run on; a browser's are in `_system.browser.ts`. */

/** What is known of them. */
export interface System {
  /** Such as `linux`. */
  readonly os: string;
  /** The runtime's name and version. */
  readonly runtime: string;
  /** From which version on it has WebGPU. */
  readonly hasGpuFrom: string;
  /** Threads that can share one memory. */
  readonly threads: number;
  /** What a log says of them where the CPU computes. */
  readonly forCpu: Readonly<Record<string, string>>;
  /** What a log says of them where a GPU does. */
  readonly forGpu: Readonly<Record<string, string>>;
}

/** Deno's. */
export const SYSTEM: System = {
  os: Deno.build.os,
  runtime: `Deno ${Deno.version.deno}`,
  hasGpuFrom: "Deno 2.9 and later have it",
  threads: navigator.hardwareConcurrency,
  forCpu: { architecture: Deno.build.arch, system: Deno.build.os, v8: Deno.version.v8 },
  forGpu: { deno: Deno.version.deno, system: Deno.build.target },
};
