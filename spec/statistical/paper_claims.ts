/** What section 4.2 says that several runs of several nets decide: Figures 6 and 7, and 1,202 layers. */
import {
  finalTestOf,
  type LayerStatistics,
  type LoggedRun,
  type LogSubject,
} from "../../log/mod.ts";
import { ITERATIONS } from "../../paper/mod.ts";
import { paper, type Recipe } from "../../recipes/mod.ts";
import { percent } from "../../text/mod.ts";
import {
  meansTest,
  sameRecipe,
  type Sample,
  sampleOf,
  type SpreadSample,
} from "../../verdicts/mod.ts";
import { defineRules, type Finding, type KnownBad, type KnownGood, type Rule } from "../rule.ts";
import { finding } from "../subject.ts";
import { FEWEST_RUNS, logged, netOf } from "./subject.ts";
import type { ReferenceRuns } from "./table_6.ts";

/** Chance makes a difference as large as this once in so many comparisons. */
const LEVEL = 0.05;
/** Plain-110's error stays above it. */
const PLAIN_110_ERROR = 0.6;
/** ResNet-1202's training error ends below it. */
const TRAINED_1202 = 0.001;
/** Depths of the nets that Figure 6 compares. */
const DEPTHS = [20, 32, 44, 56, 110];

/** A finished run by the paper's recipe, whole. */
interface FinishedRun {
  readonly net: string;
  /** Of the last step on the test set. */
  readonly test: number;
  /** Of the last line of steps, on augmented images. */
  readonly training?: number;
  /** Mean of the layers' standard deviations, Figure 7's measure. */
  readonly response?: number;
}

/** The finished runs of all sets that are by the paper's recipe at its length. */
function finishedRuns({ sets = [] }: ReferenceRuns): FinishedRun[] {
  return sets.flatMap(({ runs = [] }) => runs).flatMap((subject): FinishedRun[] => {
    const [run] = logged([subject]);
    if (!run?.end || !isOfPaper(run)) return [];
    const layers = subject.layerStatistics?.layers;
    return [{
      net: netOf(run),
      test: finalTestOf(run)?.error ?? run.end.testError,
      training: run.steps.at(-1)?.error,
      ...(layers && layers.length > 0
        ? { response: layers.reduce((sum, { std }) => sum + std, 0) / layers.length }
        : {}),
    }];
  });
}

function isOfPaper({ start: { recipe, startWeights } }: LoggedRun): boolean {
  return startWeights === undefined && recipe.schedule.iterations === ITERATIONS &&
    sameRecipe(recipe, paper(recipe.architecture.name));
}

/** What is known of each net, the shallowest first. */
function byNet(
  runs: readonly FinishedRun[],
  form: "plain" | "resnet",
  value: (run: FinishedRun) => number | undefined,
): { readonly net: string; readonly sample: SpreadSample }[] {
  return DEPTHS.flatMap((depth) => {
    const net = `${form}${depth}`;
    const values = runs.flatMap((run) => run.net === net ? value(run) ?? [] : []);
    const sample = values.length >= FEWEST_RUNS ? sampleOf(values) : undefined;
    return hasSpread(sample) ? [{ net, sample }] : [];
  });
}

const hasSpread = (sample: Sample | undefined): sample is SpreadSample =>
  sample?.standardDeviation !== undefined && sample.standardDeviation > 0;

/** 1 where the first is shown to be larger, -1 where smaller, 0 where neither is. */
function compared(a: SpreadSample, b: SpreadSample): -1 | 0 | 1 {
  return meansTest(a, b, 1).differenceP >= LEVEL ? 0 : a.mean > b.mean ? 1 : -1;
}

/** Whether a figure rises, or falls, with depth: from the shallowest net to the deepest for certain. */
function trend(
  nets: readonly { readonly net: string; readonly sample: SpreadSample }[],
  direction: 1 | -1,
  what: string,
): Finding {
  if (nets.length < 2) {
    return {
      outcome: "not-observable",
      evidence:
        `there are no ${FEWEST_RUNS} whole runs of the paper's recipe of two depths (${what})`,
    };
  }
  const said = nets.map(({ net, sample: { mean } }) => `${net} ${percent(mean)}`).join(", ");
  const evidence = `${what}: ${said}`;
  const problems = nets.slice(1).flatMap(({ net, sample }, i) =>
    compared(sample, nets[i].sample) === -direction
      ? [
        `${evidence}: it is ${direction > 0 ? "lower" : "higher"} at ${net} than at ${nets[i].net}`,
      ]
      : []
  );
  const ends = compared(nets[nets.length - 1].sample, nets[0].sample);
  if (problems.length === 0 && ends === 0) {
    return { outcome: "not-observable", evidence: `${evidence}: no difference is shown` };
  }
  return finding(problems, evidence);
}

/** Both findings at once: a fault of either is one. */
function both(a: Finding, b: Finding): Finding {
  const worse = [a, b].find(({ outcome }) => outcome === "fail") ??
    [a, b].find(({ outcome }) => outcome !== "pass");
  return worse ?? { outcome: "pass", evidence: `${a.evidence}; ${b.evidence}` };
}

/** The rules on what the nets of the paper show beside each other. */
export const PAPER_CLAIM_RULES: readonly Rule<ReferenceRuns>[] = defineRules([
  {
    id: "plain-degrades",
    section: "4.2, Figure 6",
    requirement: "Plain nets get worse with depth, on training images too.",
    tier: "statistical",
    check: (subject) => {
      const runs = finishedRuns(subject).filter(({ net }) => net !== "plain110");
      return both(
        trend(byNet(runs, "plain", ({ training }) => training), 1, "training error"),
        trend(byNet(runs, "plain", ({ test }) => test), 1, "test error"),
      );
    },
    rejects: [
      bad(
        "deeper plain nets that are better",
        "they have shortcuts after all",
        (runs) =>
          runs.map((run) => run.net.startsWith("plain") ? { ...run, ...mirrored(run) } : run),
      ),
      bad(
        "better on training images",
        "what is logged is another net's",
        (runs) =>
          runs.map((run) =>
            run.net.startsWith("plain") ? { ...run, training: mirrored(run).training } : run
          ),
      ),
    ],
    accepts: [
      good(
        "two depths alone",
        "the others are not run",
        (runs) => runs.filter(({ net }) => net !== "plain32" && net !== "plain44"),
      ),
    ],
  },
  {
    id: "plain-110-fails",
    section: "4.2, Figure 6",
    requirement: `Plain-110 does not learn: its error stays above ${percent(PLAIN_110_ERROR, 0)}.`,
    tier: "statistical",
    check: (subject) => {
      const runs = finishedRuns(subject).filter(({ net }) => net === "plain110");
      if (runs.length < FEWEST_RUNS) return none("plain-110");
      const errors = runs.flatMap(({ test, training }) => [test, training ?? test]);
      const low = errors.filter((error) => error <= PLAIN_110_ERROR);
      return finding(
        low.length > 0 ? [`errors of ${low.map((error) => percent(error)).join(", ")}`] : [],
        `errors of ${errors.map((error) => percent(error)).join(", ")}`,
      );
    },
    rejects: [
      bad(
        "a plain-110 that learns",
        "it has shortcuts",
        (runs) =>
          runs.map((run) => run.net === "plain110" ? { ...run, test: 0.12, training: 0.05 } : run),
      ),
      bad(
        "one that learns the training images",
        "its log is another run's",
        (runs) => runs.map((run) => run.net === "plain110" ? { ...run, training: 0.4 } : run),
      ),
    ],
    accepts: [
      good(
        "errors of chance",
        "the net learns nothing at all",
        (runs) =>
          runs.map((run) => run.net === "plain110" ? { ...run, test: 0.9, training: 0.9 } : run),
      ),
    ],
  },
  {
    id: "residual-gains",
    section: "4.2, Figure 6",
    requirement: "Residual nets gain with depth, from 20 to 110 layers.",
    tier: "statistical",
    check: (subject) =>
      trend(byNet(finishedRuns(subject), "resnet", ({ test }) => test), -1, "test error"),
    rejects: [
      bad(
        "deeper residual nets that are worse",
        "the shortcuts don't reach",
        (runs) =>
          runs.map((run) => run.net.startsWith("resnet") ? { ...run, ...mirrored(run) } : run),
      ),
      bad(
        "a deepest net that is worse",
        "its warm-up was left out",
        (runs) =>
          runs.map((run) => run.net === "resnet110" ? { ...run, test: run.test + 0.02 } : run),
      ),
    ],
    accepts: [
      good(
        "44 and 56 layers alike",
        "neighbours may be",
        (runs) =>
          runs.map((run) => run.net === "resnet56" ? { ...run, test: run.test + 0.002 } : run),
      ),
    ],
  },
  {
    id: "responses",
    section: "4.2, Figure 7",
    requirement: "Responses of residual nets are smaller than those of plain nets of the same " +
      "depth, and smaller in deeper ones.",
    tier: "statistical",
    check: (subject) => {
      const runs = finishedRuns(subject);
      const of = (form: "plain" | "resnet") => byNet(runs, form, ({ response }) => response);
      const residual = of("resnet");
      const pairs = of("plain").flatMap((plain) => {
        const other = residual.find(({ net }) => net === plain.net.replace("plain", "resnet"));
        return other ? [{ plain, other }] : [];
      });
      if (pairs.length === 0) {
        return none("a plain and a residual net of one depth, with responses");
      }
      const problems = pairs.filter(({ plain, other }) => compared(other.sample, plain.sample) >= 0)
        .map(({ plain, other }) => `${other.net} does not respond less than ${plain.net}`);
      const evidence = [...residual, ...of("plain")]
        .map(({ net, sample: { mean } }) => `${net} ${mean.toFixed(3)}`).join(", ");
      return both(
        finding(problems, evidence),
        trend(residual.map(({ net, sample }) => ({ net, sample })), -1, "mean response"),
      );
    },
    rejects: [
      bad(
        "plain nets that respond less",
        "measured behind the ReLU",
        (runs) =>
          runs.map((run) =>
            run.net.startsWith("plain") ? { ...run, response: 0.1 * noise(run) } : run
          ),
      ),
      bad(
        "deeper residual nets that respond more",
        "measured behind the addition",
        (runs) =>
          runs.map((run) =>
            run.net.startsWith("resnet") ? { ...run, response: mirrored(run).response } : run
          ),
      ),
    ],
    accepts: [
      good(
        "one depth of plain nets",
        "the others are not run",
        (runs) => runs.filter(({ net }) => !/plain(32|44|56)/.test(net)),
      ),
    ],
  },
  {
    id: "resnet-1202-trains",
    section: "4.2, Table 6",
    requirement: `ResNet-1202 has a training error below ${
      percent(TRAINED_1202, 1)
    }, and a test error that is not better than ResNet-110's.`,
    tier: "statistical",
    check: (subject) => {
      const runs = finishedRuns(subject);
      const deepest = runs.filter(({ net }) => net === "resnet1202");
      if (deepest.length === 0) return none("ResNet-1202", 1);
      const problems = deepest.flatMap(({ training }) =>
        training !== undefined && training < TRAINED_1202
          ? []
          : [`a training error of ${percent(training ?? 1)}`]
      );
      const other = byNet(runs, "resnet", ({ test }) => test).find(({ net }) =>
        net === "resnet110"
      );
      if (!other) return none("ResNet-110 beside it");
      const { mean } = sampleOf(deepest.map(({ test }) => test));
      const evidence = `test errors of ${percent(mean)} and ${percent(other.sample.mean)}`;
      if (mean < other.sample.mean) problems.push(evidence);
      return finding(problems, evidence);
    },
    rejects: [
      bad(
        "1,202 layers that don't fit the training images",
        "it was stopped early",
        (runs) => runs.map((run) => run.net === "resnet1202" ? { ...run, training: 0.01 } : run),
      ),
      bad(
        "1,202 layers that are the best",
        "it was another net",
        (runs) => runs.map((run) => run.net === "resnet1202" ? { ...run, test: 0.055 } : run),
      ),
    ],
    accepts: [
      good(
        "one run of 1,202 layers",
        "the paper has one",
        (runs) =>
          runs.filter((run, i) =>
            run.net !== "resnet1202" || i === runs.findIndex(({ net }) => net === "resnet1202")
          ),
      ),
    ],
  },
]);

function none(what: string, runs = FEWEST_RUNS): Finding {
  const count = runs === 1 ? "no whole run" : `no ${runs} whole runs`;
  return {
    outcome: "not-observable",
    evidence: `there is ${count} of ${what} by the paper's recipe`,
  };
}

// Sets of runs for the rules' cases: figures as the paper shows them, made up where it prints none.

/** What the cases' runs have, besides a seed. */
interface Figures extends FinishedRun {
  readonly seed: number;
}

/** Test error, training error and mean response of each net. */
const FIGURES: Readonly<Record<string, readonly [number, number, number]>> = {
  plain20: [0.092, 0.04, 0.6],
  plain32: [0.098, 0.05, 0.56],
  plain44: [0.109, 0.07, 0.53],
  plain56: [0.13, 0.1, 0.5],
  plain110: [0.7, 0.68, 0.4],
  resnet20: [0.0875, 0.03, 0.5],
  resnet32: [0.0751, 0.012, 0.42],
  resnet44: [0.0717, 0.006, 0.36],
  resnet56: [0.0697, 0.004, 0.32],
  resnet110: [0.0661, 0.002, 0.22],
  resnet1202: [0.0793, 0.0006, 0.1],
};

const noise = ({ seed }: Figures) => 1 + 0.01 * (seed - 1);

function usualRuns(): Figures[] {
  return Object.entries(FIGURES).flatMap(([net, [test, training, response]]) =>
    [0, 1, 2].map((seed) => {
      const factor = 1 + 0.01 * (seed - 1);
      return {
        ...{ net, seed, test: test * factor, training: training * factor },
        response: response * factor,
      };
    })
  );
}

/** The figures of the net at the other end of the depths. */
function mirrored({ net, seed }: Figures): Omit<FinishedRun, "net"> {
  const form = net.replace(/\d+/, ""), depths = form === "plain" ? DEPTHS.slice(0, 4) : DEPTHS;
  const at = depths.indexOf(Number(net.slice(form.length)));
  const [test, training, response] = FIGURES[
    at < 0 ? net : `${form}${depths[depths.length - 1 - at]}`
  ];
  const factor = 1 + 0.01 * (seed - 1);
  return { test: test * factor, training: training * factor, response: response * factor };
}

function logOf({ net, seed, test, training = 0, response = 0 }: Figures): LogSubject {
  const time = "2026-01-01T00:00:00Z", iteration = ITERATIONS;
  const recipe: Recipe = paper(net), hash = "0".repeat(64);
  const layerStatistics: LayerStatistics = { images: 1, layers: [{ name: "bn1", std: response }] };
  return {
    layerStatistics,
    events: [
      {
        ...{ type: "start", time, version: 2, run: `${net}-${seed}`, recipe, seed },
        engine: { name: "null", reason: "a case", device: { summary: "", details: {} } },
        ...{ versions: {}, revision: null, command: [], parameters: 1, multiplyAdds: 1 },
        data: {
          ...{ set: "cifar10", hashes: {}, testImages: 10_000 },
          ...{ trainingImages: 45_000, validationImages: 5_000 },
          splitHashes: { training: hash, validation: hash },
          mean: { sha256: hash, of: "" },
        },
        ...{ classes: ["a", "b"], logEvery: 100 },
      },
      {
        ...{ type: "step", time, iteration, steps: 100, images: 12_800, learningRate: 0.001 },
        ...{ loss: 1, error: training, imagesPerSecond: 1 },
      },
      {
        ...{ type: "end", time, iteration, testError: test, trainingSeconds: 1 },
        weightsSha256: hash,
      },
    ],
  };
}

/** The cases' good subject: three runs of every net. */
export const usualClaims = (): Required<ReferenceRuns> => ({
  sets: [{ runs: usualRuns().map(logOf) }],
});

function bad(
  name: string,
  why: string,
  change: (runs: readonly Figures[]) => readonly Figures[],
): KnownBad<ReferenceRuns> {
  const spoil = () => ({ sets: [{ runs: change(usualRuns()).map(logOf) }] });
  return { name, why, kind: "log", spoil };
}

function good(
  name: string,
  why: string,
  change: (runs: readonly Figures[]) => readonly Figures[],
): KnownGood<ReferenceRuns> {
  return { name, why, make: () => ({ sets: [{ runs: change(usualRuns()).map(logOf) }] }) };
}
