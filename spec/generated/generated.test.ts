// A sample of what `deno task test:deep` draws: the rules against subjects that nobody wrote.
import { assert, assertEquals } from "@std/assert";
import { STATIC_RULES } from "../checklist.ts";
import { LOG_RULES } from "../log/rules.ts";
import { STATISTICAL_RULES } from "../statistical/rules.ts";
import { KINDS } from "./kinds.ts";
import { NETS } from "./nets.ts";
import { tryRules } from "./trial.ts";

/** Conformance alone, without flags, takes a few; the whole gate, which may read, takes more. */
const { state } = await Deno.permissions.query({ name: "read" });
/** Right ones, and as many wrong ones: recipes take longest. */
const COUNTS: Readonly<Record<string, number>> = state === "granted"
  ? { nets: 200, logs: 60, sets: 200, recipes: 40 }
  : { nets: 30, logs: 5, sets: 20, recipes: 3 };

for (const [part, kind] of KINDS.entries()) {
  const count = COUNTS[kind.name];
  Deno.test(`${kind.name} that were drawn: ${count} right ones pass, ${count} wrong ones don't`, () => {
    const { mistakes, undecided } = tryRules(kind, part, { seed: 7, count });
    assertEquals(mistakes, []);
    const left = [...undecided.values()].reduce((sum, one) => sum + one, 0);
    assert(left <= 0.05 * 2 * count, `${left} undecided: ${[...undecided.keys()].join("; ")}`);
  });
}

Deno.test("a rule that lets all pass, fails all, or breaks is found", () => {
  const with_ = (outcome: "pass" | "fail") => ({
    ...NETS,
    judge: () => [{
      ...{ id: "x", section: "", requirement: "", tier: "static" as const },
      ...{ outcome, evidence: "so it is" },
    }],
  });
  const of = (outcome: "pass" | "fail") =>
    tryRules(with_(outcome), 0, { seed: 1, count: 5 }).mistakes;
  assertEquals(of("pass").filter((one) => /^wrong: .* passes$/.test(one)).length, 5);
  assertEquals(of("fail").filter((one) => one.startsWith("right: ")).length, 5);
  assertEquals(of("fail").filter((one) => one.includes("by others than")).length, 5);
});

Deno.test("what a drawn change breaks are rules", () => {
  const ids = new Set([...STATIC_RULES, ...LOG_RULES, ...STATISTICAL_RULES].map(({ id }) => id));
  for (const kind of KINDS) {
    for (const by of kind.breaks) assert(ids.has(by), `${kind.name}: no rule "${by}"`);
  }
});
