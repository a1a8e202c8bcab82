/** Paths as a log or a page may show them: nobody learns from it where a computer has its folders. */

/** A path from the root of a file system, at the beginning of a word; its last name is kept. */
const ABSOLUTE =
  /(?<=^|[\s"'`=([{,;|])(?:file:\/\/)?(?:~|[A-Za-z]:)?[\\/](?:[^\s"'`<>|,;:()[\]{}\\/]*[\\/])*([^\s"'`<>|,;:()[\]{}\\/]*)/g;

/**
 * A text with every absolute path in it cut to its last name.
 *
 * @param text Any text: a sentence, an argument of a command.
 * @param own Absolute path of a folder whose inside is shown relative to it.
 * @returns The text; addresses on the web and relative paths stay as they are.
 *
 * @example
 * ```ts
 * import { withoutFolders } from "./paths.ts";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(withoutFolders("--data=/home/u/cifar-10.tar.gz"), "--data=…/cifar-10.tar.gz");
 * assertEquals(withoutFolders("can't write /runs/a/x.json: full", "/runs/a"), "can't write ./x.json: full");
 * assertEquals(withoutFolders("see https://deno.com/a or runs/a"), "see https://deno.com/a or runs/a");
 * ```
 */
export function withoutFolders(text: string, own?: string): string {
  if (own && own.length > 1) text = text.replaceAll(own, ".");
  return text.replace(
    ABSOLUTE,
    (path, name: string) => name ? `…/${name}` : path.length > 1 ? "…" : path,
  );
}

/**
 * An argument of a command with its path cut: as a whole, since it may have
 * spaces in it.
 *
 * @param argument One argument, `--data=/home/a b/c` or `/home/a b/c`.
 * @param own As {@linkcode withoutFolders} takes it.
 */
export function withoutFoldersIn(argument: string, own?: string): string {
  const [, flag = "", value] = /^(--[\w-]+=)?([\s\S]*)$/.exec(argument)!;
  if (own && (value === own || value.startsWith(`${own}/`))) {
    return `${flag}.${value.slice(own.length)}`;
  }
  const isPath = /^(?:file:\/\/|~?[\\/]|[A-Za-z]:[\\/])/.test(value);
  if (!isPath) return flag + withoutFolders(value, own);
  return `${flag}…/${value.replace(/[\\/]+$/, "").replace(/^.*[\\/]/s, "")}`;
}
