/** The one place where the bench meets the audit: its command, and what is read of its report. */
import { runProgram } from "../../testing/mod.ts";

/** What an audit says of a recording. */
export interface Findings {
  /** Ids of what departs, what is to be changed first at the front; empty: no accusation. */
  readonly departures: readonly string[];
  /** What it says in words. */
  readonly verdict: string;
}

/**
 * Judges a recording.
 *
 * @param recording Its folder.
 * @param data The folder of CIFAR-10's binary files with which it was made.
 * @throws {AuditError} If there is no judgement.
 */
export type Audit = (recording: string, data: string) => Promise<Findings>;

/** An audit that came to no judgement. */
export class AuditError extends Error {
  /** The class's name, for messages. */
  override name = "AuditError";
}

/** The project's root, where the audit's permissions stand. */
const ROOT = decodeURIComponent(new URL("../..", import.meta.url).pathname);

/** An exit status of the audit that means: judged. */
const JUDGED = [0, 1, 3];

/** `deno task audit RECORDING --data DIR --json FILE`, as a subprocess. */
export const auditCommand: Audit = async (recording, data) => {
  const file = `${recording}/../audit.json`;
  const { code, errors } = await runProgram(Deno.execPath(), [
    ...["run", "-q", "-P=audit", "cli/audit.ts", recording, "--data", data, "--json", file],
  ], ROOT);
  if (!JUDGED.includes(code)) {
    throw new AuditError(
      `auditing ${recording}: its exit status must be one of ${JUDGED.join(", ")}, found ${code}: ${
        errors.trimEnd().split("\n").at(-1)
      }`,
    );
  }
  return findingsOf(JSON.parse(await Deno.readTextFile(file)), recording);
};

/**
 * Reads an audit's report: the rules of its `changes`, in the order to make them.
 *
 * @param report What `--json` wrote.
 * @param name For the message.
 * @throws {AuditError} If it has no such list.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { findingsOf } from "./_audit.ts";
 *
 * const report = { verdict: "No augmentation.", changes: [{ rule: "augmentation", change: "…" }] };
 * assertEquals(findingsOf(report, "report"), {
 *   departures: ["augmentation"],
 *   verdict: "No augmentation.",
 * });
 * ```
 */
export function findingsOf(report: unknown, name: string): Findings {
  const { changes, verdict } = (report ?? {}) as Record<string, unknown>;
  const departures = Array.isArray(changes) ? changes.map((change) => change?.rule) : undefined;
  if (departures === undefined || !departures.every((rule) => typeof rule === "string")) {
    throw new AuditError(`reading the audit of ${name}: it must have changes with a rule each`);
  }
  return { departures, verdict: typeof verdict === "string" ? verdict : "" };
}
