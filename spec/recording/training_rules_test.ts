// What recordings of real scripts taught: lines as a recorder writes them, and what they must not be taken for.
import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import type { RecordedEvaluation, RecordingLine } from "../../log/mod.ts";
import { architecture, initialise } from "../../resnet/mod.ts";
import { inProcesses } from "./_bad.ts";
import { goodRecording } from "./_fixture.ts";
import { RECORDING_RULES } from "./rules.ts";
import type { RecordingSubject } from "./subject.ts";

const good = goodRecording();

function judged(id: string, subject: RecordingSubject) {
  return RECORDING_RULES.find((rule) => rule.id === id)!.check(subject);
}

/** The good recording with other lines. */
function withLines(change: (line: RecordingLine) => readonly RecordingLine[]): RecordingSubject {
  return { ...good, log: { ...good.log, lines: good.log.lines.flatMap(change) } };
}

/** Milestones in epochs, and a call behind an epoch that the recorder ended after 100 steps. */
function cutEpoch(milestones: readonly number[]): RecordingSubject {
  const placed = { time: "2026-01-01T00:00:00Z", iteration: 100 };
  return withLines((line) => {
    if (line.type === "scheduler") {
      return [{ ...line, settings: { ...line.settings, milestones } }];
    }
    if (line.type === "scheduler-step" || (line.type === "step" && line.iteration > 100)) return [];
    if (line.type !== "end") return [line];
    return [
      { type: "epoch", ...placed, border: "end", loader: 1, epoch: 1, batches: 100, cut: true },
      {
        type: "scheduler-step",
        ...{ ...placed, scheduler: 1, call: 1, stepsSince: 100, place: "epoch" },
        ...{ before: [0.1], after: [0.1] },
      },
      { ...line, schedulerCalls: { 1: 1 } },
    ];
  });
}

Deno.test("an epoch that the recorder ended is no measure of an epoch: the loader's length is", () => {
  // 352 batches an epoch: 32,032 and 47,872 steps.
  const right = judged("learning-rate", cutEpoch([91, 136]));
  assertEquals(right.outcome, "pass", right.evidence);
  const early = judged("learning-rate", cutEpoch([81, 122]));
  assertEquals(early.outcome, "fail");
  assertStringIncludes(early.evidence, "28,512, 42,944 steps");
});

Deno.test("the last layer may start by the other fan than the convolutions: both are He's", () => {
  const other = initialise(good.graph, 1, "out").get("linear.weight")!;
  const mixed = (change: (weight: number) => number) =>
    judged("initialisation", {
      ...good,
      initialWeights: new Map([
        ...good.initialWeights,
        ["linear.weight", { ...other, data: other.data.map(change) }],
      ]),
    });
  assertEquals(mixed((weight) => weight).outcome, "pass");
  assertStringIncludes(mixed((weight) => 2 * weight).evidence, "linear.weight");
});

Deno.test("of a recording without steps nothing is said", () => {
  const none = withLines((line) => line.type === "step" || line.type === "loss" ? [] : [line]);
  const { evidence, outcome } = judged("finite", { ...none, training: [], evaluations: [] });
  assertEquals([outcome, evidence], ["not-observable", "no loss and no gradient was seen"]);
});

Deno.test("wrong labels are named by their classes, as far as their names are known", () => {
  const given = (change: (label: number) => number, classNames?: readonly string[]) =>
    judged("labels", {
      ...good,
      dataset: { ...good.dataset, classNames },
      training: good.training.map((one) => ({ ...one, labels: one.labels.map(change) })),
    }).evidence;
  const names = ["airplane", "automobile", "bird"];
  const swapped = (label: number) => label === 1 ? 2 : label === 2 ? 1 : label;
  assertStringIncludes(given(swapped, names), "class 1 (automobile) is trained as 2 (bird)");
  assertStringIncludes(given(swapped), "class 1 is trained as 2");
  let at = 0;
  const mixed = given((label) => (label + at++ % 5) % 10, names);
  assertMatch(mixed, /: image [\d,]+ of class \d( \(\w+\))? is trained as \d/);
});

Deno.test("where schedulers follow each other, milestones are where the next takes over", () => {
  const sequence = (...classes: readonly string[]) =>
    judged(
      "learning-rate",
      withLines((line) => {
        if (line.type !== "scheduler") return [line];
        const parts = classes.map((name, i) => ({
          ...{ ...line, id: 10 + i, class: `torch.optim.lr_scheduler.${name}` },
          settings: name === "MultiStepLR" ? line.settings : {},
        }));
        const schedulers = parts.map(({ id }) => id);
        const name = "torch.optim.lr_scheduler.SequentialLR";
        return [...parts, { ...line, class: name, settings: { milestones: [5] }, schedulers }];
      }),
    );
  const cosine = sequence("LinearLR", "CosineAnnealingLR");
  assertEquals(cosine.outcome, "fail");
  assertStringIncludes(cosine.evidence, "SequentialLR of LinearLR and CosineAnnealingLR");
  const paper = sequence("LinearLR", "MultiStepLR");
  assertEquals(paper.outcome, "not-observable", paper.evidence);
});

Deno.test("a scheduler that is not stepped yet is no mistake beside one that is", () => {
  const later = withLines((line) =>
    line.type !== "scheduler" ? [line] : [line, {
      ...{ ...line, id: 2, class: "torch.optim.swa_utils.SWALR", settings: {} },
    }]
  );
  const { outcome, evidence } = judged("scheduler-stepped", later);
  assertEquals(outcome, "not-observable");
  assertStringIncludes(evidence, "SWALR was not stepped yet");
  assertEquals(judged("learning-rate", later).outcome, "pass");
  assertEquals(
    judged("learning-rate", { ...later, photographs: true }).evidence.includes("see scheduler"),
    false,
  );
});

Deno.test("what one of several processes scored is not taken for all that was", () => {
  const shared = (images: number, text: string): RecordingSubject => {
    const subject = withLines((line) => [line.type === "print" ? { ...line, text } : line]);
    return {
      ...{ ...subject, log: inProcesses(4, subject.log!) },
      evaluations: good.evaluations.map((one) => ({ ...one, line: { ...one.line!, images } })),
    };
  };
  const outcome = (id: string, images: number) =>
    judged(id, shared(images, "test error 10.82%")).outcome;
  assertEquals(outcome("test-set-whole", 2_500), "not-observable");
  assertEquals(outcome("test-set-whole", 10_000), "pass");
  assertEquals(
    judged("error-over-images", {
      ...shared(10_000, "test error 10.82%"),
      evaluations: good.evaluations,
    })
      .outcome,
    "not-observable",
  );
});

Deno.test("a second optimiser's steps beside the first's have no images, loss or mode to judge", () => {
  const both = withLines((line) =>
    line.type !== "step" ? [line] : [line, {
      ...{ type: "step", time: line.time, iteration: line.iteration, optimizer: 2, steps: 1 },
      ...{ passes: 0, images: 0, learningRate: 0.1, backwards: 0, cleared: false },
    } as RecordingLine]
  );
  for (const id of ["batch-size", "gradients-cleared", "training-mode", "loss"]) {
    const { outcome, evidence } = judged(id, both);
    assertEquals(outcome, "pass", `${id}: ${evidence}`);
  }
});

Deno.test("without a mode nothing is said of modes", () => {
  const without = <T extends object>({ ...line }: T): T => {
    for (const field of ["mode", "norms"]) delete (line as Record<string, unknown>)[field];
    return line;
  };
  const subject: RecordingSubject = {
    ...withLines((line) => [line.type === "step" ? without(line) : line]),
    evaluations: good.evaluations.map((one) => ({
      ...one,
      line: without<RecordedEvaluation>(one.line!),
    })),
  };
  assertEquals(judged("training-mode", subject).outcome, "not-observable");
  assertEquals(judged("evaluation-mode", subject).outcome, "not-observable");
});

Deno.test("a frozen net of photographs may be in evaluation mode, and one that learns may not", () => {
  const still = (frozen: number, photographs: boolean) =>
    judged("training-mode", {
      ...withLines((line) => {
        if (line.type === "step") {
          return [{ ...line, mode: "evaluation", norms: { training: 0, evaluation: 7 } }];
        }
        if (line.type !== "parameters") return [line];
        const names = good.log.lines.flatMap((one) =>
          one.type === "network" ? one.parameters.map(({ name }) => name) : []
        );
        return [{ ...line, frozen: names.slice(0, names.length - frozen) }];
      }),
      photographs,
    }).outcome;
  assertEquals([still(2, true), still(3, true), still(2, false)], ["pass", "fail", "fail"]);
});

Deno.test("what steps, norms and statistics don't show is not said of them", () => {
  const off = withLines((line) =>
    line.type !== "step" ? [line] : [{
      ...line,
      checked: line.checked && {
        ...line.checked,
        replay: line.checked.replay?.map((one) => ({ ...one, predicted: 0.9 })),
      },
    }]
  );
  for (const id of ["optimiser", "momentum"]) {
    const { outcome, evidence } = judged(id, off);
    assertEquals([id, outcome], [id, "not-observable"]);
    assertStringIncludes(evidence, "off by 0.9 of their size");
  }
  const ownNorms = withLines((line) =>
    line.type !== "network" ? [line] : [{
      ...line,
      norms: line.norms.map(({ class: name, tracked, names }) => ({ class: name, tracked, names })),
    }]
  );
  assertEquals(judged("running-statistics", ownNorms).outcome, "not-observable");
  const withoutStatistics = {
    ...good,
    initialWeights: new Map([...good.initialWeights].filter(([name]) => !name.includes("running"))),
  };
  assertEquals(judged("from-scratch", withoutStatistics).outcome, "not-observable");
});

Deno.test("a rate that is near the error is not taken for it", () => {
  // 10 of 16 images wrong in the last batch, and 1 in each of 78 others: 0.9% and 1.6%.
  const line = good.evaluations.findLast(({ line }) => line?.batchErrors && line.iteration > 0)!
    .line!;
  const few = { ...line, errors: 88, batchErrors: [...Array(78).fill(1), 10] };
  const said = (text: string) =>
    judged("error-over-images", {
      ...withLines((one) => [one === line ? few : one.type === "print" ? { ...one, text } : one]),
      evaluations: good.evaluations.map((one) => one.line === line ? { ...one, line: few } : one),
    }).outcome;
  assertEquals(said("lr 0.0"), "not-observable");
  assertEquals(said("lr 0.0, test error 0.88%"), "pass");
  assertEquals(said("lr 0.0, test error 1.56%"), "fail");
});

Deno.test("the network that is trained is judged, whatever was called before it", () => {
  const beside = (id: string, change: (line: RecordingLine) => RecordingLine = (line) => line) =>
    judged(
      id,
      withLines((line) => {
        if (line.type !== "network") return [change(line)];
        const teacher = {
          ...{ ...line, id: 2, class: "Teacher" },
          parameters: [{ name: "stem.weight", shape: [64, 3, 3, 3], trainable: true }],
          norms: line.norms.map((norm) => ({ ...norm, momentum: 0.9 })),
        };
        return [teacher, line];
      }),
    ).outcome;
  for (const id of ["weight-decay", "parameters-optimised", "running-statistics"]) {
    assertEquals([id, beside(id)], [id, "pass"]);
  }
  const adam = (line: RecordingLine): RecordingLine =>
    line.type !== "optimizer" ? line : {
      ...{ ...line, class: "torch.optim.adam.Adam" },
      groups: line.groups.map((group) => ({ ...group, settings: { weight_decay: 0 } })),
    };
  assertEquals(beside("weight-decay", adam), "fail");
  const still = (line: RecordingLine): RecordingLine =>
    line.type === "parameters" ? { ...line, unchanged: ["conv1.weight"] } : line;
  assertEquals(beside("parameters-optimised", still), "fail");
  const foreign = (line: RecordingLine): RecordingLine =>
    line.type !== "optimizer" ? adam(line) : {
      ...{ ...line, class: "torch.optim.adam.Adam" },
      groups: line.groups.map((group) => ({ ...group, names: ["another.weight"] })),
    };
  assertEquals(beside("weight-decay", foreign), "not-observable");
});

Deno.test("a step by hand, which has no rate, is not held against the paper's", () => {
  const byHand = withLines((line) => [line.type === "step" ? { ...line, learningRate: 0 } : line]);
  for (const photographs of [false, true]) {
    assertEquals(judged("learning-rate", { ...byHand, photographs }).outcome, "not-observable");
  }
});

Deno.test("an optimiser that is gone at the end held what it changed", () => {
  const names = good.log.lines.flatMap((line) =>
    line.type === "optimizer" ? line.groups.flatMap((group) => group.names) : []
  );
  const ended = (unchanged: readonly string[]) =>
    judged(
      "parameters-optimised",
      withLines((
        line,
      ) => [line.type === "parameters" ? { ...line, unheld: names, unchanged } : line]),
    );
  assertEquals(ended([]).outcome, "pass");
  assertStringIncludes(ended(["conv1.weight"]).evidence, "no optimiser holds conv1.weight");
});

Deno.test("the few views that an enlarging crop leaves as they are say nothing of views", () => {
  const subject: RecordingSubject = {
    ...good,
    training: good.training!.map((group) => ({
      ...group,
      hashes: group.hashes.map(() => 0n),
      views: group.views.slice(0, 100).map((view) => ({ ...view, y: 0, x: 0, flip: false })),
      looked: 1_024,
      altered: { kind: "resized", tried: 8, found: 8, sides: [26, 30] },
    })),
  };
  const outcomes = ["augmentation", "crop", "view-of-each-image", "views-over-epochs"]
    .map((id) => judged(id, subject).outcome);
  assertEquals(outcomes, ["pass", "fail", "not-observable", "not-observable"]);
});

Deno.test("evaluated images tell the scale where no training image was found", () => {
  const training = good.training!.map(({ preparation: _, ...group }) => ({ ...group, views: [] }));
  const evaluations = good.evaluations!.map((group) => ({
    ...group,
    preparation: { ...group.preparation!, scale: [1, 1, 1].map(() => 1 / 255 ** 2) },
  }));
  assertEquals(judged("scale", { ...good, training, evaluations }).outcome, "fail");
  assertEquals(judged("scale", { ...good, training }).outcome, "pass");
});

Deno.test("what a transform does beside crops is named where crops do not explain the images", () => {
  const turned = (transform: string, views: number): RecordingSubject => ({
    ...withLines((line) =>
      line.type === "loader"
        ? [{ ...line, datasets: line.datasets.map((set) => ({ ...set, transform })) }]
        : [line]
    ),
    training: good.training!.map((group) => ({
      ...group,
      views: group.views.slice(0, views),
      looked: group.views.length,
      altered: { kind: "not-found", tried: 8, found: 0 },
    })),
  });
  const rotation = "Compose(RandomCrop(size=(32, 32), padding=4), RandomRotation(degrees=15))";
  const { outcome, evidence } = judged("crop", turned(rotation, 5));
  assertEquals(outcome, "fail");
  assertStringIncludes(evidence, "names RandomRotation");
  // Pixels decide: a name alone accuses nobody, nor do images that are not found alone.
  assertEquals(judged("crop", turned(rotation, 100_000)).outcome, "pass");
  assertEquals(judged("crop", turned("RandomCrop(size=(32, 32))", 5)).outcome, "not-observable");
});

Deno.test("crops of which a part was found are not held to be unequally likely by that part", () => {
  // A mean of a few hundred images hides views by where they stand.
  const found = (share: number): RecordingSubject => ({
    ...good,
    training: good.training.map((group) => {
      const views = group.views.filter(({ y }, i) => y >= 0 || i % 3 === 0);
      return { ...group, views, looked: Math.round(views.length / share) };
    }),
  });
  assertEquals(judged("crop", found(1)).outcome, "fail");
  const { outcome, evidence } = judged("crop", found(0.7));
  assertEquals(outcome, "not-observable");
  assertStringIncludes(evidence, "where the others stand is not known");
});

Deno.test("images that are not known to be cropped may repeat: mirrored ones do by half", () => {
  const repeating = (transform: string, every: number): RecordingSubject => ({
    ...withLines((line) =>
      line.type === "loader"
        ? [{ ...line, datasets: line.datasets.map((set) => ({ ...set, transform })) }]
        : [line]
    ),
    training: good.training.map((group) => ({
      ...{ ...group, views: [] },
      hashes: group.hashes.map((hash, i) => group.indices[i] % every ? hash : 7n),
    })),
  });
  const mirrored = "Compose(Resize(size=224), RandomHorizontalFlip(p=0.5), ToTensor())";
  for (const every of [1, 2]) {
    assertEquals(judged("views-over-epochs", repeating(mirrored, every)).outcome, "not-observable");
  }
  const cropped = "Compose(RandomResizedCrop(size=(224, 224)), ToTensor())";
  assertEquals(judged("views-over-epochs", repeating(cropped, 2)).outcome, "fail");
  assertEquals(judged("views-over-epochs", repeating(cropped, 1_000)).outcome, "pass");
});

Deno.test("a transform's name alone accuses nobody where no image was looked at", () => {
  const subject = withLines((line) =>
    line.type === "loader"
      ? [{
        ...line,
        datasets: line.datasets.map((set) => ({ ...set, transform: "Compose(\n    Lambda()\n)" })),
      }]
      : [line]
  );
  const training = good.training.map((group) => ({ ...group, views: [] }));
  assertEquals(judged("crop", { ...subject, training }).outcome, "fail");
  const unseen = training.map((group) => ({ ...group, looked: 0 }));
  assertEquals(judged("crop", { ...subject, training: unseen }).outcome, "not-observable");
});

/** Steps at these rates, each up to a step of its own; the error falls to `error` behind 300. */
function atRates(
  rates: readonly (readonly [rate: number, to: number])[],
  change: Partial<RecordingSubject> & { readonly error?: number; readonly scheduled?: false } = {},
) {
  const { error = 0.5, scheduled, ...others } = change;
  const [model] = good.log.lines.filter((line) => line.type === "step");
  let from = 0;
  const steps = rates.flatMap(([learningRate, to]) => {
    const count = Math.ceil((to - from) / 100);
    const begin = from;
    from = to;
    return Array.from({ length: count }, (_, i): RecordingLine => ({
      ...{ ...model, learningRate, iteration: Math.min(to, begin + 100 * (i + 1)) },
      error: begin + 100 * i < 300 ? 0.9 : error,
    }));
  });
  const subject = withLines((line) =>
    line.type === "step" || scheduled === false && line.type.startsWith("scheduler")
      ? []
      : line.type === "end"
      ? [...steps, line]
      : [line]
  );
  return judged("learning-rate", { ...subject, ...others });
}

Deno.test("rates that fall at the end of an epoch are right in a whole recording, as in a plan", () => {
  // 91 and 137 epochs of 352 steps; 81 and 122 of 391 would be early by as little.
  const epochs = atRates([[0.1, 32_032], [0.01, 48_224], [0.001, 64_064]], { scheduled: false });
  assertEquals(epochs.outcome, "pass", epochs.evidence);
  assertStringIncludes(epochs.evidence, "0.1, 0.01 from step 32,132 on, 0.001 from step");
  const early = atRates([[0.1, 28_512], [0.01, 42_944], [0.001, 64_064]], { scheduled: false });
  assertEquals(early.outcome, "fail");
  assertStringIncludes(early.evidence, "had the rate 0.01, not 0.1");
  const part = atRates([[0.1, 32_032], [0.01, 40_000]], { scheduled: false });
  assertEquals(part.outcome, "not-observable");
  assertStringIncludes(part.evidence, "whether it falls at 48,000 was not seen");
});

Deno.test("the warm-up of ResNet-110 is over when the training errs on less than 80%", () => {
  const graph = architecture("resnet110");
  const outcome = (warm: number, error: number, rest = 0.1) =>
    atRates([[0.01, warm], [rest, 3_000]], { graph, error }).outcome;
  assertEquals([outcome(400, 0.7), outcome(704, 0.7)], ["pass", "pass"]);
  // It goes on while the error stays up; else it was forgotten to end it.
  assertEquals([outcome(1_400, 0.85), outcome(1_400, 0.7)], ["pass", "fail"]);
  const never = atRates([[0.01, 3_000]], { graph });
  assertStringIncludes(never.evidence, "the warm-up is to end");
});

Deno.test("a scheduler's calls are counted against steps, also where there are several a step", () => {
  const calls = (every: (call: number) => number, left: number) =>
    judged(
      "learning-rate",
      withLines((line) => {
        if (line.type === "scheduler-step") return [{ ...line, stepsSince: every(line.call) }];
        return line.type === "step" && line.iteration <= left
          ? [{ ...line, skipped: true }, line]
          : [line];
      }),
    );
  assertStringIncludes(calls((call) => call % 4 ? 0 : 1, 0).evidence, "called 4 times in every");
  assertStringIncludes(calls((call) => call % 4 ? 0 : 1, 0).evidence, "after 8,000, 12,000 steps");
  // The scaler left out the first twenty.
  assertEquals(calls((call) => call <= 20 ? 0 : 1, 20).outcome, "pass");
});

Deno.test("norms without decay say nothing of the kernels', whatever they are called", () => {
  const kernel = { parameter: "body.0.weight", group: 1, elements: 432, updateNorm: 0.1 };
  const norm = { ...kernel, parameter: "body.1.weight", elements: 64 };
  const subject = (decay: number) =>
    withLines((line) => {
      const gram = (by: number) => [0.01, -0.1, 0, -by, 1, 0, 0, 0, 0, 10];
      if (line.type === "network") {
        const shapes = { "body.0.weight": [16, 3, 3, 3], "body.1.weight": [64] };
        const named = Object.entries(shapes).map(([name, shape]) => ({
          ...{ name, shape, trainable: true },
        }));
        return [{ ...line, parameters: named }];
      }
      if (line.type === "optimizer") {
        const [group] = line.groups;
        return [{
          ...line,
          groups: [
            {
              ...{ ...group, names: ["body.1.weight"] },
              settings: { ...group.settings, weight_decay: 0 },
            },
            { ...group, names: ["body.0.weight"] },
          ],
        }];
      }
      if (line.type !== "step" || line.checked === undefined) return [line];
      const replay = [norm, norm, { ...kernel, gram: gram(decay) }].map((one) => ({
        ...{ gram: gram(0), ...one },
      }));
      return [{ ...line, checked: { ...line.checked, replay } }];
    });
  assertEquals(judged("weight-decay", subject(0.0001)).outcome, "pass");
  assertEquals(judged("weight-decay", subject(0)).outcome, "fail");
});

Deno.test("statistics that are taken anew over the training's loader are no evaluation", () => {
  // Without a data set nothing says which images an evaluation is of.
  const outcome = (loader: number) =>
    judged("evaluation-mode", {
      ...good,
      evaluations: good.evaluations.map((one, i) => ({
        ...{ ...one, part: undefined },
        line: i > 0 ? one.line! : {
          ...{ ...one.line!, loader, mode: "training" as const },
          norms: { training: 7, evaluation: 0 },
        },
      })),
    }).outcome;
  assertEquals([outcome(1), outcome(2)], ["pass", "fail"]);
});

Deno.test("steps without a gradient are explained once: it was cleared behind backward", () => {
  const subject = withLines((line) =>
    line.type === "step"
      ? [{
        ...{ ...line, backwards: 0 },
        ...(line.checked &&
          { checked: { withoutGradient: 24, nonFinite: 0, backwardNorm: 1, gradientNorm: 0 } }),
      }]
      : line.type === "parameters"
      ? [{ ...line, unchanged: ["conv1.weight"] }]
      : [line]
  );
  const outcomes = ["gradients-cleared", "gradients-clipped", "parameters-optimised"]
    .map((id) => judged(id, subject).outcome);
  assertEquals(outcomes, ["fail", "not-observable", "not-observable"]);
});

Deno.test("what a network does to its images itself is not missing in what entered", () => {
  const plain = good.training.map((group) => ({
    ...group,
    views: group.views.map((view) => ({ ...view, y: 0, x: 0, flip: false })),
    preparation: { ...group.preparation!, kind: "constants" as const, zero: [0, 0, 0] },
  }));
  const outcomes = (...onImages: readonly string[]) =>
    ["mean", "augmentation"].map((id) =>
      judged(id, { ...good, training: plain, onImages }).outcome
    );
  assertEquals(outcomes(), ["fail", "fail"]);
  assertEquals(outcomes("subtract"), ["not-observable", "fail"]);
  assertEquals(outcomes("pad", "slice", "where"), ["not-observable", "not-observable"]);
  // What is right before it is no worse for it.
  assertEquals(judged("augmentation", { ...good, onImages: ["pad"] }).outcome, "pass");
});

Deno.test("batches that are kept and given again have the views and the order of the first time", () => {
  // itertools.cycle: the second time no loader hands them out.
  const [first] = good.training;
  const again = (change: Partial<typeof first>): RecordingSubject => {
    const { loader: _, ...loose } = first;
    const unknown = loose.indices.map(() => -1);
    return { ...good, training: [first, { ...loose, indices: unknown, epoch: 2, ...change }] };
  };
  const outcomes = (subject: RecordingSubject) =>
    ["views-over-epochs", "order-over-epochs"].map((id) => judged(id, subject).outcome);
  assertEquals(outcomes(again({ views: [] })), ["fail", "fail"]);
  // Drawn anew, in another order.
  const { images, labels, hashes, views } = good.training[1];
  const anew = outcomes(again({ images, labels, hashes, views }));
  assertEquals(anew[1], "not-observable");
  assertEquals(anew[0], "pass");
});

Deno.test("steps by hand are no optimiser's; without any step the arrays stay as they were", () => {
  const names = good.log.lines.flatMap((line) =>
    line.type === "network" ? line.parameters.map(({ name }) => name) : []
  );
  const byHand = (unchanged: readonly string[], steps: boolean) =>
    judged(
      "parameters-optimised",
      withLines((line) => {
        if (line.type === "optimizer" || line.type === "step" && !steps) return [];
        if (line.type === "step") return [{ ...line, optimizer: undefined }];
        if (line.type === "batch") return [line, line, line];
        if (line.type !== "parameters") return [line];
        return [{ ...line, iteration: steps ? 362 : 0, unheld: names, unchanged }];
      }),
    );
  assertEquals([byHand([], true).outcome, byHand([], false).outcome], ["pass", "pass"]);
  const { outcome, evidence } = byHand(names, false);
  assertEquals(outcome, "fail");
  assertStringIncludes(evidence, "in 3 training passes, in which no optimiser's step() was seen");
  assertEquals(byHand(names, true).outcome, "fail");
});

Deno.test("a decay that is a part of the loss is none of the steps'", () => {
  const inLoss = (chain: readonly string[], others = {}) =>
    judged(
      "weight-decay",
      withLines((line) => {
        if (line.type === "loss") return [{ ...line, chain, ...others }];
        if (line.type === "optimizer") {
          const [group] = line.groups;
          return [{
            ...line,
            groups: [{ ...group, settings: { momentum: 0.9, weight_decay: 0 } }],
          }];
        }
        if (line.type !== "step" || line.checked === undefined) return [line];
        const replay = line.checked.replay!.map((one) => ({
          ...{ ...one, gram: [0.01, -0.1, 0, 0, 1, 0, 0, 0, 0, 10] },
        }));
        return [{ ...line, checked: { ...line.checked, replay } }];
      }),
    ).outcome;
  const sum = ["AddBackward0", "NllLossBackward0"];
  assertEquals(inLoss(sum, { penalty: true }), "not-observable");
  assertEquals(inLoss(sum, { penalty: false }), "fail");
  // Recordings that don't say it.
  assertEquals(inLoss(sum), "not-observable");
  assertEquals(inLoss(sum, { labelSmoothing: 0.1 }), "fail");
  assertEquals(inLoss(["NllLossBackward0", "LogSoftmaxBackward0"]), "fail");
});

Deno.test("functions that are not told the mode are seen in the operations", () => {
  const graph = (mode: "training" | "evaluation", op: string, kind: string, given: object) =>
    ({
      type: "graph",
      ...{ time: "2026-01-01T00:00:00Z", iteration: 0, network: 1, phase: mode, mode, images: 128 },
      ...{ inputs: [], outputs: [] },
      nodes: [{ op, kind, arguments: { running_mean: { buffer: "bn1" }, ...given }, outputs: [] }],
    }) as unknown as RecordingLine;
  const outcomes = (one: RecordingLine) =>
    ["training-mode", "evaluation-mode"].map((id) =>
      judged(id, withLines((line) => line.type === "network" ? [line, one] : [line])).outcome
    );
  const norm = (mode: "training" | "evaluation", training: boolean, others = {}) =>
    outcomes(graph(mode, "aten.native_batch_norm.default", "batch-norm", { training, ...others }));
  assertEquals(norm("training", true), ["pass", "pass"]);
  assertEquals(norm("evaluation", false), ["pass", "pass"]);
  assertEquals(norm("training", false), ["fail", "pass"]);
  assertEquals(norm("evaluation", true), ["pass", "fail"]);
  // As of InstanceNorm, which keeps no statistics.
  assertEquals(norm("evaluation", true, { running_mean: undefined }), ["pass", "pass"]);
  const drawn = (mode: "training" | "evaluation") =>
    outcomes(graph(mode, "aten.bernoulli_.float", "dropout", { p: 0.8 }));
  assertEquals(drawn("training"), ["pass", "pass"]);
  assertEquals(drawn("evaluation"), ["pass", "fail"]);
});

Deno.test("weights that are rounded by more than the decay takes off say nothing of it", () => {
  // u = -0.1 g - 0.000036 w, and an error of its own beside it.
  const rounded = (squares: number) =>
    judged(
      "weight-decay",
      withLines((line) => {
        if (line.type !== "step" || line.checked === undefined) return [line];
        const gram = [0.01 + 1.3e-8 + squares, -0.1, 0, -0.00036, 1, 0, 0, 0, 0, 10];
        const replay = line.checked.replay!.map((one) => ({ ...one, gram }));
        return [{ ...line, checked: { ...line.checked, replay } }];
      }),
    );
  assertEquals(rounded(0).outcome, "fail");
  assertStringIncludes(rounded(0).evidence, "a decay of 0.00036");
  // Of 432 numbers of 16 bits, 0.15 each: 0.001 of that.
  assertEquals(rounded(432 * (0.001 * 0.15) ** 2).outcome, "pass");
});

Deno.test("where training images alone are evaluated, that is said: they may be called the test's", () => {
  const parts = (...all: readonly ("trained" | "validation")[]) =>
    ["test-set-whole", "test-set-unseen"].map((id) =>
      judged(id, {
        ...good,
        evaluations: all.map((part) => ({ ...good.evaluations[0], part })),
      }).evidence.includes("images that are trained on")
    );
  assertEquals(parts("trained", "trained"), [true, true]);
  assertEquals(parts("trained", "validation"), [false, false]);
});

Deno.test("a training that goes on from a checkpoint is judged by what it shows", () => {
  const outcomes = (resumed: boolean, rates: readonly number[], each = 1) => {
    let place = 0;
    const subject = withLines((line) => {
      if (line.type === "optimizer") return [{ ...line, resumed }];
      if (line.type === "scheduler" || line.type === "scheduler-step") return [];
      if (line.type !== "step") return [line];
      const learningRate = rates[Math.min(place++, rates.length - 1)];
      return [{ ...line, iteration: place * each, learningRate, rates: undefined }];
    });
    const initialWeights = new Map(
      [...good.initialWeights].map(([name, { shape, data }]) => [
        name,
        { shape, data: data.map((value) => 0.1 + 0.5 * value) },
      ]),
    );
    return ["learning-rate", "initialisation", "from-scratch"].map((id) =>
      judged(id, { ...subject, initialWeights }).outcome
    );
  };
  const unseen = "not-observable";
  assertEquals(outcomes(false, [0.01]), ["fail", "fail", "fail"]);
  assertEquals(outcomes(true, [0.01]), [unseen, unseen, unseen]);
  assertEquals(outcomes(true, [0.01, 0.001]), [unseen, unseen, unseen]);
  assertEquals(outcomes(true, [0.01, 0.1]), ["fail", unseen, unseen]);
  assertEquals(outcomes(true, [0.05]), ["fail", unseen, unseen]);
  assertEquals(outcomes(true, [0.1, 0.001]), ["fail", unseen, unseen]);
  assertEquals(outcomes(true, [0.01, 0.1 * 0.1]), [unseen, unseen, unseen]);
  // None of the rates is held for longer than the paper holds it, and no end is one of 64,000.
  assertEquals(outcomes(true, [0.1], 25_000)[0], "fail");
  assertEquals(outcomes(true, [0.1, 0.01, 0.001], 25_000)[0], "fail");
  assertEquals(outcomes(true, [0.1, 0.01], 15_000)[0], "fail");
});
