// The rules on recordings: each passes on a good recording, and rejects each of its bad ones.
import { assertEquals, assertNotEquals } from "@std/assert";
import { goodRecording } from "./_fixture.ts";
import { RECORDING_RULES } from "./rules.ts";

const good = goodRecording();

for (const { id, requirement, check, rejects, accepts = [] } of RECORDING_RULES) {
  Deno.test(`[${id}] ${requirement} (recording)`, () => {
    const { outcome, evidence } = check(good);
    assertEquals(outcome, "pass", evidence);
    assertNotEquals(evidence, "");
  });

  Deno.test(`[${id}] rejects what is known to go wrong (recording)`, async (t) => {
    for (const { name, why, spoil } of rejects) {
      await t.step(`${name} (${why})`, async () => {
        const { outcome, evidence } = check(await spoil(good));
        assertEquals(outcome, "fail", evidence);
        assertNotEquals(evidence, "");
      });
    }
  });

  Deno.test(`[${id}] accepts what is unusual and right (recording)`, async (t) => {
    assertEquals(accepts.length > 0, true);
    for (const { name, why, make } of accepts) {
      await t.step(`${name} (${why})`, async () => {
        const { outcome, evidence } = check(await make(good));
        assertEquals(outcome, "pass", evidence);
      });
    }
  });

  Deno.test(`[${id}] can't be told without a recording`, () => {
    assertEquals(check({}).outcome, "not-observable");
  });
}
