// A run on photographs is audited as what it is: by section 3.4, not as a wrong net for CIFAR-10.
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { readFolder, subjectOfReading } from "../log/mod.ts";
import { fixtureFolder, readerOf } from "../testing/runs/mod.ts";
import { audit } from "./audit.ts";
import { runSubject } from "./targets.ts";

Deno.test("a run on photographs departs from section 3.4 where it says so, and is no wrong CIFAR net", async () => {
  const folder = await fixtureFolder({ set: "photographs", samples: false });
  const log = subjectOfReading(await readFolder("run", readerOf(folder)));
  // What the made-up log has wrong in itself is no matter here.
  const made = ["final-step", "files-named"];
  const { findings, judgements, summary, changes, candidates } = await audit(
    runSubject("run", log),
  );
  assertEquals(
    findings.filter(({ id }) => !made.includes(id)).map(({ id, severity }) => [id, severity]),
    [["recipe-of-paper", "departure"]],
  );
  assertEquals(changes, []);
  assert(judgements.every(({ section }) => section === "all" || section.includes("3.")));
  assertStringIncludes(summary[0], "the matter of the paper's section 3.4: ResNet-18 with 18 ");
  assertStringIncludes(summary[0], "on images of 224x224");
  // 11,689,512 of torchvision's with 1,000 classes; here ten: 990 * 513 fewer.
  assertEquals(candidates.map(({ parameters }) => parameters), [11_689_512 - 990 * 513]);
});
