/** @jsxRuntime automatic */
/** @jsxImportSource preact */
/** The page of `deno task watch`, and the parts of it that change; JSX escapes all text. */
import type { VNode } from "preact";
import { render } from "preact-render-to-string";
import { duration, number, percent } from "../../text/mod.ts";
import { recipeValue } from "../../recipes/mod.ts";
import { networkName } from "../_format.ts";
import { shortNames } from "../_names.ts";
import { figure6Axis } from "../figure_6.ts";
import { addressOf, type Block, table } from "../page/blocks.ts";
import { Parts } from "../page/html.tsx";
import { type Series, spanMeans } from "../page/plot.tsx";
import { style } from "../page/style.ts";
import type { RunChecklist } from "../run/judged.ts";
import type { Curves, Fields, Watched } from "./logs.ts";

/** Most points of a line; more would be finer than a screen's pixels. */
const CURVE_POINTS = 300;
/** Colours of lines that the style sheet has, and lines that can still be told apart. */
const COLORS = 8;
/** Rows of the list; a filter brings the others. */
const MOST_ROWS = 200;

const OWN_STYLE = `
.controls { display: flex; flex-wrap: wrap; gap: .75rem 1.5rem; align-items: end; margin: 1rem 0; }
.controls label { display: grid; gap: .25rem; font-size: .875rem; color: var(--muted); }
.controls input, .controls select { font: inherit; color: var(--ink); background: var(--paper); border: 1px solid var(--muted); border-radius: 4px; padding: .4rem .5rem; min-width: 12rem; }
:is(input, select, a):focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; }
.scroll.list { max-height: 60vh; overflow: auto; }
.list td, .list th { white-space: nowrap; }
.list input { width: 1.25rem; height: 1.25rem; accent-color: var(--accent); }
progress { width: 6rem; accent-color: var(--accent); }
`;

/** The page itself; what changes is asked for by its script. */
export function shell(root: string): string {
  return "<!DOCTYPE html>\n" + render(
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <title>{`Runs in ${root}`}</title>
        <style dangerouslySetInnerHTML={{ __html: style + OWN_STYLE }} />
        <script type="module" src="/client.js" />
      </head>
      <body>
        <header>
          <p class="eyebrow">Runs, recordings and jobs</p>
          <h1>{root}</h1>
        </header>
        <main>
          <div class="controls">
            <label>
              Filter by name, network, data set or recipe
              <input id="filter" type="search" autocomplete="off" />
            </label>
            <label>
              State
              <select id="state">
                <option value="">any</option>
                <option>running</option>
                <option>finished</option>
                <option>stopped</option>
                <option>failed</option>
                <option>broken off</option>
              </select>
            </label>
            <p id="live" class="muted" role="status" />
          </div>
          <div id="runs" />
          <div id="compared" />
        </main>
      </body>
    </html>,
  ) + "\n";
}

/** What a reader chose. */
export interface Choice {
  /** Each word has to stand in the name, the network, the data set or the recipe. */
  readonly filter: string;
  /** One state, or all where it is empty. */
  readonly state: string;
  /** Ids of the runs that are drawn; none: those that run, or the newest. */
  readonly runs: readonly string[];
}

/** The runs that a choice leaves. */
export function filtered(all: readonly Watched[], { filter, state }: Choice): readonly Watched[] {
  const words = filter.toLowerCase().split(/\s+/).filter(Boolean);
  return all.filter((run) => {
    const text = `${run.id} ${run.network} ${run.dataset} ${run.recipe} ${run.kind}`.toLowerCase();
    return (state === "" || run.state === state) && words.every((word) => text.includes(word));
  });
}

/** The runs that are drawn: what was chosen, else what runs, else the newest. */
export function drawn(all: readonly Watched[], choice: Choice): readonly Watched[] {
  const chosen = all.filter(({ id }) => choice.runs.includes(id));
  if (chosen.length > 0) return chosen.slice(0, 2 * COLORS);
  const shown = filtered(all, choice);
  const running = shown.filter(({ state }) => state === "running");
  return (running.length > 0 ? running : shown.slice(0, 1)).slice(0, COLORS);
}

/** The list, a row a run. */
export function listOf(all: readonly Watched[], choice: Choice): string {
  const shown = filtered(all, choice);
  const marked = new Set(drawn(all, choice).map(({ id }) => id));
  return render(
    <>
      <p class="muted">
        {number(shown.length)} of {number(all.length)}
        {shown.length > MOST_ROWS && `, the newest ${MOST_ROWS} listed; a filter brings the others`}
      </p>
      <div class="scroll list" role="group" aria-label="Runs" tabIndex={0}>
        <table class="wide-table">
          <thead>
            <tr>
              <th scope="col">Drawn</th>
              <th scope="col">Name</th>
              <th scope="col">State</th>
              <th scope="col">Network</th>
              <th scope="col">Progress</th>
              <th scope="col" class="number">Left</th>
              <th scope="col" class="number">Training</th>
              <th scope="col" class="number">Validation</th>
              <th scope="col" class="number">Test</th>
              <th scope="col">Files</th>
            </tr>
          </thead>
          <tbody>
            {shown.slice(0, MOST_ROWS).map((run) => (
              <Row key={run.id} run={run} marked={marked.has(run.id)} />
            ))}
          </tbody>
        </table>
      </div>
    </>,
  );
}

function Row({ run, marked }: { run: Watched; marked: boolean }): VNode {
  const share = (value: number | undefined) => value === undefined ? "–" : percent(value);
  return (
    <tr>
      <td>
        <input type="checkbox" value={run.id} checked={marked} aria-label={`draw ${run.id}`} />
      </td>
      <th scope="row">{run.id}</th>
      <td>{run.state}</td>
      <td>
        {networkName(run.network)}
        {run.dataset && <span class="muted">{` ${run.dataset}`}</span>}
      </td>
      <td>
        {run.iterations > 0 && (
          <progress
            value={run.iteration}
            max={run.iterations}
            aria-label={`${run.iteration} of ${run.iterations} iterations`}
          />
        )} {number(run.iteration)}
      </td>
      <td class="number">{run.secondsLeft === undefined ? "–" : duration(run.secondsLeft)}</td>
      <td class="number">{share(run.training)}</td>
      <td class="number">{share(run.validation)}</td>
      <td class="number">{share(run.test)}</td>
      <td>
        {run.files.map((name, i) => (
          <>
            {i > 0 && ", "}
            <a key={name} href={`/file/${addressOf(run.id)}/${name}`}>{name}</a>
          </>
        ))}
      </td>
    </tr>
  );
}

/** A run that is drawn, with its curves and its recipe. */
export interface Drawn {
  readonly run: Watched;
  readonly curves: Curves;
  readonly fields: Fields;
  /** Of a run that is over; a sentence where it can't be judged. */
  readonly checklist?: RunChecklist | string;
}

/** Curves of several runs on one axis, and what differs between their recipes. */
export function comparisonOf(all: readonly Drawn[]): string {
  if (all.length === 0) {
    return render(<p class="muted">Nothing here yet: a run appears when its log begins.</p>);
  }
  const single = all.length === 1;
  const ids = all.map(({ run }) => run.id);
  const names = shortNames(ids);
  const nameOf = ({ id }: Watched) => names[ids.indexOf(id)];
  const lines = (what: keyof Curves, color?: `--${string}`): Series[] =>
    all.flatMap(({ run, curves }, i) => {
      const { points } = spanMeans(curves[what], CURVE_POINTS);
      return points.length === 0 ? [] : [{
        ...{ name: single ? what : nameOf(run), points, dots: points.length <= 25 },
        color: color ?? `--line-${i % COLORS + 1}` as const,
        dashed: i >= COLORS,
      }];
    });
  const figure = (title: string, y: string, series: Series[], logarithmic = false): Block[] => {
    if (series.length === 0) return [];
    const top = logarithmic ? undefined : figure6Axis(series).top;
    return [{
      ...{ kind: "figure", title },
      plot: {
        ...{ id: title.toLowerCase().replaceAll(" ", "-"), x: "iteration", y, series },
        ...(logarithmic ? { logarithmic } : {}),
        ...(top === undefined ? {} : { top }),
      },
      summary: series.map(({ name, points }) => {
        const [at, value] = points[points.length - 1];
        return `${name}: ${Number(value.toPrecision(3))} at ${number(at)}`;
      }).join("; "),
    }];
  };
  const figures = single
    ? [
      ...figure("Error", "error, %", [
        ...lines("training", "--training"),
        ...lines("validation", "--validation"),
        ...lines("test", "--test"),
      ]),
      ...figure("Training loss", "cross entropy, logarithmic", lines("loss", "--training"), true),
    ]
    : [
      ...figure("Validation error", "error, %", lines("validation")),
      ...figure("Training error", "error, %", lines("training")),
      ...figure("Test error", "error, %", lines("test")),
      ...figure("Training loss", "cross entropy, logarithmic", lines("loss"), true),
    ];
  return render(
    <>
      <h2>{single ? all[0].run.id : `${all.length} runs on one axis`}</h2>
      <Parts blocks={[...figures, ...checklists(all, nameOf), ...differences(all, nameOf)]} />
    </>,
  );
}

function checklists(all: readonly Drawn[], nameOf: (run: Watched) => string): Block[] {
  const rows = all.flatMap(({ run, checklist }) => {
    if (checklist === undefined) return [];
    const name = { code: nameOf(run) };
    if (typeof checklist === "string") return [[name, "–", "–", "–", checklist]];
    const { pass, notObservable, fails } = checklist;
    const broken = fails.map(({ id }) => id).join(", ");
    return [[name, number(pass), number(fails.length), number(notObservable), broken || "none"]];
  });
  if (rows.length === 0) return [];
  return [table(
    "checklist",
    "The paper's checklist, for runs that are over",
    ["Run", "Rules kept", "Broken", "Not observable", "Which are broken"],
    rows,
  )];
}

function differences(all: readonly Drawn[], nameOf: (run: Watched) => string): Block[] {
  const stated = all.filter(({ fields }) => fields.size > 0);
  const runs = stated.slice(0, COLORS);
  const names = [...new Set(runs.flatMap(({ fields }) => [...fields.keys()]))].sort();
  const rows = names.map((name) =>
    [name, runs.map(({ fields }) => fields.get(name) ?? "none")] as const
  )
    .filter(([, values]) => new Set(values).size > 1);
  if (rows.length === 0) return [];
  return [table(
    "differences",
    `What differs between ${
      runs.length < stated.length
        ? `the recipes of the first ${runs.length} of these runs`
        : "their recipes"
    }`,
    ["Field", ...runs.map(({ run }) => nameOf(run))],
    rows.map(([name, values]) => [{ code: name }, ...values.map(recipeValue)]),
  )];
}
