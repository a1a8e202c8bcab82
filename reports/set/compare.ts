/** Runs side by side, whatever they differ in: results, what differs, one overlay. */
import { number, percent } from "../../text/mod.ts";
import { recipeValue } from "../../recipes/mod.ts";
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
export function comparison(groups: readonly SetGroup[]): Block[] {
  return [...Map.groupBy(groups, ({ data }) => data.set)].flatMap(([set, ofSet]) =>
    ofSet.length < 2 ? [] : section(setName(set), ofSet)
  );
}

function section(set: string, groups: readonly SetGroup[]): Block[] {
  const sides = groups.flatMap((group) =>
    group.nets.map((net): Side => ({ net, name: nameOf(net, group) }))
  );
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
    ...differences(runs, `${id}-differences`),
    ...overlay(sides, id),
  ];
}

/** "ResNet-20, recipe “paper”, 4,000 iterations". */
function nameOf({ architecture, runs }: SetNet, { recipe, iterations }: SetGroup): string {
  return runs.length === 1
    ? runName(runs[0])
    : `${networkName(architecture)}, recipe “${recipe}”, ${number(iterations)} iterations`;
}

/** The last part of the run's folder. */
export function runName({ folder }: SetRun): string {
  return folder.slice(folder.lastIndexOf("/") + 1);
}

function results(runs: readonly SetRun[], id: string): Block {
  const sorted = runs.toSorted((a, b) =>
    (a.result.testError?.error ?? 2) - (b.result.testError?.error ?? 2)
  );
  return table(
    id,
    "The best test error after the last step first",
    [
      "Run",
      "Network",
      numbers("Test error"),
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
      result.bestValidation ? percent(result.bestValidation.error) : NONE,
      number(result.iterations),
      result.recipe.name,
      String(result.seed),
      result.engine,
    ]),
  );
}

/** Fields of the recipes in which the runs differ, a column a recipe. */
function differences(runs: readonly SetRun[], id: string): Block[] {
  const fields = new Map<string, string>();
  for (const { result } of runs) {
    for (const { field, paper } of result.recipe.departures) fields.set(field, paper);
  }
  const recipes = [
    ...Map.groupBy(runs, ({ result }) => JSON.stringify(result.recipe.departures)).values(),
  ];
  const value = ({ result }: SetRun, field: string) =>
    result.recipe.departures.find((departure) => departure.field === field)?.here ??
      fields.get(field)!;
  const rows = [...fields.keys()].sort()
    .map((field) => [field, recipes.map(([run]) => value(run, field))] as const)
    .filter(([, values]) => new Set(values).size > 1);
  if (rows.length === 0 || recipes.length > MOST_COLUMNS) return [];
  const columns = recipes.map((of) =>
    of.length === 1
      ? of[0].folder.slice(of[0].folder.lastIndexOf("/") + 1)
      : `${of.length} runs: ${
        of.map(({ folder }) => folder.slice(folder.lastIndexOf("/") + 1)).join(", ")
      }`
  );
  return [table(
    id,
    "What differs between their recipes; the other fields are the same",
    ["Field", ...columns.map(sentences)],
    rows.map(([field, values]) => [{ code: field }, ...values.map(recipeValue)]),
  )];
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
