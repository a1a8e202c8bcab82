import { assert, assertEquals } from "@std/assert";
import { printable, printableJson, quote, short } from "./mod.ts";

const HOSTILE = "a\x1b]0;title\x07\x9b31m\r\u202eb\u2028\x7f\n\tc";

Deno.test("no character is left that a terminal obeys, and what it was is shown", () => {
  assertEquals(
    printable(HOSTILE),
    "a\\x1b]0;title\\x07\\x9b31m\\x0d\\u202eb\\u2028\\x7f\n\tc",
  );
  assertEquals(printable("Größe 3×3 “ok” …/a"), "Größe 3×3 “ok” …/a");
});

Deno.test("JSON says the same without such characters, also where it names an escape", () => {
  const value = { name: HOSTILE, literal: "\\x1b and \\\\x41" };
  const text = printableJson(value);
  assertEquals(JSON.parse(text), value);
  assertEquals(printable(text), text);
});

Deno.test("a quoted name has none either", () => {
  assertEquals(printable(quote(HOSTILE)), quote(HOSTILE));
  assert(quote("x".repeat(200)).length < 110);
});

Deno.test("a name among others takes one line, and keeps its end where it is long", () => {
  assertEquals(short("two\nlines\tand \x1b[31m"), "two\\x0alines\\x09and \\x1b[31m");
  // As long as the longest of ImageNet's, and whole.
  const terrier = "American Staffordshire terrier (n02093428)";
  assertEquals(short(terrier), terrier);
  const [one, other] = ["1", "2"].map((end) => short(`${"🐜".repeat(200)}${end}`));
  assertEquals([[...one].length, one.isWellFormed(), one === other], [44, true, false]);
});
