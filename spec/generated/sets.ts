/**
 * Random sets of runs with their plans and claims: right ones of any size, with failures and honest
 * differences, and wrong ones by one change.
 */
import type { LogSubject, RunEvent } from "../../log/mod.ts";
import { TABLE_6 } from "../../paper/mod.ts";
import { paper, RECIPES, vary } from "../../recipes/mod.ts";
import {
  planHash,
  recipesOf,
  type Reference,
  type ReproductionPlan,
  type Verdict,
} from "../../verdicts/mod.ts";
import { judge } from "../rule.ts";
import { STATISTICAL_RULES } from "../statistical/rules.ts";
import { claimOf, type ReproductionSubject } from "../statistical/subject.ts";
import type { Draw, Drawn } from "./draw.ts";
import { DEPARTURES } from "./recipe_choices.ts";
import type { Kind } from "./trial.ts";

/** The recipes that the paper can be read as, which a plan may hold both. */
type Reading = "paper" | "paper-50k";

/** The spread that the paper prints, a share. */
const SPREAD = 0.0016;

/** What one change breaks: the rules of which at least one must say so. */
const CHANGES = {
  "a margin changed after the runs": ["plan-kept"],
  "a plan written after the runs": ["plan-kept"],
  "runs of another plan": ["plan-kept"],
  "a claim by another plan": ["plan-kept"],
  "two verdicts on a net": ["plan-kept"],
  "a margin of more than half a point": ["claim-bounded"],
  "a level of more than 0.05": ["claim-bounded"],
  "two runs of a net": ["claim-bounded"],
  "another figure than the table's": ["compared-with"],
  "the figure of another net": ["compared-with"],
  "a run left out": ["runs-planned"],
  "a run of another seed": ["runs-planned"],
  "a run of another net": ["runs-planned"],
  "a run of another recipe": ["runs-planned"],
  "a run of the other reading": ["runs-planned"],
  "one reading's runs alone": ["runs-planned"],
  "a run counted for both readings": ["seeds-distinct"],
  "a reading left out of the claim": ["failures-counted"],
  "one reading's word for both": ["verdict-recomputed"],
  "a run from given weights": ["runs-planned"],
  "a run on other data": ["runs-planned"],
  "one run's weights in another": ["seeds-distinct"],
  "one run's predictions in another": ["seeds-distinct"],
  "one run's losses in another": ["seeds-distinct"],
  "one split for two seeds": ["seeds-distinct"],
  "a seed twice": ["seeds-distinct"],
  "two points better": ["not-too-good"],
  "errors that are all the same": ["not-too-good"],
  "a failure that is not counted": ["failures-counted"],
  "a net left out of the claim": ["failures-counted"],
  "the best run as the mean": ["mean-of-all"],
  "a smaller spread in the claim": ["mean-of-all"],
  "another word for the verdict": ["verdict-recomputed"],
  "a smaller p": ["verdict-recomputed"],
  "another sentence": ["verdict-recomputed"],
} as const;

type Change = keyof typeof CHANGES;

/** Random sets of runs. */
export const SETS: Kind<ReproductionSubject> = {
  name: "sets",
  draw: drawSet,
  breaks: Object.values(CHANGES).flat(),
  judge: (subject) => judge(STATISTICAL_RULES, subject),
};

/** Changes that a plan of one reading has no place for. */
const OF_READINGS: readonly Change[] = [
  "a run of the other reading",
  "one reading's runs alone",
  "a run counted for both readings",
  "a reading left out of the claim",
  "one reading's word for both",
];

interface RunFacts {
  readonly net: string;
  readonly recipe: Reading;
  readonly seed: number;
  readonly error: number;
  readonly fails: boolean;
}

function drawSet(draw: Draw, right: boolean): Drawn<ReproductionSubject> {
  const change = right ? undefined : draw.pick(Object.keys(CHANGES) as Change[]);
  const all = ["resnet20", "resnet32", "resnet44", "resnet56", "resnet110"];
  const nets = draw.shuffled(all).slice(
    0,
    draw.from(change === "a net left out of the claim" ? 2 : 1, 3),
  );
  // A plain net has no figure to compare with.
  const plain = draw.chance(0.2) ? [`plain${draw.pick([20, 32, 44, 56])}`] : [];
  const seeds = new Set<number>();
  const size = change === "two runs of a net" ? 2 : draw.from(3, 8);
  while (seeds.size < size) seeds.add(draw.chance(0.7) ? seeds.size : draw.below(1_000));
  const ofReadings = change !== undefined && OF_READINGS.includes(change);
  const both = ofReadings || (draw.chance(0.25) && change !== "one split for two seeds");
  const readings: readonly Reading[] = change === "one split for two seeds"
    ? ["paper"] // All images are one split, whatever the seed.
    : both
    ? draw.shuffled<Reading>(["paper", "paper-50k"])
    : [draw.pick<Reading>(["paper", "paper", "paper-50k"])];
  const references = nets.map((net) => referenceOf(net));
  const spoilt = change === "another figure than the table's"
    ? references.map((one, i) =>
      i > 0 ? one : { ...one, error: one.error + draw.pick([-0.0018, 0.002]) }
    )
    : change === "the figure of another net"
    ? references.map((one, i) => {
      const error = TABLE_6[all.find((net) => net !== one.architecture)!].error;
      return i > 0 ? one : { ...one, error };
    })
    : references;
  const plan: ReproductionPlan = {
    ...{ version: both ? 2 : 1, written: "2026-01-01T00:00:00Z" },
    ...{ architectures: [...nets, ...plain], seeds: [...seeds] },
    ...{ recipe: both ? readings : readings[0], iterations: 64_000, dataset: "cifar10" },
    dataHashes: { "test_batch.bin": draw.hash() },
    tests: { equivalence: "tost", difference: "two-sided-t" },
    margin: change === "a margin of more than half a point"
      ? 0.0051 + draw.uniform() / 2
      : draw.pick([0.003, 0.005, 0.0025]),
    alpha: change === "a level of more than 0.05"
      ? 0.051 + draw.uniform() * 0.4
      : draw.pick([0.05, 0.01]),
    references: spoilt,
  };
  const hash = planHash(plan);
  const away = draw.pick([0, 0, 0.001, -0.0015, 0.008]);
  const better = change === "two points better" ? -0.02 : away;
  const spread = SPREAD * draw.pick([0.8, 1, 1.5, 3]);
  let runs: RunFacts[] = readings.flatMap((recipe) =>
    plan.architectures.flatMap((net) => {
      const center = (TABLE_6[net.replace("plain", "resnet")].error) +
        (net.startsWith("plain") ? 0.03 : better);
      const errors = spreadOut(draw, size, center, spread);
      return plan.seeds.map((seed, i) => ({
        ...{ net, recipe, seed, error: errors[i], fails: draw.chance(0.03) },
      }));
    })
  );
  if (change === "errors that are all the same") {
    runs = runs.map((run) => ({
      ...run,
      error: Math.round(1e4 * TABLE_6[run.net.replace("plain", "resnet")].error) / 1e4,
      fails: false,
    }));
  }
  if (change === "two points better") runs = runs.map((run) => ({ ...run, fails: false }));
  if (change === "a failure that is not counted") runs[0] = { ...runs[0], fails: true };
  const copied = change?.startsWith("one run's") || change === "one split for two seeds";
  if (
    copied || change === "the best run as the mean" || change === "a smaller spread in the claim" ||
    change === "a smaller p" || change === "another word for the verdict"
  ) {
    runs = runs.map((run) => ({ ...run, fails: false }));
  }
  const logs = runs.map((run) => logOf(draw, run, plan, hash));
  const good: Required<ReproductionSubject> = {
    ...{ plan, planSha256: hash, runs: logs, claim: claimOf(plan, hash, logs) },
  };
  const failed = runs.some(({ fails }) => fails);
  const kind = `${nets.length + plain.length} nets${both ? ", two readings" : ""}${
    failed ? ", with failures" : ""
  }${away > 0.005 ? ", worse than the paper" : ""}`;
  return {
    what: change ?? kind,
    subject: change ? spoil(draw, change, good) : good,
    by: change ? CHANGES[change] : [],
  };
}

/** What Table 6 says of a net, written anew. */
function referenceOf(net: string): Reference {
  return {
    ...{ source: "Table 6", architecture: net, dataset: "cifar10", iterations: 64_000 },
    ...{ testImages: 10_000, error: TABLE_6[net].error, runs: net === "resnet110" ? 5 : 1 },
    spread: { standardDeviation: SPREAD, runs: 5, source: "Table 6, ResNet-110" },
  };
}

/** Errors of 10,000 images that are not more alike than chance makes them in 999 of 1,000 cases. */
function spreadOut(draw: Draw, count: number, center: number, spread: number): number[] {
  for (;;) {
    const errors = Array.from(
      { length: count },
      () => Math.round(1e4 * (center + spread * draw.normal())) / 1e4,
    );
    const mean = errors.reduce((sum, one) => sum + one, 0) / count;
    const variance = errors.reduce((sum, one) => sum + (one - mean) ** 2, 0) / (count - 1);
    if (count < 3 || Math.sqrt(variance) > 0.35 * SPREAD) {
      // The mean of so few strays: it is put back, so that no set is too good by chance.
      return errors.map((one) => Math.round(1e4 * (one - mean + center)) / 1e4);
    }
  }
}

function logOf(
  draw: Draw,
  { net, recipe, seed, error, fails }: RunFacts,
  plan: ReproductionPlan,
  hash: string,
): LogSubject {
  const time = "2026-01-02T00:00:00Z", iteration = 64_000;
  const { split } = RECIPES[recipe](net).data;
  const events: RunEvent[] = [
    {
      ...{ type: "start", time, version: 2, run: `${net}-${recipe}-${seed}` },
      ...{ recipe: RECIPES[recipe](net), seed },
      engine: { name: "wasm", reason: "asked for", device: { summary: "", details: {} } },
      ...{ versions: {}, revision: null, command: [], parameters: 1, multiplyAdds: 1 },
      data: {
        ...{ set: "cifar10", hashes: plan.dataHashes },
        ...{ trainingImages: split.training, validationImages: split.validation },
        testImages: 10_000,
        splitHashes: split.validation > 0
          ? { training: draw.hash(), validation: draw.hash() }
          : { training: "a".repeat(64), validation: "b".repeat(64) },
        mean: { sha256: draw.hash(), of: `per-pixel mean of ${split.training} training images` },
      },
      ...{ classes: ["a", "b"], logEvery: 64_000, plan: hash },
    },
    {
      ...{ type: "step", time, iteration: 20_000, steps: 20_000, images: 2_560_000 },
      ...{ learningRate: 0.1, loss: draw.uniform(), error: 0.1, imagesPerSecond: 1 },
    },
  ];
  if (fails) {
    const diverged = draw.chance(0.5) ? { diverged: true as const } : {};
    events.push({ type: "failure", time, iteration: 20_000, reason: "a fault", ...diverged });
    return { events };
  }
  events.push({
    ...{ type: "evaluation", time, iteration, set: "test", images: 10_000 },
    ...{ errors: Math.round(1e4 * error), error, loss: 1 },
    predictions: { path: "predictions.csv", sha256: draw.hash(), bytes: 1 },
  }, {
    ...{ type: "end", time, iteration, testError: error, trainingSeconds: 1 },
    weightsSha256: draw.hash(),
  });
  return { events };
}

/** The change, where it is one of a finished set. */
function spoil(
  draw: Draw,
  change: Change,
  good: Required<ReproductionSubject>,
): ReproductionSubject {
  const { plan, runs, claim } = good;
  /** Other lines in one run, and the claim that follows. */
  const inRun = (at: number, edit: (event: RunEvent) => RunEvent): ReproductionSubject => {
    const changed = runs.map((run, i) =>
      i === at ? { ...run, events: run.events!.map(edit) } : run
    );
    return { ...good, runs: changed, claim };
  };
  const start = (at: number, edit: object) =>
    inRun(at, (event) => event.type === "start" ? { ...event, ...edit } : event);
  const verdicts = (edit: (verdict: Verdict) => object): ReproductionSubject => ({
    ...good,
    claim: {
      ...claim,
      verdicts: claim.verdicts.map((one, i) => i > 0 ? one : { ...one, ...edit(one) }),
    },
  });
  const of = (at: number) => {
    const begun = runs[at].events![0];
    if (begun.type !== "start") throw new Error("a log begins with its start");
    return begun;
  };
  const at = draw.below(runs.length);
  // A run of the same net as the first.
  const twin = 1;
  // The run of the other reading, of the same net and seed.
  const half = runs.length / 2;
  const lineOf = <Type extends RunEvent["type"]>(type: Type) =>
    runs[0].events!.find((event): event is Extract<RunEvent, { type: Type }> =>
      event.type === type
    )!;
  switch (change) {
    case "a margin changed after the runs":
      return { ...good, plan: { ...plan, margin: plan.margin * 0.9 } };
    case "a plan written after the runs": {
      const late = { ...plan, written: "2026-02-01T00:00:00Z" };
      return {
        ...good,
        plan: late,
        planSha256: planHash(late),
        claim: { ...claim, planSha256: planHash(late) },
      };
    }
    case "runs of another plan":
      return start(at, { plan: draw.hash() });
    case "a claim by another plan":
      return { ...good, claim: { ...claim, planSha256: draw.hash() } };
    case "two verdicts on a net":
      return { ...good, claim: { ...claim, verdicts: [...claim.verdicts, claim.verdicts[0]] } };
    case "a run left out":
      return { ...good, runs: runs.filter((_, i) => i !== at) };
    case "a run of another seed":
      return start(at, { seed: 5_000 });
    case "a run of another net":
      return start(at, { recipe: paper("resnet14") });
    case "a run of another recipe":
      return start(at, {
        recipe: vary(of(at).recipe, DEPARTURES[draw.pick(Object.keys(DEPARTURES))], "to see"),
      });
    case "a run of the other reading": {
      const { recipe } = of(at);
      const other = recipe.name === "paper" ? "paper-50k" : "paper";
      return start(at, { recipe: RECIPES[other](recipe.architecture.name) });
    }
    case "one reading's runs alone":
      return { ...good, runs: runs.filter((_, i) => of(i).recipe.name === of(0).recipe.name) };
    case "a run counted for both readings":
      return {
        ...good,
        runs: runs.with(half, { events: [runs[half].events![0], ...runs[0].events!.slice(1)] }),
      };
    case "a reading left out of the claim": {
      const [first] = recipesOf(plan);
      const left = claim.verdicts.filter(({ planned }) => planned.recipe === first);
      return { ...good, claim: { ...claim, verdicts: left } };
    }
    case "one reading's word for both": {
      const { kind, sentence } = claim.verdicts[0], other = claim.verdicts.length / 2;
      const verdicts = claim.verdicts.with(other, { ...claim.verdicts[other], kind, sentence });
      return { ...good, claim: { ...claim, verdicts } };
    }
    case "a run from given weights":
      return start(at, { startWeights: { path: "net.pth", sha256: draw.hash() } });
    case "a run on other data":
      return start(at, { data: { ...of(at).data, hashes: { "test_batch.bin": draw.hash() } } });
    case "one run's weights in another":
      return inRun(
        twin,
        (event) =>
          event.type === "end" ? { ...event, weightsSha256: lineOf("end").weightsSha256 } : event,
      );
    case "one run's predictions in another":
      return inRun(
        twin,
        (event) =>
          event.type === "evaluation"
            ? { ...event, predictions: lineOf("evaluation").predictions }
            : event,
      );
    case "one run's losses in another":
      return inRun(
        twin,
        (event) => event.type === "step" ? { ...event, loss: lineOf("step").loss } : event,
      );
    case "one split for two seeds":
      return start(twin, { data: { ...of(twin).data, splitHashes: of(0).data.splitHashes } });
    case "a seed twice":
      return start(twin, { seed: of(0).seed });
    case "a failure that is not counted":
      return verdicts(({ runs }) => ({ runs: runs.slice(1) }));
    case "a net left out of the claim":
      return { ...good, claim: { ...claim, verdicts: claim.verdicts.slice(1) } };
    case "the best run as the mean":
      return verdicts(({ summary, runs }) => ({
        summary: { ...summary!, mean: Math.min(...runs.map(({ testError }) => testError!)) },
      }));
    case "a smaller spread in the claim":
      return verdicts(({ summary }) => ({
        summary: { ...summary!, standardDeviation: summary!.standardDeviation! / 2 },
      }));
    case "another word for the verdict":
      return verdicts(({ kind }) => ({ kind: kind === "equivalent" ? "different" : "equivalent" }));
    case "a smaller p":
      return verdicts(({ equivalence }) => ({
        equivalence: { ...equivalence!, p: equivalence!.p / 3 },
      }));
    case "another sentence":
      return verdicts(({ sentence }) => ({ sentence: `${sentence} As good as the paper.` }));
    default:
      return good;
  }
}
