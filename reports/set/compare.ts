/** Runs side by side, whatever they differ in: results, what differs, one overlay. */
import { number, percent } from "../../text/mod.ts";
import { differingFields, imagenetPaper, paper, recipeValue } from "../../recipes/mod.ts";
import { PHOTOGRAPHS, type SetName } from "../../data/mod.ts";
import { canonicalJson } from "../../verdicts/mod.ts";
import { shortNames } from "../_names.ts";
import { networkName, setName } from "../_format.ts";
import { figure6Axis } from "../figure_6.ts";
import { addressOf, type Block, heading, NONE, numbers, sentences, table } from "../page/blocks.ts";
import type { Series } from "../page/plot.tsx";
import type { SetGroup, SetNet, SetRun } from "./result.ts";

/** More columns than this do not fit beside each other. */
const MOST_COLUMNS = 8;
/** Colours of lines that the style sheet has. */
const COLORS = 8;

/** The nets of one group, and what tells them from those of the others. */
interface Side {
  readonly net: SetNet;
  readonly name: string;
}

/**
 * A section for each data set with runs under different conditions. Nothing
 * here is a verdict: the runs differ in more than their seeds.
 *
 * @param groups The groups of a set.
 */
export function comparison(
  groups: readonly SetGroup[],
  nameOfRun: (run: SetRun) => string,
): Block[] {
  // Two folders of photographs are two data sets.
  const images = ({ data }: SetGroup) =>
    canonicalJson(data.set === PHOTOGRAPHS ? data.hashes : data.set);
  const alike = [...Map.groupBy(groups, images).values()].filter((ofSet) => ofSet.length > 1);
  const names = alike.map(([{ data }]) => setName(data.set));
  return alike.flatMap((ofSet, i) => {
    const before = names.slice(0, i).filter((name) => name === names[i]).length;
    return section(before === 0 ? names[i] : `${names[i]} (${before + 1})`, ofSet, nameOfRun);
  });
}

function section(
  set: string,
  groups: readonly SetGroup[],
  nameOfRun: (run: SetRun) => string,
): Block[] {
  const all = groups.flatMap((group) => group.nets.map((net) => ({ net, group })));
  const sides = all.map(({ net, group }): Side => {
    if (net.runs.length === 1) return { net, name: nameOfRun(net.runs[0]) };
    const own = nameOf(net, group);
    const isAlone = all.filter((other) => nameOf(other.net, other.group) === own).length === 1;
    return { net, name: isAlone ? own : `${own}: ${net.runs.map(nameOfRun).join(", ")}` };
  });
  const runs = sides.flatMap(({ net }) => net.runs);
  const id = set.toLowerCase().replace(/[^a-z0-9]+/g, "-");
  return [
    heading(2, `All runs on ${set}, side by side`),
    {
      kind: "text",
      muted: true,
      text: "Runs that differ in more than their seeds; what they share is judged further below.",
    },
    results(runs, `${id}-results`),
    ...differences(groups, `${id}-differences`, nameOfRun),
    ...overlay(sides, id),
  ];
}

/** "ResNet-20, recipe “paper”, 4,000 iterations". */
function nameOf({ architecture }: SetNet, { recipe, iterations }: SetGroup): string {
  return `${networkName(architecture)}, recipe “${recipe}”, ${number(iterations)} iterations`;
}

/** What each run is called: the end of its folder's path, as far as it tells the run from others. */
export function runNames(groups: readonly SetGroup[]): (run: SetRun) => string {
  const folders = groups.flatMap(({ nets }) => nets).flatMap(({ runs }) => runs)
    .map(({ folder }) => folder);
  const names = new Map(shortNames(folders).map((name, i) => [folders[i], name]));
  return ({ folder }) => names.get(folder)!;
}

function results(runs: readonly SetRun[], id: string): Block {
  const sorted = runs.toSorted((a, b) =>
    (a.result.testError?.error ?? 2) - (b.result.testError?.error ?? 2)
  );
  const hasFive = runs.some(({ result }) => result.topFiveError !== null);
  return table(
    id,
    "The best test error after the last step first",
    [
      "Run",
      "Network",
      numbers("Test error"),
      ...(hasFive ? [numbers("Top-5 test error")] : []),
      numbers("Best validation error"),
      numbers("Iterations"),
      "Recipe",
      numbers("Seed"),
      "Engine",
    ],
    sorted.map(({ folder, report, result }) => [
      report === null ? folder : { text: folder, href: addressOf(report) },
      networkName(result.architecture.name),
      result.testError ? percent(result.testError.error) : result.completeness,
      ...(hasFive ? [result.topFiveError ? percent(result.topFiveError.error) : NONE] : []),
      result.bestValidation ? percent(result.bestValidation.error) : NONE,
      number(result.iterations),
      result.recipe.name,
      String(result.seed),
      result.engine,
    ]),
  );
}

/** Fields of the recipes in which the runs differ, a column a recipe. */
function differences(
  groups: readonly SetGroup[],
  id: string,
  nameOfRun: (run: SetRun) => string,
): Block[] {
  const all = groups.flatMap(({ nets, startWeights }) =>
    nets.flatMap(({ runs }) => runs.map((run) => ({ run, begun: startWeights ?? "none" })))
  );
  const runs = all.map(({ run }) => run);
  const fields = new Set(
    runs.flatMap(({ result }) => result.recipe.departures.map(({ field }) => field)),
  );
  const recipes = [
    ...Map.groupBy(
      all,
      ({ run: { result }, begun }) => JSON.stringify([result.recipe.departures, begun]),
    ).values(),
  ];
  const papers = new Map(
    runs.map((
      { result: { architecture: { name }, data } },
    ) => [name, fieldsOfPaper(name, data.set)]),
  );
  const value = ({ result: { architecture, recipe } }: SetRun, field: string) =>
    recipe.departures.find((departure) => departure.field === field)?.here ??
      papers.get(architecture.name)!.get(field) ?? "none";
  const rows = [
    ...[...fields].sort().map((field) =>
      [
        { code: field },
        // Nets that depart in nothing may differ all the same: ResNet-110 alone has a warm-up.
        recipes.map((of) =>
          [...new Set(of.map(({ run }) => recipeValue(value(run, field))))].join(" or ")
        ),
      ] as const
    ),
    ["given weights", recipes.map(([{ begun }]) => begun)] as const,
  ].filter(([, values]) => new Set(values).size > 1);
  if (rows.length === 0 || recipes.length > MOST_COLUMNS) return [];
  const columns = recipes.map((of) =>
    of.length === 1
      ? nameOfRun(of[0].run)
      : `${of.length} runs: ${of.map(({ run }) => nameOfRun(run)).join(", ")}`
  );
  return [table(
    id,
    "What differs between their recipes; but for the network the other fields are the same",
    ["Field", ...columns.map(sentences)],
    rows.map(([field, values]) => [field, ...values]),
  )];
}

/** The fields of the paper's recipe for a net, as departures state them. */
function fieldsOfPaper(net: string, set: SetName): ReadonlyMap<string, string> {
  const recipe = set === PHOTOGRAPHS ? imagenetPaper(net) : paper(net);
  return new Map(differingFields({}, recipe).map(({ field, after }) => [field, after]));
}

function overlay(sides: readonly Side[], id: string): Block[] {
  const lines = (set: "training" | "validation"): Series[] =>
    sides.flatMap(({ net, name }, i) => {
      const points = net.curves[set].map(({ iteration, mean }) => [iteration, 100 * mean] as const);
      return points.length === 0 ? [] : [{
        ...{ name, color: `--line-${i % COLORS + 1}` as const, points },
        dashed: Math.floor(i / COLORS) % 2 === 1,
        dots: points.length <= 25,
      }];
    });
  return (["validation", "training"] as const).flatMap((set) => {
    const series = lines(set);
    if (series.length === 0) return [];
    const axis = figure6Axis(series);
    return [{
      ...{ kind: "figure" as const, title: `${set[0].toUpperCase()}${set.slice(1)} error` },
      plot: {
        ...{ id: `${id}-${set}`, x: "iteration", y: "error, %", series },
        ...(axis.top === undefined ? {} : { top: axis.top }),
      },
      summary: `${
        series.map(({ name, points }) => `${name}: ${points[points.length - 1][1].toFixed(2)}%`)
          .join("; ")
      } at the last point of each line.${axis.said}`,
    }];
  });
}
