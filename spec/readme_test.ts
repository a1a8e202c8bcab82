import { assertEquals, assertThrows } from "@std/assert";
import { mutantsLine, withMutantsLine } from "./readme.ts";

const path = new URL("../README.md", import.meta.url);
const { state } = await Deno.permissions.query({ name: "read", path });

Deno.test({
  name: "the README's line on the mutants is the catalogue's (needs to read README.md)",
  ignore: state !== "granted",
  fn: async () => {
    const readme = await Deno.readTextFile(path);
    assertEquals(withMutantsLine(readme), readme, "run deno task readme");
  },
});

Deno.test("only the line on the mutants is made anew", () => {
  const text = "before\n<!-- mutants --> of old\nafter\n";
  assertEquals(withMutantsLine(text), `before\n${mutantsLine()}\nafter\n`);
  assertThrows(() => withMutantsLine("no line"), Error, "put it back");
});
