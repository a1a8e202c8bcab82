/** What a mistake of the bench is: data, from which a script with the mistake is made. */

/** The clean scripts into which mistakes are put; `styles/<style>.py`. */
export const STYLES = ["loop", "trainer", "functional"] as const;
/** See {@linkcode STYLES}. */
export type Style = typeof STYLES[number];

/** The nets that they train; `nets/<net>.py`. */
export const NETS = ["resnet8", "resnet14"] as const;
/** See {@linkcode NETS}. */
export type Net = typeof NETS[number];

/** Text that must stand exactly once in a file, and what takes its place. */
export interface Edit {
  /** The text as it stands. */
  readonly find: string;
  /** What takes its place; `<<name>>` stands for a value drawn from {@linkcode Mistake.values}. */
  readonly put: string;
}

/** The edits that together are one change; they are made in order. */
export type Change = readonly Edit[];

/** One mistake. */
export interface Mistake {
  /** As in people's words, for example `no-shuffle`. */
  readonly id: string;
  /** What is wrong, in a few words. */
  readonly what: string;
  /** Where people met it: `owner/repository#number`; empty where no report is known. */
  readonly met: readonly string[];
  /** Ids of the audit's findings; the first of its answer must be one of these. */
  readonly expects: readonly [string, ...string[]];
  /** Training steps that are recorded. */
  readonly steps: number;
  /** The script itself ends after these steps, so that its last evaluation, of the test set, runs. */
  readonly tests?: true;
  /** Recorded on all images; the others on a tenth, whose epoch ends within a few steps. */
  readonly whole?: true;
  /** Ways to put it into the training script of a style; a seed chooses one. */
  readonly script?: Partial<Record<Style, readonly Change[]>>;
  /** Ways to put it into a net's file, whichever script trains it; they join those of the script. */
  readonly net?: Partial<Record<Net, readonly Change[]>>;
  /** What `<<name>>` may stand for; a seed chooses one of each. */
  readonly values?: Readonly<Record<string, readonly string[]>>;
}

/** A change that can't be made as it is written. */
export class ChangeError extends Error {
  /** The class's name, for messages. */
  override name = "ChangeError";
}

/**
 * Makes a change.
 *
 * @param text The file's text.
 * @param change What is replaced, in order.
 * @param values What `<<name>>` stands for.
 * @returns The changed text.
 * @throws {ChangeError} If a text to be replaced is not there exactly once, a value has no name, or
 *   nothing was changed.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { changed } from "./_mistake.ts";
 *
 * const change = [{ find: "weight_decay=1e-4", put: "weight_decay=<<decay>>" }];
 * assertEquals(changed("SGD(p, weight_decay=1e-4)", change, { decay: "0" }), "SGD(p, weight_decay=0)");
 * ```
 */
export function changed(
  text: string,
  change: Change,
  values: Readonly<Record<string, string>> = {},
): string {
  let result = text;
  for (const { find, put } of change) {
    const count = result.split(find).length - 1;
    if (count !== 1) {
      throw new ChangeError(
        `replacing ${JSON.stringify(find)}: it must stand exactly once in the file, found ${count}`,
      );
    }
    const replacement = put.replace(/<<(\w+)>>/g, (_, name: string) => {
      if (!Object.hasOwn(values, name)) {
        throw new ChangeError(
          `replacing ${JSON.stringify(find)}: no value <<${name}>>, there are ${
            Object.keys(values).join(", ") || "none"
          }`,
        );
      }
      return values[name];
    });
    result = result.replace(find, () => replacement);
  }
  if (result === text) throw new ChangeError("a change must change the file; this one does not");
  return result;
}
