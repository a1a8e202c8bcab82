/** Where the time of a GPU's step goes, beside what the GPU can do at most. */
import type { KernelGroup } from "../engine/bench/mod.ts";
import type { StepProfile } from "../engine/webgpu/mod.ts";
import type { GpuPeak } from "./peak.ts";

/** All launches of one kernel group in a step. */
export interface GroupProfile {
  readonly group: KernelGroup | "all";
  readonly dispatches: number;
  /** Undefined where the adapter times nothing. */
  readonly milliseconds?: number;
  /** Floating-point operations, 2 a multiply-add. */
  readonly operations: number;
  /** By the engine's estimate. */
  readonly bytes: number;
}

/** Adds up a step's kernels by group, the longest first (without times: in order), then all. */
export function groupProfiles({ kernels }: StepProfile): GroupProfile[] {
  const groups = Map.groupBy(kernels, ({ group }) => group);
  return [
    ...[...groups].map(([group, members]) => addUp(group, members))
      .sort((a, b) => (b.milliseconds ?? 0) - (a.milliseconds ?? 0)),
    addUp("all", kernels),
  ];
}

function addUp(group: GroupProfile["group"], kernels: StepProfile["kernels"]): GroupProfile {
  const total = (of: (kernel: StepProfile["kernels"][number]) => number) =>
    kernels.reduce((sum, kernel) => sum + of(kernel), 0);
  const timed = kernels.every(({ nanoseconds }) => nanoseconds !== undefined);
  return {
    group,
    dispatches: kernels.length,
    ...(timed ? { milliseconds: total(({ nanoseconds }) => nanoseconds!) / 1e6 } : {}),
    operations: total(({ operations }) => operations),
    bytes: total(({ bytes }) => bytes),
  };
}

/** A table of the groups, with their shares of the step and of the GPU's ceilings. */
export function profileText(name: string, profile: StepProfile, peak: GpuPeak): string {
  const groups = groupProfiles(profile);
  const all = groups[groups.length - 1];
  const head = [
    `${name}, one training step: ${profile.dispatches} dispatches, ${
      profile.encodeMilliseconds.toFixed(3)
    } ms of JavaScript to encode it, ${
      profile.submitMilliseconds.toFixed(3)
    } ms to submit it (a software adapter computes meanwhile)`,
    `ceilings measured here: ${giga(peak.flops)} GFLOP/s in multiply-adds, ${
      giga(peak.bytesPerSecond)
    } GB/s copied (bytes read and written)`,
  ];
  if (all.milliseconds === undefined) {
    return [...head, "no times by kernel: this adapter has no timestamp queries"].join("\n");
  }
  const share = (part: number, whole: number) => `${(100 * part / whole).toFixed(1)}%`;
  const rows = groups.map(({ group, dispatches, milliseconds = 0, operations, bytes }) => {
    const flops = operations / (milliseconds / 1e3);
    const bandwidth = bytes / (milliseconds / 1e3);
    return [
      ...[group, `${dispatches}`, milliseconds.toFixed(3), share(milliseconds, all.milliseconds!)],
      ...[giga(flops), share(flops, peak.flops)],
      ...[giga(bandwidth), share(bandwidth, peak.bytesPerSecond)],
    ];
  });
  const titles = [
    ...["kernels", "dispatches", "ms", "share"],
    ...["GFLOP/s", "of peak", "GB/s", "of copy"],
  ];
  const line = (cells: readonly string[]) =>
    cells.map((cell, i) => i === 0 ? cell.padEnd(16) : cell.padStart(11)).join("");
  return [...head, line(titles), ...rows.map(line)].join("\n");
}

/** In units of 10^9, with a digit behind the point where it says something. */
function giga(value: number): string {
  return (value / 1e9).toFixed(value < 1e11 ? 1 : 0);
}
