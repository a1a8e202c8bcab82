/** Commands as they stand in a log, written so that they can be typed again. */

/**
 * A command as a shell takes it. A remark in parentheses before it stays as it is.
 *
 * @param words The command and its arguments.
 */
export function commandLine(words: readonly string[]): string {
  return words.map((word, i) => i === 0 && /^\(.*\)$/.test(word) ? word : shellWord(word)).join(
    " ",
  );
}

/**
 * The command that goes on with what a command began and stopped, as a shell takes it.
 *
 * @param words The command and its arguments.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { goingOn } from "./command.ts";
 *
 * const words = ["deno", "task", "train", "--out", "a run", "--stop-after", "100"];
 * assertEquals(goingOn(words), "deno task train --out 'a run'");
 * ```
 */
export function goingOn(words: readonly string[]): string {
  return commandLine(
    words.filter((word, i) => !/^--stop-after(=|$)/.test(word) && words[i - 1] !== "--stop-after"),
  );
}

function shellWord(word: string): string {
  return /^[\w./:=,+-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}
