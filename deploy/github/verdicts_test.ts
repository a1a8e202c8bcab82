import { assert, assertEquals, assertThrows } from "@std/assert";
import { compose } from "./publish.ts";
import { changes, describe, verdictsOf } from "./verdicts.ts";

const report = (...nets: [name: string, kind: string | null][]) => ({
  groups: [{
    data: { set: "cifar10" },
    ...{ iterations: 64_000, recipe: "paper" },
    nets: nets.map(([architecture, kind]) => ({
      architecture,
      verdict: kind === null ? null : { kind, sentence: `It is ${kind}.` },
    })),
  }],
});
const RESNET20 = "gpu: resnet20 on cifar10, 64000 iterations, recipe paper";
const last = (kind: string) => ({ [RESNET20]: { kind, sentence: `It was ${kind}.` } });

Deno.test("a report's verdicts are read, but for those that say nothing", () => {
  const json = report(["resnet20", "equivalent"], ["resnet32", "none"], ["plain20", null]);
  assertEquals(verdictsOf("gpu", json), {
    [RESNET20]: { kind: "equivalent", sentence: "It is equivalent." },
  });
  assertThrows(() => verdictsOf("gpu", { groups: [{ nets: [] }] }), Error, "iterations");
});

Deno.test("another verdict is a change, the same one in other words is none", () => {
  const after = verdictsOf("gpu", report(["resnet20", "different"]));
  assertEquals(changes(last("equivalent"), after), [{
    subject: RESNET20,
    before: last("equivalent")[RESNET20],
    after: after[RESNET20],
  }]);
  assertEquals(changes(last("different"), after), []);
});

Deno.test("a first verdict is news only where it speaks against the paper's figure", () => {
  const first = (kind: string) => changes({}, verdictsOf("gpu", report(["resnet20", kind]))).length;
  assertEquals(
    ["equivalent", "different", "inconclusive", "not inconsistent", "inconsistent"].map(first),
    [0, 1, 0, 0, 1],
  );
});

Deno.test("an issue says the verdicts before and now, and where the reports are", () => {
  const text = describe(
    changes(last("equivalent"), verdictsOf("gpu", report(["resnet20", "different"]))),
    "https://example.org/",
  );
  for (const part of ["was *equivalent*, is *different*", "It was equivalent.", "example.org"]) {
    assert(text.includes(part), `${part} is missing in ${text}`);
  }
});

Deno.test("a night without a place keeps its report, and one without a verdict the last one", async () => {
  const from = (files: Record<string, string>) => (path: string) => Promise.resolve(files[path]);
  const { files, before, after } = await compose(
    ["gpu", "cpu", "never"],
    from({
      "cpu/report.html": "new page",
      "cpu/report.md": "new text",
      "cpu/report.json": JSON.stringify(report(["resnet20", "none"])),
    }),
    from({
      "verdicts.json": JSON.stringify(last("equivalent")),
      "cpu/report.html": "old page",
      "gpu/report.html": "kept page",
      "gpu/report.json": JSON.stringify(report(["resnet20", "different"])),
    }),
  );
  assertEquals(files.get("cpu/report.html"), "new page");
  assertEquals(files.get("gpu/report.html"), "kept page");
  assertEquals(before, last("equivalent"));
  // Last week's report of the other machine must not come back as news.
  assertEquals(after, last("equivalent"));
  assertEquals(JSON.parse(files.get("verdicts.json")!), after);
  const index = files.get("index.html")!;
  assert(index.includes("gpu/report.html") && index.includes("cpu/report.html"));
  assert(!index.includes("never"));
});

Deno.test("one machine's verdict hides no other's, and theirs may differ night after night", async () => {
  const files = new Map([["gpu", "different"], ["cpu", "equivalent"]].flatMap(([place, kind]) => [
    [`${place}/report.html`, "page"],
    [`${place}/report.json`, JSON.stringify(report(["resnet20", kind]))],
  ]) as [string, string][]);
  const tonight = (path: string) => Promise.resolve(files.get(path));
  const first = await compose(["gpu", "cpu"], tonight, () => Promise.resolve(undefined));
  assertEquals(changes(first.before, first.after).map(({ subject }) => subject), [RESNET20]);
  const published = (path: string) => Promise.resolve(first.files.get(path));
  const second = await compose(["gpu", "cpu"], tonight, published);
  assertEquals(changes(second.before, second.after), []);
});
