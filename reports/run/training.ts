/** A run's curves: error, loss and learning rate by iteration. */
import type { Run } from "../../log/mod.ts";
import { changesAtTimes } from "../../recipes/mod.ts";
import { number, significant } from "../../text/mod.ts";
import { figure6Axis } from "../figure_6.ts";
import { type Block, type FigureBlock, heading } from "../page/blocks.ts";
import { type Mark, type Point, type Series, spanMeans } from "../page/plot.tsx";
import type { Subject } from "./subject.ts";

/** Most points of a training curve; more would be finer than a screen's pixels. */
const CURVE_POINTS = 300;
/** More changes of the rate than this are a curve, not events. */
const MOST_MARKS = 4;

/** The section, where the run has steps. */
export function training({ run }: Subject): Block[] {
  const { steps, evaluations } = run;
  if (steps.length === 0) return [];
  const trained = (value: "loss" | "error", scale: number) =>
    spanMeans(steps.map((step) => [step.iteration, step[value] * scale]), CURVE_POINTS);
  const evaluated = (set: "validation" | "test", value: "loss" | "error", scale: number) =>
    evaluations.filter((event) => event.set === set)
      .map((event): Point => [event.iteration, event[value] * scale]);
  const series = (value: "loss" | "error", scale: number): Series[] => {
    const all: Series[] = [
      { name: "training", color: "--training", points: trained(value, scale).points },
      {
        name: "validation",
        color: "--validation",
        dashed: true,
        points: evaluated("validation", value, scale),
      },
      { name: "test", color: "--test", points: evaluated("test", value, scale) },
    ];
    return all.filter(({ points }) => points.length > 0)
      .map((line) => ({ ...line, dots: line.points.length <= 25 }));
  };
  const errors = series("error", 100), losses = series("loss", 1);
  const axis = figure6Axis(errors);
  // A resume may log by other lines than the start says.
  const most = steps.reduce((most, step) => Math.max(most, step.steps), 1);
  const span = trained("loss", 1).span * most;
  const marks = rateMarks(run);
  return [
    heading(2, "Training"),
    {
      kind: "text",
      muted: true,
      text:
        `Training curves are measured on batches as they are trained on, before each update; a point is the mean over ${
          span === 1 ? "one iteration" : `up to ${number(span)} iterations`
        }. Validation and test images are not augmented.`,
    },
    {
      ...{ kind: "figure", title: "Error" },
      plot: {
        ...{ id: "error", x: "iteration", y: "error, %", series: errors, marks },
        ...(axis.top === undefined ? {} : { top: axis.top }),
      },
      summary: `${describe(errors, (y) => `${y.toFixed(2)}%`)}${axis.said}`,
    },
    {
      ...{ kind: "figure", title: "Loss" },
      plot: {
        ...{ id: "loss", x: "iteration", y: "cross entropy, logarithmic" },
        ...{ logarithmic: true, series: losses, marks },
      },
      summary: describe(losses, significant),
    },
    learningRate(run),
  ];
}

/** The log's changes of the rate, where it has them from its first step on: earlier versions had none. */
const ratesOf = ({ rates }: Run): Run["rates"] => rates[0]?.iteration === 1 ? rates : [];

/** Where the rate falls: as the log says, or, of earlier versions, the recipe, as far as it came. */
function rateMarks(run: Run): Mark[] {
  const { start: { recipe: { schedule } }, steps } = run;
  const rates = ratesOf(run);
  const last = steps[steps.length - 1].iteration;
  if (rates.length > 0 && rates.length <= MOST_MARKS + 1) {
    // The first is the rate of the first step.
    return rates.slice(1).filter(({ iteration }) => iteration <= last)
      .map(({ iteration, learningRate }) => ({
        x: iteration - 1,
        text: `rate ${significant(learningRate)}`,
      }));
  }
  if (
    schedule.kind !== "steps" || schedule.unit === "epoch" ||
    schedule.boundaries.length > MOST_MARKS
  ) return [];
  return schedule.boundaries.filter((boundary) => boundary < last).map((x, i) => ({
    x,
    text: `rate ${significant(schedule.rate * schedule.factor ** (i + 1))}`,
  }));
}

function learningRate(run: Run): FigureBlock {
  const { steps, start: { recipe: { schedule } } } = run;
  const rates = ratesOf(run);
  const last = steps[steps.length - 1];
  const first = rates[0]?.learningRate ?? steps[0].learningRate;
  const points: Point[] = [[0, first]];
  const phrases = [`${significant(first)} at first`];
  if (!changesAtTimes(schedule)) {
    // Each step has another rate, and a step event that of its last.
    points.push(...steps.map(({ iteration, learningRate }): Point => [iteration, learningRate]));
    phrases.push(`${significant(last.learningRate)} at iteration ${number(last.iteration)}`);
  } else {
    const changes = rates.length > 0 ? rates.slice(1).map(changeOf) : changesBetween(run);
    for (const { after, rate, words } of changes) {
      points.push([after, points[points.length - 1][1]], [after, rate]);
      phrases.push(words);
    }
    // A killed run may have changed its rate behind its last step event.
    const [end, rate] = points[points.length - 1];
    points.push([Math.max(last.iteration, end), rate]);
  }
  return {
    ...{ kind: "figure", title: "Learning rate" },
    plot: {
      ...{ id: "rate", x: "iteration", y: "learning rate, logarithmic", logarithmic: true },
      series: [{ name: "learning rate", color: "--training", points }],
    },
    summary: `${phrases.slice(0, 8).join("; ")}${phrases.length > 8 ? "; and so on" : ""}.`,
  };
}

interface RateChange {
  /** Steps before it. */
  readonly after: number;
  readonly rate: number;
  readonly words: string;
}

function changeOf({ iteration, learningRate }: Run["rates"][number]): RateChange {
  return {
    ...{ after: iteration - 1, rate: learningRate },
    words: `${significant(learningRate)} from iteration ${number(iteration)} on`,
  };
}

/** Of a log that does not state the changes: it says no more of one than the steps of an event. */
function changesBetween({ steps, start: { recipe: { schedule } } }: Run): RateChange[] {
  const places = schedule.kind === "steps" && schedule.unit !== "epoch" ? schedule.boundaries : [];
  return steps.flatMap((step, i): RateChange[] => {
    const before = steps[i - 1];
    if (!before || before.learningRate === step.learningRate) return [];
    const boundary = places.find((at) => at >= before.iteration && at < step.iteration);
    return [{
      ...{ after: boundary ?? before.iteration, rate: step.learningRate },
      words: `${significant(step.learningRate)}, first logged for ${
        step.iteration === before.iteration + 1
          ? "iteration"
          : `iterations ${number(before.iteration + 1)} to`
      } ${number(step.iteration)}`,
    }];
  });
}

/** "Training: from 80% at iteration 20 to 1% at 2,000." for each line. */
function describe(series: readonly Series[], show: (y: number) => string): string {
  return series.map(({ name, points }) => {
    const title = name[0].toUpperCase() + name.slice(1);
    const [[x0, y0]] = points;
    const [x1, y1] = points[points.length - 1];
    return points.length === 1
      ? `${title}: ${show(y0)} at iteration ${number(x0)}.`
      : `${title}: from ${show(y0)} at iteration ${number(x0)} to ${show(y1)} at ${number(x1)}.`;
  }).join(" ");
}
