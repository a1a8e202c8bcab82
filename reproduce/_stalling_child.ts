/**
 * A process to be killed: does one run of a job, and before its k-th operation
 * on files says so and stands still.
 *
 * `deno run _stalling_child.ts FOLDER INDEX K`; prints the run's state and the
 * number of operations if it is not stopped before its end.
 */
import { stallBefore } from "../testing/runs/mod.ts";
import { jobOptions, planIn } from "./_fixture.ts";
import { runQueue } from "./queue.ts";

const [folder, index, stallAt] = Deno.args;
const operations = stallBefore(Number(stallAt));
const plan = await planIn(folder);
const { runs } = await runQueue(jobOptions(folder, plan, { index: Number(index) }));
console.log(runs[Number(index)].state, operations());
