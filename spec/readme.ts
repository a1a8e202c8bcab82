/**
 * Writes the README's line on the mutants from the catalogue itself, and the map of the paper's
 * statements.
 *
 * `deno task readme`
 */
import { MUTANTS } from "./mutants.ts";
import { statementsMap } from "./statements.ts";
import { CHECKLIST, checklistInWords, checklistSha256 } from "./version.ts";

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
  const version = new URL("./version.ts", import.meta.url);
  const sha256 = checklistSha256().slice(0, 12);
  let checklist = CHECKLIST;
  if (sha256 !== checklist.sha256) {
    checklist = { ...checklist, version: checklist.version + 1, sha256 };
    const text = await Deno.readTextFile(version);
    const line = `const VERSION = { number: ${checklist.version}, sha256: "${sha256}" } as const;`;
    await Deno.writeTextFile(version, text.replace(/^const VERSION = .*$/m, line));
  }
  const map = new URL("./README.md", import.meta.url);
  await Deno.writeTextFile(map, statementsMap(checklistInWords(checklist)));
}
