// One recipe, two frameworks: what our own log and a recording of PyTorch both show is judged alike.
import { assert, assertAlmostEquals, assertEquals } from "@std/assert";
import { logSubjectOf, MemoryRun, readRecording } from "../../log/mod.ts";
import { paper } from "../../recipes/mod.ts";
import { DATASET } from "../../spec/mod.ts";
import { recordedLog } from "../../testing/files/mod.ts";
import { nullEngineFactory } from "../../testing/mod.ts";
import { train } from "../../train/mod.ts";
import { audit } from "../audit.ts";
import { runSubject } from "../targets.ts";
import { auditRecording } from "./audit.ts";

// The paper's recipe, stopped after a few steps as the recording is; the engine trains nothing.
const folder = new MemoryRun();
await train({
  recipe: paper("resnet8"),
  ...{ seed: 0, dataset: () => Promise.resolve(DATASET), engine: nullEngineFactory },
  ...{ engineReason: "judgements are compared", out: "/run", open: folder.open, stopAfter: 12 },
  ...{ logEvery: 5, evalEvery: 20, checkpointEvery: 20 },
  ...{ versions: {}, revision: null, command: [] },
});
const run = await audit(
  runSubject("run", await logSubjectOf("run", (path) => folder.read(path))),
);
const recorded = await readRecording("recording", () => Promise.resolve(recordedLog()));
const { report } = await auditRecording("recording", recorded);

Deno.test("a run of ours and a recording of the same recipe get the same judgements", () => {
  const seen = (judgements: typeof run.judgements) =>
    new Map(
      judgements.filter(({ outcome }) => outcome !== "not-observable")
        .map(({ id, outcome }) => [id, outcome]),
    );
  const ours = seen(run.judgements), theirs = seen(report.judgements);
  const both = [...ours.keys()].filter((id) => theirs.has(id));
  assertEquals(both.map((id) => [id, theirs.get(id)]), both.map((id) => [id, ours.get(id)]));
  // The network's rules, and what a step shows.
  for (const id of ["stem", "identity", "activation", "momentum", "weight-decay", "batch-size"]) {
    assert(both.includes(id), `${id} is not among ${both.join(", ")}`);
  }
  assert(both.length >= 18, both.join(", "));
});

Deno.test("the seconds that the recorded steps waited for their loader are added up", () => {
  const { seconds, waited, workers } = report.waiting!;
  // Added up by Python's json and sum.
  assertAlmostEquals(seconds, 5.973463794000054, 1e-9);
  assertAlmostEquals(waited, 0.5765045039970573, 1e-9);
  assertEquals(workers, 0);
});

Deno.test("both decide the open points that they show by the same readings", () => {
  const theirs = new Map(report.choices.map(({ id, choice }) => [id, choice]));
  for (const { id, choice } of run.choices) {
    assert(theirs.has(id));
    // The recorded script puts its zero channels on both sides, which the paper leaves open.
    if (theirs.get(id) !== undefined && !["zero-channels", "epoch-end"].includes(id)) {
      assertEquals(theirs.get(id), choice, id);
    }
  }
  assert([...theirs.values()].filter((choice) => choice !== undefined).length >= 4);
});
