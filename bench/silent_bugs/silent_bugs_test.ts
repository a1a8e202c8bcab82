import { assert, assertEquals, assertMatch, assertThrows } from "@std/assert";
import {
  caseOf,
  cleanCase,
  drawnCase,
  drawVariant,
  rightFiles,
  waysOf,
  withVariant,
} from "./_case.ts";
import { changed, ChangeError, type Mistake, NETS, type Style, STYLES } from "./_mistake.ts";
import { CLEAN } from "./clean.ts";
import { MISTAKES } from "./mistakes.ts";

Deno.test("there are 41 mistakes and ten clean styles, each once", () => {
  assertEquals(new Set(MISTAKES.map(({ id }) => id)).size, 41);
  assertEquals(MISTAKES.length, 41);
  assertEquals(new Set(CLEAN.map(({ id }) => id)).size, 10);
  assertEquals(CLEAN.length, 10);
});

Deno.test("every mistake is put into both nets, and into two styles at least", () => {
  for (const mistake of MISTAKES) {
    for (const net of NETS) {
      const styles = STYLES.filter((style) => waysOf(mistake, style, net).length > 0);
      assert(styles.length >= 2, `${mistake.id} with ${net}: found ${styles.join(", ") || "none"}`);
    }
  }
});

Deno.test("every mistake takes at most 600 steps, and more than an epoch only where it has to", () => {
  for (const { id, steps } of MISTAKES) assert(steps >= 12 && steps <= 600, id);
});

Deno.test("every way of every mistake changes its file, with each of its values", async () => {
  for (const mistake of MISTAKES) {
    const used = new Set<string>();
    for (const style of STYLES) {
      for (const net of NETS) {
        const right = await rightFiles(style, net);
        for (const way of waysOf(mistake, style, net)) {
          for (const { put } of way.change) {
            for (const [, name] of put.matchAll(/<<(\w+)>>/g)) used.add(name);
          }
          for (const values of everyValue(mistake)) {
            const files = withVariant(right, { ...way, values });
            assert(files.get(way.file) !== right.get(way.file), mistake.id);
            for (const text of files.values()) assert(!/<<\w+>>/.test(text), mistake.id);
          }
        }
      }
    }
    assertEquals([...used].sort(), Object.keys(mistake.values ?? {}).sort(), mistake.id);
  }
});

/** The values of a mistake, each at least once. */
function everyValue({ values = {} }: Mistake): Record<string, string>[] {
  const most = Math.max(1, ...Object.values(values).map(({ length }) => length));
  return Array.from(
    { length: most },
    (_, i) =>
      Object.fromEntries(Object.entries(values).map(([name, of]) => [name, of[i % of.length]])),
  );
}

Deno.test("seeds draw different ways and values, and equal seeds the same", () => {
  const clipped = MISTAKES.find(({ id }) => id === "clipped")!;
  const drawn = Array.from(
    { length: 40 },
    (_, seed) => drawVariant(clipped, "loop", "resnet8", seed)!,
  );
  assertEquals(new Set(drawn.map(({ change }) => change)).size, 2);
  assertEquals(new Set(drawn.map(({ values }) => values.norm)).size, 3);
  assertEquals(drawVariant(clipped, "loop", "resnet8", 3), drawn[3]);
});

Deno.test("values that belong together are drawn together", () => {
  const constants = MISTAKES.find(({ id }) => id === "other-constants")!;
  for (let seed = 0; seed < 20; seed++) {
    const { mean, deviation } = drawVariant(constants, "trainer", "resnet8", seed)!.values;
    assertEquals(
      constants.values!.mean.indexOf(mean),
      constants.values!.deviation.indexOf(deviation),
    );
  }
});

Deno.test("a text that is to be replaced must stand exactly once", () => {
  const change = [{ find: "lr=0.1", put: "lr=1" }];
  assertThrows(() => changed("lr=0.2", change), ChangeError, "found 0");
  assertThrows(() => changed("lr=0.1, lr=0.1", change), ChangeError, "found 2");
  assertThrows(() => changed("lr=0.1", [{ find: "0.1", put: "0.1" }]), ChangeError, "must change");
  assertThrows(
    () => changed("lr=0.1", [{ find: "0.1", put: "<<rate>>" }]),
    ChangeError,
    "<<rate>>",
  );
});

Deno.test("a replacement is put in as it is, dollar signs too", () => {
  assertEquals(changed("a b", [{ find: "b", put: "$& $1" }]), "a $& $1");
});

Deno.test("scripts end by themselves where a test is what is wrong, or no loader can be ended", async () => {
  const tests = async (id: string, style: Style) =>
    (await caseOf(MISTAKES.find((mistake) => mistake.id === id)!, style, "resnet8", 0))!.tests;
  assertEquals(await tests("augmented-test", "loop"), true);
  assertEquals(await tests("clipped", "loop"), false);
  assertEquals(await tests("clipped", "functional"), true);
});

Deno.test("each mistake and right script is drawn into a style that can have it, by one seed", async () => {
  const places = new Set<string>(), seeds = new Set<number>();
  for (const of of [...MISTAKES, ...CLEAN]) {
    const one = await drawnCase(of, 5);
    assertEquals(await drawnCase(of, 5), one);
    assertEquals(one.id.split("/").at(-1), `${one.seed}`);
    assert(one.id.includes(of.id), one.id);
    places.add(one.id.split("/").slice(1, -1).join("/"));
    seeds.add(one.seed);
  }
  assert(
    STYLES.every((style) => NETS.every((net) => places.has(`${style}/${net}`))),
    [...places].join(),
  );
  assert(seeds.size > MISTAKES.length, "seeds must differ from case to case");
});

Deno.test("scripts have at most 150 lines, mistakes put in or not", async () => {
  for (const net of NETS) {
    const cases = await Promise.all([
      ...CLEAN.map((clean) => cleanCase(clean, net)),
      ...MISTAKES.flatMap((mistake) => STYLES.map((style) => caseOf(mistake, style, net, 0))),
    ]);
    for (const one of cases) {
      if (one === undefined) continue;
      const lines = one.files.get("train.py")!.split("\n").length - 1;
      assert(lines <= 170 && (one.mistake !== undefined || lines <= 150), `${one.id}: ${lines}`);
      assertMatch(one.files.get("train.py")!, /--data/);
    }
  }
});
