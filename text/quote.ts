import { printable } from "./printable.ts";

/**
 * A name from a file, for a message: in quotes, with control characters
 * escaped and cut to a readable length.
 */
export function quote(name: string): string {
  return printable(JSON.stringify(name.length > 100 ? `${name.slice(0, 100)}...` : name));
}

/** Characters of a name from a file that a column or a list has room for. */
const LONGEST = 44;
/** Of a longer one: its end tells it from others that begin alike. */
const END = 12;

/**
 * A name from a file as it stands among others in a table or a list: on one line, without control
 * characters, its middle left out where it is long.
 *
 * @param name Of a class, of a file.
 *
 * @example
 * ```ts
 * import { short } from "./quote.ts";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(short("line\nbreak"), "line\\x0abreak");
 * assertEquals(short(`${"a".repeat(200)}-left.jpg`), `${"a".repeat(29)}...aaa-left.jpg`);
 * ```
 */
export function short(name: string): string {
  const line = printable(name).replaceAll("\n", "\\x0a").replaceAll("\t", "\\x09");
  const characters = [...line];
  if (characters.length <= LONGEST) return line;
  const begin = characters.slice(0, LONGEST - END - 3).join("");
  return `${begin}...${characters.slice(-END).join("")}`;
}
