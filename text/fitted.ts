/** Sentences on a terminal. */

/**
 * Breaks what is wider than a terminal between words, each further line indented
 * by two more than its first: terminals break in the middle of words. A line that
 * begins with a command stays whole, so that it can be copied.
 *
 * @param text Any lines.
 * @param columns Of the terminal; undefined where there is none, and nothing is broken.
 *
 * @example
 * ```ts
 * import { fitted } from "./fitted.ts";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(fitted("  the rate falls\nonce", 12), "  the rate\n    falls\nonce");
 * ```
 */
export function fitted(text: string, columns: number | undefined): string {
  if (columns === undefined) return text;
  return text.split("\n").flatMap((line) => broken(line, columns)).join("\n");
}

function broken(line: string, columns: number): string[] {
  if (line.length <= columns || /^\s*(deno|npx|python3?) /.test(line)) return [line];
  const indent = line.match(/^ */)![0];
  const lines: string[] = [];
  let current = indent;
  for (const word of line.slice(indent.length).split(" ")) {
    const begun = current.trim() !== "";
    if (begun && current.length + 1 + word.length > columns) {
      lines.push(current);
      current = `${indent}  ${word}`;
    } else {
      current += begun ? ` ${word}` : word;
    }
  }
  return [...lines, current];
}
