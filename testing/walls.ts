/**
 * The line through the house: which room may import which, held against the
 * imports that the code really has.
 */

/** Something that an import breaks: where it stands, the rule, and the way out. */
export interface Fault {
  /** Path of the importing file and the line of the import, `spec/rule.ts:3`. */
  readonly where: string;
  /** What is wrong and what to do, in one sentence. */
  readonly problem: string;
}

/**
 * The rooms from the top to the bottom: each imports only rooms that stand
 * below it. Rooms of one line stand beside each other and don't import each other.
 */
export const ROOMS: readonly (readonly string[])[] = [
  ["deploy"],
  ["bench"],
  ["cli"],
  ["web"],
  ["reproduce"],
  ["reports"],
  ["audit"],
  ["spec"],
  ["verdicts"],
  ["testing/runs"],
  ["train"],
  ["log"],
  ["recipes"],
  ["testing/engines"],
  ["testing"],
  ["testing/files"],
  ["data"],
  ["engine"],
  ["weights"],
  ["resnet"],
  ["paper"],
  ["files"],
  ["text", "random", "compat", "recorders"],
];

/** Rooms whose doubles and fixtures any test may use, those of lower rooms too. */
const FOR_TESTS = ["testing", "testing/engines", "testing/files", "testing/runs"];

/** Rooms whose tests read what they wrote by the rooms that have to read it. */
const READ_BY_OTHERS = ["recorders"];

/** Rooms that bear the name of nothing below them: they import no room at all. */
const ALONE = ["text", "random", "compat", "recorders"];

/**
 * What also runs in a browser: there is no Deno there and nothing of Node's. A file that needs
 * either has another beside it that stands for it in a browser, `x.browser.ts` for `x.ts`.
 */
const IN_BROWSERS =
  /^(paper|resnet|weights|data|log|recipes|train|spec|verdicts|audit|text|random|files|engine|reports\/(page|audit|predict|run)|web\/(audit|page|predict|train))\//;

/** Of those rooms what a browser's code never reaches, or reaches only by the file beside it. */
const NEVER_IN_BROWSERS =
  /^(data\/photographs\/(folder|imagenet_archives|set)\.ts$|engine\/(tensorflow|tfjs|bench)\/|files\/(cache|download|read_now|write_whole)\.ts$|recipes\/schema\/generate\.ts$|spec\/(readme\.ts|generated\/))/;

/** A use of Deno, or of a module of Node's. */
const RUNTIME = /\bDeno\.\w|["']node:/;

const IMPORT =
  /^(?:import|export)\b[^;"']*?["'](\.{1,2}\/[^"']+)["']|\bimport\(\s*["'](\.{1,2}\/[^"']+)["']/gm;

/**
 * Holds files' imports against the rooms.
 *
 * - A room imports only rooms below it, and only through a door, a `mod.ts`.
 * - No file whose name begins with `_` is imported from another room.
 * - No files import each other in a circle.
 * - Rooms that also run in a browser use neither Deno nor Node, but in a file that has one beside
 *   it for the browser.
 * - Tests follow the same rules, but may use the rooms under `testing/`, and
 *   those of `recorders/` any room: a recording is right if those read it.
 *
 * @param files Source text by path, `spec/rule.ts`; relative to the root.
 * @returns Every fault, by path.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { faultsIn } from "./walls.ts";
 *
 * const files = new Map([["resnet/graph.ts", 'import { judge } from "../spec/mod.ts";\n']]);
 * assertEquals(faultsIn(files).map(({ where }) => where), ["resnet/graph.ts:1"]);
 * ```
 */
export function faultsIn(files: ReadonlyMap<string, string>): Fault[] {
  const faults: Fault[] = [];
  const graph = new Map<string, string[]>();
  for (const [path, text] of files) {
    const targets: string[] = [];
    const code = withoutComments(text);
    for (const match of code.matchAll(IMPORT)) {
      const target = resolve(path, match[1] ?? match[2]);
      const line = code.slice(0, match.index).split("\n").length;
      const problem = problemOf(path, target);
      if (problem) faults.push({ where: `${path}:${line}`, problem });
      targets.push(target);
    }
    const used = RUNTIME.exec(code);
    if (used && runsInBrowsers(path) && !files.has(path.replace(/\.ts$/, ".browser.ts"))) {
      faults.push({
        where: `${path}:${code.slice(0, used.index).split("\n").length}`,
        problem: `${path} also runs in a browser, which has no ${used[0].replace(/^["']/, "")}; ` +
          "use what files/ has for both, or write the file that stands for this one there, " +
          "x.browser.ts for x.ts",
      });
    }
    graph.set(path, targets);
  }
  for (const circle of circlesIn(graph)) {
    faults.push({
      where: circle[0],
      problem: `${
        circle.join(" imports ")
      }: no files import each other in a circle; move what both need into a file of its own`,
    });
  }
  return faults.sort((a, b) => a.where < b.where ? -1 : 1);
}

function problemOf(path: string, target: string): string | undefined {
  const from = roomOf(path), to = roomOf(target);
  if (to === undefined || from === to) return undefined;
  if (baseName(target).startsWith("_")) {
    return `${target} is private to ${to}/; import it from a door, ${to}/mod.ts, or move what several rooms need`;
  }
  if (from === undefined) return undefined;
  if (!/\.tsx?$/.test(target)) return undefined;
  if (baseName(target) !== "mod.ts") {
    return `${target} is no door; import from ${to}/mod.ts`;
  }
  if (isTest(path) && (FOR_TESTS.includes(to) || READ_BY_OTHERS.includes(from))) return undefined;
  if (ALONE.includes(from)) return `${from}/ imports no other room, found ${to}/`;
  if (levelOf(to) > levelOf(from)) return undefined;
  return `${from}/ stands below ${to}/ or beside it, and imports only what stands below; ` +
    "move what both need down, or the importing code up";
}

function runsInBrowsers(path: string): boolean {
  return IN_BROWSERS.test(path) && !NEVER_IN_BROWSERS.test(path) && !isTest(path);
}

/** The room that a path lies in; undefined for files beside the rooms, such as `mod.ts`. */
function roomOf(path: string): string | undefined {
  const rooms = ROOMS.flat().filter((room) => path.startsWith(`${room}/`));
  return rooms.sort((a, b) => b.length - a.length)[0];
}

function levelOf(room: string): number {
  return ROOMS.findIndex((level) => level.includes(room));
}

function isTest(path: string): boolean {
  // `_test.ts` are unit tests, `.test.ts` conformance tests; fixtures serve tests alone.
  return /[._]test\.tsx?$/.test(path) ||
    /^_(testing|.*_?fixtures?|stalling_child)\.ts$/.test(baseName(path));
}

function baseName(path: string): string {
  return path.slice(path.lastIndexOf("/") + 1);
}

function resolve(from: string, to: string): string {
  return new URL(to, `file:///${from}`).pathname.slice(1);
}

/** The text with comments blanked and lines kept: examples in them import what a reader has. */
function withoutComments(text: string): string {
  return text.replace(/\/\*[\s\S]*?\*\//g, (comment) => comment.replace(/[^\n]/g, " "))
    .replace(/^\s*\/\/.*$/gm, "");
}

/** One circle for each file that is met again while its own imports are followed. */
function circlesIn(graph: ReadonlyMap<string, readonly string[]>): string[][] {
  const circles: string[][] = [];
  const done = new Set<string>();
  const trail: string[] = [];
  const visit = (path: string): void => {
    if (done.has(path)) return;
    const at = trail.indexOf(path);
    if (at >= 0) {
      circles.push([...trail.slice(at), path]);
      return;
    }
    trail.push(path);
    for (const target of graph.get(path) ?? []) visit(target);
    trail.pop();
    done.add(path);
  };
  for (const path of graph.keys()) visit(path);
  return circles;
}
