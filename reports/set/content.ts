/** What the report of a set says, block by block: the page and the Markdown show the same. */
import { datasetNamed, PHOTOGRAPHS } from "../../data/mod.ts";
import { PAPER_DATASET } from "../../paper/mod.ts";
import { checklistInWords, type Judgement } from "../../spec/mod.ts";
import { figure6Axis } from "../figure_6.ts";
import { duration, moment, number, percent } from "../../text/mod.ts";
import { networkName, setName } from "../_format.ts";
import {
  addressOf,
  type Block,
  type Cell,
  type Column,
  heading,
  NONE,
  notice,
  numbers,
  type Report,
  sentences,
  table,
} from "../page/blocks.ts";
import type { Plot, Series } from "../page/plot.tsx";
import { claimsOf, type Interval, recipesOf, type Verdict } from "../../verdicts/mod.ts";
import { comparison, runNames } from "./compare.ts";
import type { CurvePoint, SetGroup, SetNet, SetResult, SetRun } from "./result.ts";

/** Colours of lines that the style sheet has. */
const COLORS = 8;
/** Digits of a hash that tell it from others; report.json has all of them. */
const HASH_DIGITS = 16;

/** Everything that the report says, in order. */
export function setContent(result: SetResult): Report {
  const nameOfRun = runNames(result.groups);
  return {
    eyebrow: "Report of a set of runs",
    title: titleOf(result),
    head: summary(result),
    body: [
      ...comparison(result.groups, nameOfRun),
      ...result.groups.flatMap((group, index) =>
        groupBlocks(group, index, groupTitle(group, result.groups, nameOfRun))
      ),
      ...rulesOnSet(result),
      ...brokenFolders(result),
      ...claim(result),
    ],
  };
}

function titleOf({ plan, groups }: SetResult): string {
  const sets = [...new Set(groups.map(({ data }) => setName(data.set)))];
  if (!plan) {
    const count = groups.flatMap(runsOf).length;
    return `${number(count)} ${count === 1 ? "run" : "runs"}${
      sets.length > 0 ? ` on ${sets.join(" and on ")}` : ""
    }`;
  }
  const { architectures, dataset } = plan.content;
  return `${architectures.map(networkName).join(", ")} on ${setName(dataset)}`;
}

/** What one must know before any figure: verdicts, and what stands in their way. */
function summary(result: SetResult): Block[] {
  const { plan, groups, broken } = result;
  // Groups that differ in a field alone have the same to say.
  const blocks: Block[] = [
    ...new Map(groups.flatMap(noticesOf).map((block) => [JSON.stringify(block), block])).values(),
  ];
  if (!plan) {
    blocks.push(notice(
      "No verdict.",
      "These runs were put together without a plan that was written before them: what would be claimed of them was not fixed beforehand, and so nothing is.",
    ));
  }
  if (broken.length > 0) {
    blocks.push(notice(
      `${counted(broken.length, "folder")} could not be read as a run.`,
      "What such a folder holds counts neither for nor against anything here; each is named at the end.",
    ));
  }
  const open = groups.flatMap(runsOf).filter(({ outcome }) => outcome === null).length;
  if (open > 0) {
    blocks.push(notice(
      `${counted(open, "run")} not over.`,
      "A run that was stopped, whose engine or disk gave out, or whose log breaks off, can go on from its last checkpoint; its network gets no verdict before.",
    ));
  }
  if (plan) {
    const { content } = plan;
    const planned = claimsOf(content).length * content.seeds.length;
    const begun = groups.flatMap(runsOf).length + broken.length;
    if (begun < planned) {
      blocks.push(notice(
        `${number(planned - begun)} of ${number(planned)} planned runs not begun.`,
        "Until every planned run is over there is no verdict on its network.",
      ));
    }
  }
  const several = plan !== null && recipesOf(plan.content).length > 1;
  const byRecipe = ({ planned: { recipe } }: Verdict) => several ? `, recipe “${recipe}”` : "";
  const verdicts = groups.flatMap(({ nets }) =>
    nets.flatMap(({ architecture, verdict }) =>
      verdict && verdict.kind !== "none"
        ? [`${networkName(architecture)}${byRecipe(verdict)}: ${verdict.sentence}`]
        : []
    )
  );
  const failed = result.judgements.filter(({ outcome }) => outcome === "fail").length;
  if (failed > 0) {
    blocks.push(notice(
      `${counted(failed, "rule")} on the set broken.`,
      "What is claimed here does not stand as it is; see the rules on the set.",
    ));
  }
  return verdicts.length > 0 ? [...blocks, { kind: "list", items: verdicts }] : blocks;
}

/** What keeps a group from being compared with the paper. */
function noticesOf({ data, iterations, startWeights, comparable, nets }: SetGroup): Block[] {
  if (comparable) return [];
  if (data.set !== PAPER_DATASET) {
    const what = data.set !== PHOTOGRAPHS && datasetNamed(data.set).builtIn
      ? "Built-in images, not CIFAR-10."
      : "Not CIFAR-10.";
    return [notice(what, `${data.notice ?? ""} Nothing here is compared with Table 6.`.trim())];
  }
  const names = nets.map(({ architecture }) => networkName(architecture)).join(", ");
  if (startWeights !== null) {
    return [notice(
      "From given weights: no verdict against Table 6.",
      `${names}: the runs began from ${startWeights}, and the paper's from their initialisation.`,
    )];
  }
  const steps = `${number(iterations)} iterations instead of 64,000`;
  return [notice(
    iterations < 64_000
      ? "A shortened schedule: no verdict against Table 6."
      : "Another schedule: no verdict against Table 6.",
    `${names}: ${steps}. These errors are of this schedule alone.`,
  )];
}

function claim({ plan }: SetResult): Block[] {
  if (!plan) return [];
  const { content, sha256, recordedSha256 } = plan;
  const recipes = recipesOf(content);
  const rows: [string, Cell][] = [
    ["Written", moment(content.written)],
    ["SHA-256 of the plan", { code: sha256 }],
    [
      "SHA-256 that the runs recorded when they began",
      recordedSha256 === null
        ? "none did"
        : recordedSha256 === sha256
        ? "the same"
        : { code: recordedSha256 },
    ],
    ["Networks", content.architectures.map(networkName).join(", ")],
    ["Seeds of each", content.seeds.join(", ")],
    ["Data set", setName(content.dataset)],
    recipes.length > 1
      ? ["Recipes, each a claim of its own on each network", recipes.join(", ")]
      : ["Recipe", recipes[0]],
    ["Iterations", number(content.iterations)],
    ["Test of equivalence", "two one-sided t tests (TOST)"],
    ["Margin", points(content.margin)],
    ["Test of a difference", "two-sided t test"],
    ["Level of each test", String(content.alpha)],
    ...content.references.map(({ architecture, source, error, runs, spread }): [string, Cell] => [
      `Compared with: ${networkName(architecture)}`,
      `${source}: ${percent(error)}${
        runs > 1 ? `, the mean of ${runs} runs` : ""
      }; published spread ${
        points(spread.standardDeviation)
      } (${spread.runs} runs; ${spread.source})`,
    ]),
    ...Object.entries(content.dataHashes).map(([name, hash]): [string, Cell] => [
      `SHA-256 of ${name}`,
      { code: hash },
    ]),
  ];
  return [
    heading(2, "What is claimed"),
    table(
      "plan",
      "The plan, written before the first run began",
      ["Field", sentences("Value")],
      rows,
    ),
  ];
}

/** Recipes of one name may differ in their fields: then the runs tell the groups apart. */
function groupTitle(
  group: SetGroup,
  all: readonly SetGroup[],
  nameOfRun: (run: SetRun) => string,
): string {
  const title = ({ data, iterations, recipe }: SetGroup) =>
    `${capital(setName(data.set))}, ${number(iterations)} iterations, recipe “${recipe}”`;
  const own = title(group);
  return all.filter((other) => title(other) === own).length > 1
    ? `${own}: ${runsOf(group).map(nameOfRun).join(", ")}`
    : own;
}

function groupBlocks(group: SetGroup, index: number, title: string): Block[] {
  const { departuresInWords, startWeights, nets } = group;
  const departures = [
    ...(startWeights === null ? [] : [`it begins from given weights, ${startWeights}`]),
    ...departuresInWords,
  ];
  const id = (name: string) => `${name}-${index + 1}`;
  return [
    heading(2, title),
    {
      kind: "text",
      muted: true,
      text: departures.length === 0
        ? "The recipe is the paper's in every field."
        : `The recipe leaves the paper's: ${departures.join("; ")}.`,
    },
    ...errorTable(group, id("errors")),
    ...failures(nets),
    ...publicTables(nets, id("public")),
    ...errorFigures(group, id("curves")),
    ...layerFigures(nets, id("layers")),
    ...checklist(group, id("checklist")),
    ...costs(group, id("costs")),
    ...appendix(group, id("runs")),
  ];
}

function errorTable({ data, nets, comparable }: SetGroup, id: string): Block[] {
  const hasFive = nets.some(({ topFive }) => topFive !== null);
  const columns: Column[] = [
    { title: "Network" },
    numbers("Mean error"),
    ...(hasFive ? [numbers("Mean top-5 error")] : []),
    ...(comparable ? [{ title: "Paper" }] : []),
    { title: "Verdict" },
    numbers("Finished"),
    numbers("Standard deviation, points"),
    numbers("95% interval of the mean"),
    ...(comparable ? [numbers("Mean minus paper, points, 95%")] : []),
  ];
  const rows = nets.map((net): Cell[] => {
    const { architecture, runs, summary, meanInterval, topFive, paper, verdict } = net;
    const standardDeviation = meanInterval === null ? undefined : summary?.standardDeviation;
    const difference = verdict?.differenceInterval;
    return [
      networkName(architecture),
      summary ? percent(summary.mean) : NONE,
      ...(hasFive ? [topFive ? percent(topFive.mean) : NONE] : []),
      ...(comparable ? [paper ?? NONE] : []),
      verdict?.kind ?? "none",
      `${number(summary?.count ?? 0)} of ${number(verdict?.planned.seeds.length ?? runs.length)}`,
      standardDeviation === undefined ? NONE : (100 * standardDeviation).toFixed(2),
      meanInterval ? range(meanInterval, percent) : NONE,
      ...(comparable ? [difference ? range(difference, signed) : NONE] : []),
    ];
  });
  const { errorFloor, linearModelError } = data;
  for (
    const [name, error] of [
      ["A linear model", linearModelError],
      ["Error floor: share of wrong test labels", errorFloor],
    ] as const
  ) {
    if (error !== undefined) rows.push([name, percent(error), ...columns.slice(2).map(() => NONE)]);
  }
  const without = Map.groupBy(
    nets.filter(({ verdict }) => !verdict || verdict.kind === "none"),
    ({ verdict, withoutVerdict }) => withoutVerdict ?? verdict?.sentence,
  );
  const repeated = nets.flatMap(({ architecture, repeatedSeeds }) =>
    repeatedSeeds.length === 0 ? [] : [
      `${networkName(architecture)}: several runs have the ${
        repeatedSeeds.length === 1 ? "seed" : "seeds"
      } ${repeatedSeeds.join(", ")}, and so nothing is said of a spread over seeds.`,
    ]
  );
  const noisy =
    " The last interval takes the paper's figure for what it is: of one run, or of five, and as noisy as these.";
  return [
    heading(3, comparable ? "Beside Table 6" : "Test errors"),
    table(
      id,
      `Test error after the last step, over runs with different seeds.${comparable ? noisy : ""}`,
      columns,
      rows,
    ),
    ...(without.size + repeated.length === 0 ? [] : [{
      kind: "list" as const,
      items: [
        ...[...without].map(([why, of]) =>
          `${of.map(({ architecture }) => networkName(architecture)).join(", ")}: ${why}`
        ),
        ...repeated,
      ],
    }]),
  ];
}

function failures(nets: readonly SetNet[]): Block[] {
  const items = nets.flatMap(({ architecture, runs }) =>
    runs.filter(({ outcome }) => outcome !== "finished").map(({ outcome, result }) =>
      `${networkName(architecture)}, seed ${result.seed}: ${
        outcome ?? result.completeness
      } at iteration ${number(result.iterations)}${result.reason ? `: ${result.reason}` : ""}`
    )
  );
  return items.length === 0 ? [] : [heading(3, "Runs without a result"), { kind: "list", items }];
}

/** Table 6 beside what others state, and under which conditions they do. */
function publicTables(nets: readonly SetNet[], id: string): Block[] {
  const results = nets.flatMap(({ publicResults }) => publicResults);
  if (results.length === 0) return [];
  const implementations = [...Map.groupBy(results, ({ implementation }) => implementation)];
  const rows = nets.filter(({ publicResults }) => publicResults.length > 0).map((net): Cell[] => [
    networkName(net.architecture),
    net.summary ? percent(net.summary.mean) : NONE,
    net.paper ?? NONE,
    ...implementations.map(([name]) => {
      const stated = net.publicResults.find(({ implementation }) => implementation === name);
      return stated ? percent(stated.error) : NONE;
    }),
  ]);
  return [
    heading(3, "Beside public implementations"),
    table(
      id,
      "Test errors as their authors state them: none was measured here, and none decides a verdict",
      [
        { title: "Network" },
        numbers("Mean error here"),
        { title: "Paper" },
        ...implementations.map(([name]) => numbers(name)),
      ],
      rows,
    ),
    table(
      `${id}-conditions`,
      "Where these figures stand, and where their training leaves the paper's",
      [{ title: "Source" }, sentences("Conditions")],
      implementations.map(([name, [{ source, conditions }]]) => [
        { text: name, href: source },
        conditions,
      ]),
    ),
  ];
}

const isPlain = ({ architecture }: SetNet): boolean => architecture.startsWith("plain");

/** Figure 6: plain nets and residual nets, each in a drawing of its own. */
function errorFigures({ nets }: SetGroup, id: string): Block[] {
  const figures = [
    { title: "Plain nets", of: nets.filter(isPlain) },
    { title: "Residual nets", of: nets.filter((net) => !isPlain(net)) },
  ].flatMap(({ title, of }, i) => {
    const drawn = of.filter(({ curves }) => curves.training.length > 0);
    if (drawn.length === 0) return [];
    const series = drawn.flatMap(errorLines);
    const axis = figure6Axis(series);
    const plot: Plot = {
      ...{ id: `${id}-${i + 1}`, x: "iteration", y: "error, %", series },
      top: axis.top,
    };
    const words = drawn.map(({ architecture, curves }) => {
      const said = (["training", "validation", "test"] as const).flatMap((set) => {
        const last = curves[set].at(-1);
        return last ? [`${set} ${spread(last)}`] : [];
      });
      return `${networkName(architecture)}: at the end ${said.join(", ")}.`;
    });
    return [{
      ...{ kind: "figure" as const, title, plot, legend: legendOf(drawn) },
      summary: `${words.join(" ")}${axis.said}`,
    }];
  });
  const has = (set: "validation" | "test") => nets.some(({ curves }) => curves[set].length > 0);
  return figures.length === 0 ? [] : [
    heading(3, "Errors by iteration, as in the paper's Figure 6"),
    {
      kind: "text",
      muted: true,
      text: [
        "Dashed: training error, on batches as they are trained on, before each update.",
        has("validation")
          ? "Solid: error on the validation images, which the paper's figure does not show."
          : [],
        has("test")
          ? "Dot: test error, which is measured after the last step alone; the paper draws it by iteration."
          : [],
        "Each line is the mean of the runs that got so far, the shade reaches from the lowest to the highest of them.",
      ].flat().join(" "),
    },
    ...figures,
  ];
}

function errorLines({ architecture, curves }: SetNet, index: number): Series[] {
  const line = (set: keyof SetNet["curves"]): Series => {
    const drawn = curves[set];
    return {
      ...{ name: `${networkName(architecture)}, ${set}`, color: colorOf(index) },
      points: drawn.map(({ iteration, mean }) => [iteration, 100 * mean]),
      band: drawn.some(({ runs }) => runs > 1)
        ? drawn.map(({ iteration, lowest, highest }) => [iteration, 100 * lowest, 100 * highest])
        : [],
    };
  };
  const all: Series[] = [
    { ...line("training"), dashed: true },
    line("validation"),
    { ...line("test"), dots: true },
  ];
  return all.filter(({ points }) => points.length > 0);
}

/** Figure 7: by layer, and by size. */
function layerFigures(nets: readonly SetNet[], id: string): Block[] {
  const drawn = nets.filter(({ layers }) => layers !== null);
  if (drawn.length === 0) return [];
  const figure = (name: string, title: string, order: (values: number[]) => number[]): Block => ({
    ...{ kind: "figure", title },
    legend: legendOf(drawn).map((line, i) => ({ ...line, dashed: isPlain(drawn[i]) })),
    plot: {
      ...{ id: `${id}-${name}`, x: "layer", y: "standard deviation" },
      series: drawn.map((net, index) => ({
        ...{ name: networkName(net.architecture), color: colorOf(index), dashed: isPlain(net) },
        points: order(net.layers!.map(({ std }) => std)).map((std, i) => [i + 1, std]),
      })),
    },
    summary: drawn.map(({ architecture, layers }) => {
      const values = order(layers!.map(({ std }) => std));
      return `${networkName(architecture)}: ${
        values[0].toFixed(3)
      } in the first of ${values.length} layers, ${values.at(-1)!.toFixed(3)} in the last.`;
    }).join(" "),
  });
  return [
    heading(3, "Layer responses, as in the paper's Figure 7"),
    {
      kind: "text",
      muted: true,
      text:
        "Standard deviation of each 3x3 layer's output after batch normalisation and before ReLU or addition, on training images; the mean over the runs. Plain nets are dashed.",
    },
    figure("order", "In the layers' order", (values) => values),
    figure("size", "By size", (values) => values.toSorted((a, b) => b - a)),
  ];
}

/** How many rules each run keeps, and who breaks which. */
function checklist(group: SetGroup, id: string): Block[] {
  const runs = runsOf(group);
  const broken = runs.flatMap((run) => run.checklist.fails.map((rule) => ({ run, rule })));
  const rows = [...Map.groupBy(broken, ({ rule }) => rule.id).values()].flatMap((ofRule) =>
    [...Map.groupBy(ofRule, ({ rule }) => rule.evidence).values()].map((same): Cell[] => [
      { code: same[0].rule.id },
      same[0].rule.requirement,
      same[0].rule.evidence,
      same.length === runs.length ? "all" : namesOf(same.map(({ run }) => run)),
    ])
  );
  return [
    heading(3, "The paper's checklist"),
    table(
      id,
      "Rules of the paper that each run keeps, breaks, or on which its log holds too little",
      [
        { title: "Run" },
        ...["Pass", "Fail", "Not observable"].map(numbers),
      ],
      runs.map((run) => [
        nameOf(run),
        number(run.checklist.pass),
        number(run.checklist.fails.length),
        number(run.checklist.notObservable),
      ]),
    ),
    ...(rows.length === 0 ? [] : [
      table(
        `${id}-fails`,
        "Rules that are broken, with the evidence",
        ["Rule", sentences("What the paper says"), sentences("Evidence"), sentences("Runs")],
        rows,
      ),
    ]),
  ];
}

function costs(group: SetGroup, id: string): Block[] {
  const runs = runsOf(group);
  const finished = runs.flatMap(({ result }) => result.trainingSeconds ?? []);
  const seconds = finished.reduce((sum, own) => sum + own, 0);
  return [
    heading(3, "Costs"),
    table(
      id,
      `${
        finished.length === 0
          ? "No run has finished, and none has a training time"
          : `Training time of the finished runs together: ${duration(seconds)}`
      }. Images a second: the median of the log`,
      [
        { title: "Run" },
        ...["Iterations", "Time", "Images/s", "Resumes", "Warnings"].map(numbers),
        { title: "Engine" },
        sentences("Device"),
      ],
      runs.map(({ result, ...run }) => [
        nameOf({ result, ...run }),
        number(result.iterations),
        result.trainingSeconds === null ? NONE : duration(result.trainingSeconds),
        result.imagesPerSecond === null ? NONE : number(result.imagesPerSecond),
        number(result.resumes),
        number(result.warnings.length),
        [...new Set(result.engines.map(({ name }) => name))].join(", then ") || result.engine,
        result.device.summary,
      ]),
    ),
  ];
}

function appendix(group: SetGroup, id: string): Block[] {
  const runs = runsOf(group);
  const hasFive = runs.some(({ result }) => result.topFiveError !== null);
  return [
    heading(3, "Every run"),
    table(
      id,
      "The interval is Wilson's for the number of test images, not for the spread over seeds. The first digits of each event log's SHA-256; report.json has all",
      [
        { title: "Run" },
        numbers("Seed"),
        { title: "Outcome" },
        numbers("Test error"),
        numbers("95% interval"),
        ...(hasFive ? [numbers("Top-5 test error")] : []),
        { title: "Log, SHA-256" },
      ],
      runs.map(({ folder, report, outcome, result, logSha256 }) => [
        report === null ? folder : { text: folder, href: addressOf(report) },
        String(result.seed),
        outcome ?? result.completeness,
        result.testError ? percent(result.testError.error) : NONE,
        result.testError ? range(result.testError.interval, percent) : NONE,
        ...(hasFive ? [result.topFiveError ? percent(result.topFiveError.error) : NONE] : []),
        { code: logSha256.slice(0, HASH_DIGITS) },
      ]),
    ),
  ];
}

function rulesOnSet({ judgements, checklist }: SetResult): Block[] {
  return judgements.length === 0 ? [] : [
    heading(2, "Rules on the set"),
    table(
      "rules",
      `What makes several runs a result that can be believed (checklist ${
        checklistInWords(checklist)
      })`,
      ["Rule", "Outcome", sentences("Requirement"), sentences("Evidence")],
      judgements.map(({ id, outcome, requirement, evidence }: Judgement) => [
        { code: id },
        outcome === "not-observable" ? "not observable" : outcome,
        requirement,
        evidence,
      ]),
    ),
  ];
}

function brokenFolders({ broken }: SetResult): Block[] {
  return broken.length === 0 ? [] : [
    heading(2, "Folders that could not be read"),
    table(
      "broken",
      "Each was given as a run",
      ["Folder", sentences("What is wrong")],
      broken.map(({ folder, problem }) => [{ code: folder }, problem]),
    ),
  ];
}

const runsOf = ({ nets }: SetGroup): readonly SetRun[] => nets.flatMap(({ runs }) => runs);
const nameOf = ({ result }: Pick<SetRun, "result">): string =>
  `${networkName(result.architecture.name)}, seed ${result.seed}`;
const colorOf = (index: number): `--${string}` => `--line-${index % COLORS + 1}`;
const legendOf = (nets: readonly SetNet[]) =>
  nets.map((net, index) => ({
    ...{ name: networkName(net.architecture), color: colorOf(index) },
  }));

/** "ResNet-20, seeds 1, 2; ResNet-32, seed 1". */
const namesOf = (runs: readonly SetRun[]): string =>
  [...Map.groupBy(runs, ({ result }) => result.architecture.name)].map(([net, of]) =>
    `${networkName(net)}, ${of.length === 1 ? "seed" : "seeds"} ${
      of.map(({ result }) => result.seed).join(", ")
    }`
  ).join("; ");

const capital = (text: string): string => text[0].toUpperCase() + text.slice(1);
const counted = (count: number, noun: string): string =>
  `${number(count)} ${noun}${count === 1 ? "" : "s"}`;
const points = (share: number): string => `${(100 * share).toFixed(2)} points`;
const signed = (share: number): string =>
  `${share < 0 ? "−" : "+"}${(100 * Math.abs(share)).toFixed(2)}`;
const range = ({ lower, upper }: Interval, show: (share: number) => string): string =>
  `${show(lower)} to ${show(upper)}`;

/** "8.75%", or "8.75% (8.51% to 9.02%)" of several runs. */
function spread({ runs, mean, lowest, highest }: CurvePoint): string {
  return runs === 1
    ? percent(mean)
    : `${percent(mean)} (${percent(lowest)} to ${percent(highest)})`;
}
