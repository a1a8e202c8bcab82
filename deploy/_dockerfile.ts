/** The part of a Dockerfile's language that `Dockerfile` uses. */

/** One instruction, for example `RUN` and what it runs. */
export interface Instruction {
  /** In capitals. */
  readonly name: string;
  /** What follows the name, with continued lines joined by spaces. */
  readonly text: string;
  /** Where it begins, from 1. */
  readonly line: number;
}

/** What a build does between one `FROM` and the next. */
export interface Stage {
  /** The image or the earlier stage that it begins with, as it is written. */
  readonly base: string;
  /** What later stages call it, if they do. */
  readonly name?: string;
  /** In their order, without `FROM`. */
  readonly instructions: readonly Instruction[];
}

/** A Dockerfile as stages. */
export interface Dockerfile {
  /** `ARG` before the first `FROM`: name and default. */
  readonly args: Readonly<Record<string, string>>;
  readonly stages: readonly Stage[];
}

/**
 * Reads a Dockerfile.
 *
 * @throws {SyntaxError} On a line that is no instruction, and on an instruction
 *   before the first `FROM` that is not `ARG`.
 */
export function parseDockerfile(text: string): Dockerfile {
  const args: Record<string, string> = {};
  const stages: (Stage & { instructions: Instruction[] })[] = [];
  for (const instruction of instructionsOf(text)) {
    const { name, text, line } = instruction;
    if (name === "FROM") {
      const [, base, stage] = /^(\S+)(?:\s+AS\s+(\S+))?$/i.exec(text) ?? [];
      if (base === undefined) {
        throw new SyntaxError(`line ${line}: expected an image, found ${text}`);
      }
      stages.push({ base, ...(stage === undefined ? {} : { name: stage }), instructions: [] });
    } else if (stages.length > 0) {
      stages.at(-1)!.instructions.push(instruction);
    } else if (name === "ARG") {
      Object.assign(args, assignments(text));
    } else {
      throw new SyntaxError(`line ${line}: expected FROM or ARG, found ${name}`);
    }
  }
  return { args, stages };
}

/** `A=1 B="two words"` as an object; a name without a value becomes "". */
export function assignments(text: string): Record<string, string> {
  const found = text.matchAll(/([A-Za-z_]\w*)(?:=(?:"([^"]*)"|(\S*)))?(?=\s|$)/g);
  return Object.fromEntries(
    [...found].map(([, name, quoted, bare]) => [name, quoted ?? bare ?? ""]),
  );
}

/** `text` with `$NAME` and `${NAME}` replaced. @throws {ReferenceError} If one is not known. */
export function substitute(text: string, values: Readonly<Record<string, string>>): string {
  return text.replace(/\$(?:\{(\w+)\}|(\w+))/g, (_, braced, bare) => {
    const name = braced ?? bare;
    if (!Object.hasOwn(values, name)) throw new ReferenceError(`"${text}" needs ${name}`);
    return values[name];
  });
}

function* instructionsOf(text: string): Generator<Instruction> {
  let begun: { line: number; parts: string[] } | undefined;
  for (const [index, line] of text.split("\n").entries()) {
    if (/^\s*(#|$)/.test(line)) continue; // comments may stand between continued lines
    begun ??= { line: index + 1, parts: [] };
    const continued = line.endsWith("\\");
    begun.parts.push((continued ? line.slice(0, -1) : line).trim());
    if (continued) continue;
    const [, name, rest] = /^([A-Za-z]+)\s+(.+)$/.exec(begun.parts.join(" ")) ?? [];
    if (name === undefined) {
      throw new SyntaxError(`line ${begun.line}: expected an instruction, found ${begun.parts[0]}`);
    }
    yield { name: name.toUpperCase(), text: rest, line: begun.line };
    begun = undefined;
  }
  if (begun) throw new SyntaxError(`line ${begun.line}: the last line is continued by none`);
}
