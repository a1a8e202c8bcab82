/**
 * Whether a run of a job is what the plan and its own log say: the gate that a
 * run passes before it goes on, and before it counts.
 */
import { createHash } from "node:crypto";
import { basename, join, resolve } from "node:path";
import { readWhole, readWholeText } from "../files/mod.ts";
import {
  type JudgedRun,
  planHash,
  plannedRecipe,
  type ReproductionPlan,
  sameRecipe,
} from "../verdicts/mod.ts";
import {
  effectiveEvents,
  type EvaluationEvent,
  EVENTS_FILE,
  type LogSubject,
  logSubjectOf,
  type RunEvent,
  RunLogError,
  type StartEvent,
} from "../log/mod.ts";
import { judge, LOG_RULES } from "../spec/mod.ts";
import { ReproductionError } from "./errors.ts";
import { type PlannedRun, plannedRuns, RUNS_FOLDER } from "./planned.ts";

/**
 * Where a run stands, by its folder alone: `to do` before its first line;
 * `begun` if it was stopped or killed, or is under way; `failed` where engine or
 * disk gave out, and it can go on; `diverged` and `finished` are final.
 */
export type RunState = "to do" | "begun" | "failed" | "diverged" | "finished";

/** A run that is what its plan and its log say. */
export interface CheckedRun extends PlannedRun {
  /** Path of its folder. */
  readonly folder: string;
  /** Where it stands. */
  readonly state: RunState;
  /** Steps that its newest checkpoint holds. */
  readonly iteration: number;
  /** Its log and what its files hold; undefined where the run is to do. */
  readonly log?: LogSubject;
  /** As a verdict counts it; undefined where the run is not over. */
  readonly judged?: JudgedRun;
}

/** The rules that hold for a finished run of whatever recipe: its log and files agree. */
const INTEGRITY_RULES = ["files-named", "error-recomputed", "final-step"]
  .flatMap((id) => LOG_RULES.filter((rule) => rule.id === id));

/** Whether nothing more is done in a run. */
export function isOver(state: RunState): boolean {
  return state === "finished" || state === "diverged";
}

/**
 * Where a run stands, by the last whole line of its log. Nothing else is read,
 * so it can be asked while another process works on the run.
 *
 * @param folder The run's folder.
 * @returns The state; `begun` where the last line can't be read, which
 *   {@linkcode checkRun} refuses.
 */
export async function runState(folder: string): Promise<RunState> {
  const lines = (await textOf(join(folder, EVENTS_FILE)) ?? "").split("\n").slice(0, -1);
  if (lines.length === 0) return "to do";
  try {
    return stateAfter(JSON.parse(lines[lines.length - 1]));
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    return "begun";
  }
}

/**
 * Checks one run of a plan. No other process may work on it.
 *
 * The log is read strictly: each checkpoint, failure and end has the hash of all
 * lines before it. Of a finished run the test error is counted again from the
 * predictions, and every file must be the one that the log names; its pictures may be left out.
 *
 * @param folder The run's folder, named as the plan names the run.
 * @param plan The plan.
 * @returns The run.
 * @throws {ReproductionError} Names the run and what is wrong: it was not
 *   planned, its log was altered, a checkpoint or another file is not the one
 *   that the log names, it was begun under another plan, with another recipe, on
 *   other data, or with the seed of another run.
 *
 * @example
 * ```ts
 * import { assertRejects } from "@std/assert";
 * import type { ReproductionPlan } from "../verdicts/mod.ts";
 * import { checkRun, ReproductionError } from "./mod.ts";
 *
 * const nets = { architectures: ["resnet20"], seeds: [0] };
 * const plan = { ...nets, recipe: "paper" } as unknown as ReproductionPlan;
 * await assertRejects(() => checkRun("runs/resnet20-seed1", plan), ReproductionError, "not planned");
 * ```
 */
export async function checkRun(folder: string, plan: ReproductionPlan): Promise<CheckedRun> {
  const name = basename(resolve(folder));
  const refuse = (problem: string, next: string, cause?: unknown): never => {
    throw new ReproductionError(`the run ${name} can't count: ${problem}; ${next}`, { cause });
  };
  const run = plannedRuns(plan).find((run) => run.name === name) ??
    refuse("it was not planned", `take "${folder}" out of the job's folder, or plan it anew`);

  const state = await runState(folder);
  if (state === "to do") {
    const others = (await namesIn(folder)).filter((file) =>
      ![EVENTS_FILE, "run.lock"].includes(file)
    );
    if (others.length > 0) {
      refuse(`it has "${others[0]}" and no log`, `restore its ${EVENTS_FILE}, or ${REPEAT}`);
    }
    return { ...run, folder, state, iteration: 0 };
  }
  let log: LogSubject;
  try {
    log = await logSubjectOf(folder);
  } catch (error) {
    if (!(error instanceof RunLogError)) throw error;
    return refuse(error.message, REPEAT, error);
  }
  const { events = [] } = log;
  const start = events[0] as StartEvent;
  for (const problem of startProblems(start, run, plan)) refuse(problem, REPEAT);
  const unsealed = events.findIndex((event) =>
    ["checkpoint", "failure", "end"].includes(event.type) && !("logSha256" in event)
  );
  if (unsealed >= 0) {
    refuse(
      `line ${unsealed + 1} of its log must have the hash of the lines before it, found none`,
      `the log was altered, or is of an earlier version: restore it, or ${REPEAT}`,
    );
  }
  const checkpoints = effectiveEvents(events).filter((event) => event.type === "checkpoint");
  for (const { file: { path, sha256 } } of checkpoints) {
    const found = await hashOf(join(folder, path)); // Old ones are removed as the run goes on.
    if (found !== undefined && found !== sha256) {
      refuse(
        `the SHA-256 of ${path} must be ${sha256}, as its log says, found ${found}`,
        state === "finished"
          ? `restore the file, or ${REPEAT}`
          : "remove the file, and the run goes on from the checkpoint before it",
      );
    }
  }
  const iteration = checkpoints.at(-1)?.iteration ?? 0;
  if (state === "diverged") {
    return { ...run, folder, state, iteration, log, judged: { seed: run.seed, outcome: state } };
  }
  if (state !== "finished") return { ...run, folder, state, iteration, log };
  for (const { outcome, requirement, evidence } of judge(INTEGRITY_RULES, log)) {
    if (outcome !== "pass") refuse(`${evidence} ("${requirement}")`, REPEAT);
  }
  return { ...run, folder, state, iteration, log, judged: finishedRun(events) };
}

/**
 * Checks every run of a job, in the plan's order. No process may work on them.
 *
 * @param folder The job's folder.
 * @param plan Its plan.
 * @returns One a run of the plan, those that are to do too.
 * @throws {ReproductionError} As {@linkcode checkRun}; also for a run too many.
 */
export async function checkRuns(
  folder: string,
  plan: ReproductionPlan,
): Promise<readonly CheckedRun[]> {
  const names = new Set(plannedRuns(plan).map(({ name }) => name));
  for (const name of await namesIn(join(folder, RUNS_FOLDER))) names.add(name);
  const checked: CheckedRun[] = [];
  for (const name of names) checked.push(await checkRun(join(folder, RUNS_FOLDER, name), plan));
  return checked;
}

const REPEAT = "remove the run's folder and repeat the run";

/** What a run's first line has against its being this run of this plan. */
function startProblems(start: StartEvent, run: PlannedRun, plan: ReproductionPlan): string[] {
  const problems: string[] = [];
  const { seed, recipe, data: { hashes } } = start;
  const net = recipe.architecture.name;
  const isOf = (run: PlannedRun) =>
    run.seed === seed && run.architecture === net &&
    sameRecipe(recipe, plannedRecipe(plan, run));
  const other = isOf(run) ? undefined : plannedRuns(plan).find(isOf);
  if (seed !== run.seed || net !== run.architecture || other) {
    problems.push(
      `its log is of ${net} and seed ${seed}${other ? `, which is ${other.name}'s` : ""}`,
    );
  }
  if (start.plan !== planHash(plan)) {
    problems.push(
      `it must have been begun under the plan ${planHash(plan)}, found ${start.plan ?? "none"}`,
    );
  }
  for (const name of new Set([...Object.keys(plan.dataHashes), ...Object.keys(hashes)])) {
    const [planned, found] = [plan.dataHashes[name], hashes[name]];
    if (planned === found) continue;
    problems.push(
      `the SHA-256 of "${name}" must be ${planned ?? "none"}, as planned, found ${found ?? "none"}`,
    );
  }
  if (!sameRecipe(recipe, plannedRecipe(plan, run))) {
    problems.push(`its recipe is not the planned one, "${run.recipe}" with its fields unchanged`);
  }
  return problems;
}

function stateAfter(last: RunEvent): RunState {
  if (last.type === "end") return "finished";
  if (last.type !== "failure") return "begun";
  return last.diverged ? "diverged" : "failed";
}

/** A finished run, as a verdict counts it. */
function finishedRun(events: readonly RunEvent[]): JudgedRun {
  const { seed } = events[0] as StartEvent;
  const test = events.findLast((event): event is EvaluationEvent =>
    event.type === "evaluation" && event.set === "test"
  );
  return { seed, outcome: "finished", testError: test?.error, testImages: test?.images };
}

async function textOf(path: string): Promise<string | undefined> {
  return await unlessMissing(() => readWholeText(path));
}

async function hashOf(path: string): Promise<string | undefined> {
  const bytes = await unlessMissing(() => readWhole(path));
  return bytes && createHash("sha256").update(bytes).digest("hex");
}

async function namesIn(folder: string): Promise<readonly string[]> {
  const entries = await unlessMissing(() => Array.fromAsync(Deno.readDir(folder)));
  return entries?.map(({ name }) => name).sort() ?? [];
}

async function unlessMissing<T>(read: () => Promise<T>): Promise<T | undefined> {
  try {
    return await read();
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}
