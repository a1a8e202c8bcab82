/** Where the time of a step on the CPU goes, beside what a core can do at most. */
import type { StepProfile } from "../engine/wasm/mod.ts";

/**
 * A table of the kernel groups on one of the threads, with their shares of the step and, of
 * those that multiply matrices, their speed.
 *
 * @param peak Floating-point operations a second of one core.
 */
export function wasmProfileText(name: string, profile: StepProfile, peak: number): string {
  const { milliseconds, threads, groups } = profile;
  const percent = (part: number, whole: number) => `${(100 * part / whole).toFixed(1)}%`;
  const speed = (operations: number, milliseconds: number): [string, string] => {
    const flops = operations / (milliseconds / 1e3);
    return operations === 0 ? ["", ""] : [(flops / 1e9).toFixed(1), percent(flops, peak)];
  };
  const rows = groups.map(({ group, calls, milliseconds: time, operations }) => [
    ...[group, `${calls}`, time.toFixed(3), percent(time, milliseconds)],
    ...speed(operations, time),
  ]);
  const total = (of: (group: StepProfile["groups"][number]) => number) =>
    groups.reduce((sum, group) => sum + of(group), 0);
  const time = total((group) => group.milliseconds);
  const all = [
    ...["all", `${total(({ calls }) => calls)}`, time.toFixed(3), percent(time, milliseconds)],
    ...speed(total(({ operations }) => operations), time),
  ];
  const titles = ["kernels", "calls", "ms", "share", "GFLOP/s", "of peak"];
  const line = (cells: readonly string[]) =>
    cells.map((cell, i) => i === 0 ? cell.padEnd(28) : cell.padStart(11)).join("").trimEnd();
  return [
    `${name}, one training step of ${milliseconds.toFixed(1)} ms (timing it takes a part): ` +
    `one of ${threads} thread${threads === 1 ? "" : "s"}, medians`,
    ...[titles, ...rows, all].map(line),
  ].join("\n");
}
