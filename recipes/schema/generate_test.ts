import { assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { type Documentation, SCHEMA_FILES, schemaOf, schemaText } from "./generate.ts";

const ROOT = new URL("../..", import.meta.url).pathname;
const mayRun =
  Deno.permissions.querySync({ name: "run", command: Deno.execPath() }).state === "granted" &&
  Deno.permissions.querySync({ name: "read", path: ROOT }).state === "granted";

for (const file of SCHEMA_FILES) {
  Deno.test({
    name: `${file.schema} says what ${file.types} says${mayRun ? "" : " (not run: --allow-run)"}`,
    ignore: !mayRun,
    fn: async () => {
      assertEquals(
        await Deno.readTextFile(`${ROOT}/${file.schema}`),
        await schemaOf(file, ROOT),
        "run: deno task schemas",
      );
    },
  });
}

const FILE = { types: "a/types.ts", schema: "a/_schema.ts", leaves: "b", roots: { line: "Line" } };
const TEXT = { kind: "keyword", value: "string" } as const;

/** The schema of an interface `Line` with one field. */
function schemaWith(tsType: unknown, optional = false): string {
  const def = { properties: [{ name: "field", optional, tsType }] };
  const declarations = [{ kind: "interface", def }];
  const documentation = { nodes: { "": { symbols: [{ name: "Line", declarations }] } } };
  return schemaText(FILE, documentation as Documentation);
}

Deno.test("a field is what its type says, and nothing beside it", () => {
  const named = (typeName: string, ...typeParams: unknown[]) => ({
    kind: "typeRef",
    value: { typeName, typeParams },
  });
  const text = { kind: "literal", value: { kind: "string", string: "a" } };
  const none = { kind: "keyword", value: "null" };
  for (
    const [tsType, expected] of [
      [TEXT, "z.string()"],
      [named("Count"), "count"],
      [{ kind: "array", value: named("Share") }, "z.array(share)"],
      [{ kind: "union", value: [text, text] }, 'z.enum(["a", "a"])'],
      [{ kind: "union", value: [TEXT, none] }, "z.string().nullable()"],
      [named("Readonly", named("Record", TEXT, named("Count"))), "z.record(z.string(), count)"],
    ]
  ) {
    assertStringIncludes(schemaWith(tsType), `z.strictObject({ field: ${expected} })`);
    assertStringIncludes(schemaWith(tsType, true), `field: ${expected}.optional()`);
  }
});

Deno.test("a type that leaves a range open is refused by its field", () => {
  const refused = (tsType: unknown) => assertThrows(() => schemaWith(tsType), TypeError).message;
  assertStringIncludes(refused({ kind: "keyword", value: "number" }), "Line.field");
  assertStringIncludes(refused({ kind: "union", value: [TEXT, TEXT] }), "Line.field");
  assertStringIncludes(refused({ kind: "conditional" }), "conditional");
});
