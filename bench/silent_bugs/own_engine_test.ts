/** One recipe, two frameworks: our engine's run and a recording of PyTorch are judged alike. */
import { assert, assertEquals } from "@std/assert";
import { audit, runSubject } from "../../audit/mod.ts";
import { auditRecording } from "../../audit/recording/mod.ts";
import { type Dataset, loadDataset } from "../../data/mod.ts";
import { type ByteImages, chooseEngine, engineFactories } from "../../engine/mod.ts";
import { logSubjectOf, MemoryRun, readRecording } from "../../log/mod.ts";
import { paper, type Recipe, type RecipeChanges, vary } from "../../recipes/mod.ts";
import { pythonTest } from "../../testing/mod.ts";
import { train } from "../../train/mod.ts";
import { writeBinaryFiles } from "./_binary_files.ts";
import { cleanCase, withVariant } from "./_case.ts";
import type { Change } from "./_mistake.ts";
import { record } from "./_record.ts";
import { CLEAN } from "./clean.ts";
import { isThere } from "../../testing/files/mod.ts";

/** 1,024 images, and so many are kept: enough for every offset. */
const STEPS = 8;

/** What the script does where the paper leaves a point open. */
const AS_THE_SCRIPT: RecipeChanges = {
  architecture: { zeroChannels: "split" },
  data: { meanSubtracted: "after-crop", epochEnd: "keep-partial" },
};

/** A recipe that departs in many things, and how the script comes to it. */
const DEPARTING: { readonly recipe: RecipeChanges; readonly change: Change } = {
  recipe: {
    data: { augmentation: "none" },
    batchSize: 64,
    batchNormImages: 64,
    optimiser: { momentum: 0.8, weightDecay: 0.005 },
    schedule: { boundaries: [3, 6], iterations: STEPS },
  },
  change: [
    {
      find: "    transforms.RandomCrop(32, padding=4),\n    transforms.RandomHorizontalFlip(),\n",
      put: "",
    },
    { find: "batch_size=128", put: "batch_size=64" },
    { find: "momentum=0.9, weight_decay=1e-4", put: "momentum=0.8, weight_decay=5e-3" },
    { find: "milestones=[32000, 48000]", put: "milestones=[3, 6]" },
  ],
};

/** Rules that both decide. */
const BOTH = [
  ...["input", "stem", "stages", "depth", "subsampling", "head", "shortcuts", "identity"],
  ...["parameters", "batch-norm", "activation", "no-bias", "no-dropout", "initialisation"],
  ...["data-set", "split", "batches-from-training-images", "shuffled", "mean", "augmentation"],
  ...["test-view", "test-set-unseen", "test-set-whole"],
  ...["batch-size", "momentum", "weight-decay", "learning-rate", "from-scratch"],
];

/** Rules that a run of ours decides and a recording does not, by why. */
const ONLY_RUN: Readonly<Record<string, readonly string[]>> = {
  "a run states beforehand what it will do; of another's training only what was done is seen": [
    ...["iterations", "warm-up", "declared", "graph-stated", "batch-norm-constants"],
    ...["recipe-of-paper", "parameters-logged", "departures-logged"],
  ],
  "of a recorded training, which may end early, `learning-rate` and `batch-size` say it": [
    ...["rates-used", "steps-taken", "images-per-step", "warm-up-ended", "warm-up-length"],
  ],
  "it is about the files and lines that a run of ours leaves": [
    ...["data-files", "split-made", "mean-measured-on", "files-named", "run-finished", "resumes"],
    ...["error-recomputed", "final-step", "plausible"],
  ],
  "only of CIFAR-10 is it known which images a seed holds out": ["seed-used"],
};

/** Rules that a recording decides and a run of ours does not, by why. */
const ONLY_RECORDING: Readonly<Record<string, readonly string[]>> = {
  "our engine makes each view from the plan of batches, which `augmentation` and `test-view` judge":
    [
      ...["crop", "view-of-each-image", "validation-view"],
      ...["scale", "channel-order", "pixel-order", "same-preparation"],
    ],
  "our log can't be written otherwise: there are no labels, sums or errors but its own": [
    ...["labels", "error-over-images"],
  ],
  "of our engine it is probed (spec/numeric), and no run can depart from it": [
    ...["logits", "loss", "optimiser", "running-statistics", "gradients-cleared"],
    ...["gradients-clipped", "parameters-optimised", "training-mode", "evaluation-mode"],
  ],
  "the rate of a run of ours is a function of its step: there is no scheduler to forget": [
    "scheduler-stepped",
  ],
  "a run of ours whose loss is no number ends with a failure": ["finite"],
};

/** By rule: whether it is kept. Rules that can't be observed are left out. */
function outcomesOf(
  judgements: readonly { readonly id: string; readonly outcome: string }[],
): ReadonlyMap<string, string> {
  return new Map(
    judgements.filter(({ outcome }) => outcome !== "not-observable")
      .map(({ id, outcome }) => [id, outcome]),
  );
}

/** What is trained twice. */
interface Training {
  readonly recipe: Recipe;
  /** What the right script has in place of the paper's recipe. */
  readonly change?: Change;
  readonly images: Dataset;
  /** Their folder, where it is there already. */
  readonly data?: string;
}

async function judgedRun({ recipe, images }: Training) {
  const { factory, reason } = await chooseEngine("wasm", engineFactories);
  const folder = new MemoryRun();
  await train({
    ...{ recipe, seed: 0, dataset: () => Promise.resolve(images) },
    ...{ engine: factory, engineReason: reason, out: "/run", open: folder.open },
    ...{ stopAfter: STEPS, logEvery: 1, evalEvery: STEPS, checkpointEvery: STEPS },
    ...{ versions: {}, revision: null, command: [] },
  });
  return await audit(runSubject("run", await logSubjectOf("run", (path) => folder.read(path))));
}

async function judgedRecording({ change, images, data }: Training) {
  const right = await cleanCase(CLEAN.find(({ id }) => id === "plain-loop")!, "resnet8");
  const files = change === undefined
    ? right.files
    : withVariant(right.files, { file: "train.py", change, values: {} });
  const folder = await Deno.makeTempDir();
  try {
    if (data === undefined) await writeBinaryFiles(`${folder}/data`, images);
    // On all of CIFAR-10 its validation is enough: the test would take longer than the training.
    const one = { ...right, files, steps: STEPS, tests: data === undefined };
    await record(one, { folder: `${folder}/case`, data: data ?? `${folder}/data` });
    const recording = await readRecording(`${folder}/case/recording`);
    return (await auditRecording("recording", recording, images)).report;
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** Trains by our engine and by PyTorch, and holds what is said of the two against each other. */
async function compared(training: Training) {
  const [recorded, run] = await Promise.all([judgedRecording(training), judgedRun(training)]);
  const ours = outcomesOf(run.judgements), theirs = outcomesOf(recorded.judgements);
  const both = [...ours.keys()].filter((id) => theirs.has(id));
  assertEquals(both.map((id) => [id, theirs.get(id)]), both.map((id) => [id, ours.get(id)]));
  const readings = new Map(recorded.choices.map(({ id, choice }) => [id, choice]));
  const seen = run.choices.filter(({ id }) =>
    readings.get(id) !== undefined &&
    // Of a split that the paper does not have each is said in other words.
    (id !== "training-images" || ours.get("split") === "pass")
  );
  assertEquals(
    seen.map(({ id }) => [id, readings.get(id)]),
    seen.map(({ id, choice }) => [id, choice]),
  );
  return { ours, theirs, both, seen };
}

/** A fifth of the built-in images: nothing is downloaded, and an epoch has 1,800. */
async function builtIn(): Promise<Training> {
  const images = await loadDataset("shapes10");
  const fifth = (part: ByteImages): ByteImages => ({
    ...part,
    count: part.count / 5,
    pixels: part.pixels.subarray(0, part.pixels.length / 5),
    labels: part.labels.subarray(0, part.count / 5),
  });
  const set = { set: "shapes10", split: { training: 1_800, validation: 200 } } as const;
  return {
    images: { ...images, train: fifth(images.train), test: fifth(images.test) },
    recipe: vary(asTheScript(), { data: set }, "nothing is downloaded"),
  };
}

function asTheScript(): Recipe {
  return vary(paper("resnet8"), AS_THE_SCRIPT, "the script reads the paper so");
}

const CIFAR_10 = new URL("../../../shared/cifar-10-batches-bin", import.meta.url);

async function cifar10(): Promise<Training> {
  const data = decodeURIComponent(CIFAR_10.pathname);
  return { data, images: await loadDataset("cifar10", { path: data }), recipe: asTheScript() };
}

const images = isThere(CIFAR_10)
  ? "CIFAR-10"
  : "built-in images (on CIFAR-10 where ../shared/cifar-10-batches-bin is)";
pythonTest(
  `a run of ours and a recording of PyTorch get the same judgements: ${images}`,
  ["torch", "numpy"],
  async (t) => {
    const found: Awaited<ReturnType<typeof compared>>[] = [];
    await t.step("of the paper's recipe", async () => {
      const one = await compared(isThere(CIFAR_10) ? await cifar10() : await builtIn());
      // A resnet8 is no net of Table 6, and built-in images are no CIFAR-10: nothing else departs.
      const departing = one.both.filter((id) => one.ours.get(id) === "fail");
      assertEquals(departing, isThere(CIFAR_10) ? [] : ["data-set", "split"]);
      assert(one.seen.length >= 8, one.seen.map(({ id }) => id).join(", "));
      found.push(one);
    });
    await t.step("of one that departs", async () => {
      const training = await builtIn();
      const recipe = vary(training.recipe, DEPARTING.recipe, "to be found");
      const one = await compared({ ...training, recipe, change: DEPARTING.change });
      const departing = one.both.filter((id) => one.ours.get(id) === "fail");
      assertEquals(departing.toSorted(), [
        ...["augmentation", "batch-size", "data-set", "learning-rate", "momentum", "split"],
        ...["test-set-whole", "weight-decay"],
      ]);
      found.push(one);
    });
    await t.step("each rule that only one of them decides is named with its reason", () => {
      const both = new Set(found.flatMap((one) => one.both));
      const only = (of: "ours" | "theirs") =>
        [...new Set(found.flatMap((one) => [...one[of].keys()]))].filter((id) => !both.has(id));
      assertEquals([...both].toSorted(), BOTH.toSorted());
      const known = Object.values(ONLY_RUN).flat()
        .filter((id) => id !== "seed-used" || isThere(CIFAR_10));
      assertEquals(only("ours").toSorted(), known.toSorted());
      assertEquals(only("theirs").toSorted(), Object.values(ONLY_RECORDING).flat().toSorted());
    });
  },
);
