/**
 * Writes the README's line on the mutants from the catalogue itself.
 *
 * `deno task readme`
 */
import { MUTANTS } from "./mutants.ts";

const LINE = /^<!-- mutants -->.*$/m;

/** The line, as the catalogue stands. */
export function mutantsLine(): string {
  const wrapping = MUTANTS.filter(({ kind }) => kind === "engine" || kind === "loop").length;
  return `<!-- mutants --> ${MUTANTS.length} mutants, ${wrapping} of them of a real engine or of the real training loop, are caught by the rule that each names.`;
}

/**
 * A text with its line on the mutants made anew.
 *
 * @param readme The README.
 * @returns The same text but for that line.
 * @throws {Error} If it has no such line.
 */
export function withMutantsLine(readme: string): string {
  if (!LINE.test(readme)) {
    throw new Error(
      'README.md must have a line that begins with "<!-- mutants -->"; found none: put it back',
    );
  }
  return readme.replace(LINE, mutantsLine());
}

if (import.meta.main) {
  const path = new URL("../README.md", import.meta.url);
  await Deno.writeTextFile(path, withMutantsLine(await Deno.readTextFile(path)));
}
