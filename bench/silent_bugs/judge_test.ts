import { assertEquals, assertMatch, assertThrows } from "@std/assert";
import { AuditError, findingsOf } from "./_audit.ts";
import { type CaseResult, formatResults, standingOf } from "./_judge.ts";
import { resultsPage } from "./_page.ts";
import { MISTAKES } from "./mistakes.ts";

const mistake = MISTAKES.find(({ id }) => id === "imagenet-stem")!;

function standing(
  departures: string[],
  put: typeof mistake | undefined,
  tests = false,
  tenth = false,
) {
  return standingOf({ mistake: put, tests, tenth }, { departures, verdict: "" });
}

Deno.test("a mistake is found first, found later, or missed", () => {
  assertEquals(standing(["subsampling", "depth"], mistake).standing, "first");
  assertEquals(standing(["depth", "stem"], mistake).standing, "later");
  assertEquals(standing(["depth"], mistake).standing, "missed");
  assertEquals(standing([], mistake).standing, "missed");
});

Deno.test("a right script is accused by any departure", () => {
  assertEquals(standing([], undefined).standing, "silent");
  assertEquals(standing(["depth"], undefined).standing, "accused");
});

Deno.test("that a shortened script is short is held against it only where the bench did not do it", () => {
  assertEquals(standing(["iterations"], undefined, true).standing, "silent");
  assertEquals(standing(["iterations"], undefined).standing, "accused");
  assertEquals(standing(["iterations", "stem"], mistake, true), {
    standing: "first",
    departures: ["stem"],
  });
});

Deno.test("that a script has a tenth of the images is held against it only where the bench did not do it", () => {
  assertEquals(standing(["split", "test-set-whole"], undefined, false, true).standing, "silent");
  assertEquals(standing(["split"], undefined).standing, "accused");
  assertEquals(standing(["split", "depth"], undefined, false, true).standing, "accused");
});

Deno.test("a report without changes is no audit", () => {
  for (const report of [null, {}, { changes: "none" }, { changes: [{ id: "stem" }] }, [null]]) {
    assertThrows(() => findingsOf(report, "x"), AuditError, "must have changes");
  }
  assertEquals(findingsOf({ changes: [] }, "x"), { departures: [], verdict: "" });
});

Deno.test("the table names what is not right, and counts", () => {
  const result = (id: string, standing: CaseResult["standing"], departures: string[]) => ({
    id,
    standing,
    departures,
    expects: ["stem"],
  });
  const lines = formatResults([
    result("imagenet-stem/loop/resnet8", "first", ["stem"]),
    result("imagenet-stem/trainer/resnet8", "later", ["depth", "stem"]),
    result("clean/amp/resnet8", "accused", ["loss"]),
    result("clean/amp/resnet14", "silent", []),
    { ...result("clipped/loop/resnet8", "failed", []), reason: "no torch" },
  ]).split("\n");
  assertMatch(lines[0], /^imagenet-stem +1 of 2 found first$/);
  assertEquals(
    lines[1],
    "  imagenet-stem/trainer/resnet8: found, but not first: depth, stem; expected stem",
  );
  assertMatch(lines[2], /^clean\/amp +1 of 2 not accused$/);
  assertEquals(lines[3], "  clean/amp/resnet8: falsely accused of loss");
  assertEquals(lines[5], "  clipped/loop/resnet8: failed: no torch");
  assertEquals(
    lines.at(-1),
    "mistakes: 1 found first, 1 found but not first, 0 missed; " +
      "right scripts: 1 not accused, 1 falsely accused; failed: 1",
  );
});

Deno.test("the page counts, names what was found in its order, and what was not run", () => {
  const result = (id: string, standing: CaseResult["standing"], departures: string[]) =>
    ({ id, standing, departures, expects: ["stem"] }) as const;
  const page = resultsPage([
    result("imagenet-stem/loop/resnet8", "first", ["stem", "depth"]),
    result("bgr/loop/resnet8", "missed", []),
    result("clean/amp/resnet8", "accused", ["loss"]),
  ], { command: "the command", mistakes: MISTAKES, clean: ["amp", "functional"] });
  for (
    const part of [
      "the command",
      "1 of 2 cases of 2 mistakes found first, 0 found later, 1 missed",
      "0 of 1 right scripts not accused, 1 falsely accused; 0 not judged",
      "`imagenet-stem` | ",
      "| loop, resnet8 | found first | `stem`, `depth` |",
      "| **missed** |  |",
      "| amp | resnet8 | **falsely accused** | `loss` |",
      "no-shuffle, ",
      "functional.",
    ]
  ) assertMatch(page, new RegExp(part.replace(/[|*.`]/g, "\\$&")));
});
