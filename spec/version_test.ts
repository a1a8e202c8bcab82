import { assert, assertEquals } from "@std/assert";
import { ALL_RULES, STATEMENTS, statementsMap } from "./statements.ts";
import { CHECKLIST, checklistInWords, checklistSha256 } from "./version.ts";

Deno.test("the checklist's version is that of its rules", () => {
  assertEquals(
    CHECKLIST.sha256,
    checklistSha256().slice(0, 12),
    "the rules changed: run deno task readme",
  );
  assertEquals(CHECKLIST.rules, ALL_RULES.length);
});

Deno.test("a statement's rules are rules, and one without has a reason", () => {
  const ids = new Set(ALL_RULES.map(({ id }) => id));
  for (const { says, rules, why } of STATEMENTS) {
    for (const id of rules) assert(ids.has(id), `${says}: no rule "${id}"`);
    assertEquals(rules.length === 0, why !== undefined, says);
  }
});

Deno.test("every rule has at least two bad cases that fail and one unusual one that passes", () => {
  for (const { id, tier, rejects, accepts = [] } of ALL_RULES) {
    assert(rejects.length >= 2 && accepts.length >= 1, `${tier}/${id}`);
  }
});

const path = new URL("./README.md", import.meta.url);
const { state } = await Deno.permissions.query({ name: "read", path });

Deno.test({
  name: "spec/README.md is the map of the statements (needs to read it)",
  ignore: state !== "granted",
  fn: async () => {
    // Formatting may break its lines elsewhere.
    const words = (text: string) => text.replaceAll(/[\s|-]+/g, " ");
    const found = words(await Deno.readTextFile(path));
    const right = words(statementsMap(checklistInWords(CHECKLIST)));
    assertEquals(found, right, "run deno task readme");
  },
});
