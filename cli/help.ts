/**
 * What a user runs, in the order in which one meets it.
 *
 * `deno task help`
 */
import configuration from "../deno.json" with { type: "json" };

/** The tasks that a user runs; the others of `deno.json` are for working on the module. */
export const USER_TASKS = [
  "demo",
  "train",
  "audit",
  "evaluate",
  "predict",
  "imagenet",
  "export",
  "runs",
  "watch",
  "web",
  "web:build",
  "report",
  "reproduce",
  "costs",
  "summary",
  "backend:tensorflow",
] as const;

/** A line a task, and how to go on. */
export function helpText(): string {
  const width = Math.max(...USER_TASKS.map((name) => name.length));
  const lines = USER_TASKS.map((name) =>
    `  deno task ${name.padEnd(width)}  ${configuration.tasks[name].description}`
  );
  return [
    ...lines,
    "",
    "Each has --help. deno task lists all, those for working on the module too.",
  ].join("\n");
}

if (import.meta.main) console.log(helpText());
