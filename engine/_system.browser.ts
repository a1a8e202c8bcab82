/** For `_system.ts` in a browser, which tells less of itself. */
import type { System } from "./_system.ts";

export type { System };

const { userAgent, hardwareConcurrency } = navigator;
const os = /windows|android|mac os|linux/i.exec(userAgent)?.[0].toLowerCase() ?? "unknown";

/** The browser's. */
export const SYSTEM: System = {
  os,
  runtime: userAgent,
  hasGpuFrom: "current browsers have it where they support the graphics driver",
  // Only an isolated page may share memory with its workers.
  threads: crossOriginIsolated ? hardwareConcurrency : 1,
  forCpu: { system: os, browser: userAgent },
  forGpu: { system: os, browser: userAgent },
};
