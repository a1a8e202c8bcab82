/** Foreign text as a terminal or a page may show it. */

/**
 * What a terminal obeys or what hides text: control characters but for line
 * feeds and tabs (escapes, colours, cursor movements, in 7 and in 8 bits), and
 * the marks that turn the direction of what follows.
 */
// deno-lint-ignore no-control-regex -- they are what is looked for
const OBEYED = /[\0-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]/g;

/**
 * A text in which no character does anything to a terminal: each that would is
 * shown as its escape.
 *
 * @param text Any text; names and messages from files may be in it.
 *
 * @example
 * ```ts
 * import { printable } from "./printable.ts";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(printable("a\nb\x1b[2Jc\x9b1m\u202e"), "a\nb\\x1b[2Jc\\x9b1m\\u202e");
 * ```
 */
export function printable(text: string): string {
  return text.replace(OBEYED, (character) => {
    const code = character.charCodeAt(0);
    const digits = code < 0x100 ? 2 : 4;
    return `\\${digits === 2 ? "x" : "u"}${code.toString(16).padStart(digits, "0")}`;
  });
}

/**
 * A value as JSON in which no character does anything to a terminal; it says the same.
 *
 * @param value Any value.
 */
export function printableJson(value: unknown): string {
  return JSON.stringify(value).replace(
    OBEYED,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}
