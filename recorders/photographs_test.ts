/** A training on photographs, recorded and audited: right, and with mistakes that any may have. */
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { auditRecording, type RecordingReport } from "../audit/recording/mod.ts";
import { loadDataset } from "../data/mod.ts";
import { readRecording } from "../log/mod.ts";
import { pythonTest, runProgram } from "../testing/mod.ts";

const here = (name: string) => decodeURIComponent(new URL(name, import.meta.url).pathname);

/** What is put in, and the rule that it breaks. */
const MISTAKES = {
  "no-eval": "evaluation-mode",
  "softmax": "logits",
  "summed": "loss",
  "same-transform": "evaluation-view",
  "frozen-stem": "parameters-optimised",
  "never-stepped": "scheduler-stepped",
  "stepped-per-batch": "scheduler-stepped",
} as const;

/** A net as an extractor of features: all but its last layer is frozen, its statistics too or not. */
const FEATURES = ["features", "still-features"];

pythonTest("a training on photographs is judged by section 3.4, and its mistakes are named first", [
  "torch",
  "torchvision",
  "PIL",
], async () => {
  const folder = await Deno.makeTempDir();
  try {
    await Deno.copyFile(here("pytorch.py"), `${folder}/pytorch_recorder.py`);
    await Deno.copyFile(here("_fixtures/photographs.py"), `${folder}/photographs.py`);
    const args = ["photographs.py", folder, ...Object.keys(MISTAKES), ...FEATURES];
    const { code, errors } = await runProgram("python3", args, folder, { OMP_NUM_THREADS: "1" });
    assertEquals(code, 0, errors);
    const audited = async (name: string): Promise<RecordingReport> =>
      (await auditRecording(name, await readRecording(`${folder}/${name}`))).report;
    const departures = ["learning-rate", "weight-decay", "batch-size"];

    const right = await audited("right");
    const [what, first, others] = right.verdict;
    assertStringIncludes(what, "Trained on photographs, the matter of the paper's section 3.4: ");
    assertStringIncludes(what, "on images of 64x64");
    assertStringIncludes(first, "No mistake was seen");
    assertStringIncludes(
      others,
      "Chosen otherwise than in section 3.4: learning-rate (the rate is ",
    );
    assertEquals(right.changes.map(({ rule }) => rule), departures);
    assert(right.changes.every(({ choice }) => choice));
    assert(!JSON.stringify(right).includes("--data"), "photographs can't be matched");

    for (const name of FEATURES) {
      assertEquals((await audited(name)).changes.map(({ rule }) => rule), departures, name);
    }

    for (const [mistake, rule] of Object.entries(MISTAKES)) {
      const { changes, verdict } = await audited(mistake);
      const wrong = changes.filter(({ choice }) => !choice).map(({ rule }) => rule);
      assertEquals([mistake, wrong], [mistake, [rule]]);
      assertStringIncludes(verdict[1], `[${rule}]`);
    }

    // Who says that they are CIFAR-10's is believed, and told so.
    const { verdict, notes } = (await auditRecording(
      "right",
      await readRecording(`${folder}/right`),
      await loadDataset("shapes10"),
    ))
      .report;
    assertStringIncludes(verdict[0], "a net that is not the paper's");
    assertStringIncludes(notes[0], "of 64x64. They are taken for enlarged small ones");
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
