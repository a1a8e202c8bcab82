/**
 * A process to be killed: runs a tiny run, and before its k-th operation on
 * files says so and stands still.
 *
 * `deno run _stalling_child.ts FOLDER K KIND`; prints the number of operations if it
 * is not stopped before its end.
 */
import { plateauRun, stallBefore, tinyRun } from "../testing/runs/mod.ts";
import { train } from "./train.ts";

const [folder, stallAt, kind] = Deno.args;
const operations = stallBefore(Number(stallAt));
await train(kind === "plateau" ? plateauRun(folder) : tinyRun(folder));
console.log(operations());
