/**
 * A process to be killed: runs the tiny run, and before its k-th operation on
 * files says so and stands still.
 *
 * `deno run _stalling_child.ts FOLDER K`; prints the number of operations if it
 * is not stopped before its end.
 */
import { stallBefore, tinyRun } from "../testing/runs/mod.ts";
import { train } from "./train.ts";

const [folder, stallAt] = Deno.args;
const operations = stallBefore(Number(stallAt));
await train(tinyRun(folder));
console.log(operations());
