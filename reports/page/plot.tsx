/** @jsxRuntime automatic */
/** @jsxImportSource preact */
/**
 * Line plots as SVG. Colours are CSS variables of the page, so that one drawing
 * serves light, dark and print; values are shown at the pointer by the
 * drawing's own titles, without a script.
 */
// @ts-types="npm:@types/d3-scale@4.0.9"
import { type ScaleContinuousNumeric, scaleLinear, scaleLog } from "d3-scale";
// @ts-types="npm:@types/d3-shape@3.2.0"
import { area, line } from "d3-shape";
import type { VNode } from "preact";
import { number, significant } from "../../text/mod.ts";

/** A place in a plot: [x, y]. */
export type Point = readonly [x: number, y: number];

/** One line of a plot. */
export interface Series {
  /** As the legend names it. */
  readonly name: string;
  /** CSS custom property that holds the line's colour. */
  readonly color: `--${string}`;
  /** Dashed, to be told apart without colours. */
  readonly dashed?: boolean;
  /** A dot at every point. */
  readonly dots?: boolean;
  /** The dots alone, where no value leads to the next. */
  readonly scattered?: boolean;
  /** By x. */
  readonly points: readonly Point[];
  /** Shaded behind the line, for example from the lowest to the highest of several runs. */
  readonly band?: readonly (readonly [x: number, lower: number, upper: number])[];
}

/** Where something happened: a line from top to bottom with a word. */
export interface Mark {
  /** Where on the x axis. */
  readonly x: number;
  /** A word or two. */
  readonly text: string;
}

/** What a plot shows. */
export interface Plot {
  /** Unique in the page. */
  readonly id: string;
  /** Title of the x axis. */
  readonly x: string;
  /** Title of the y axis, with its unit. */
  readonly y: string;
  /** Whether equal factors lie equally far apart on the y axis. */
  readonly logarithmic?: boolean;
  /** Upper end of a linear y axis; lines are cut off there. */
  readonly top?: number;
  /** Lines, the first at the back. */
  readonly series: readonly Series[];
  /** What happened, by x. */
  readonly marks?: readonly Mark[];
}

const MARGIN = { left: 48, right: 20, top: 28, bottom: 44 } as const;
/** Strips that show their values at the pointer; finer ones could not be hit. */
const STRIPS = 60;

/** Draws a plot at a size in pixels; the page scales it. */
export function Drawing(
  { plot, width, height }: { plot: Plot; width: number; height: number },
): VNode {
  const right = width - MARGIN.right, bottom = height - MARGIN.bottom;
  const x = scaleLinear(extent(plot.series, 0, true), [MARGIN.left, right]);
  const y = verticalScale(plot).range([bottom, MARGIN.top]);
  const clip = `${plot.id}-${width}-area`;
  return (
    <svg viewBox={`0 0 ${width} ${height}`} xmlns="http://www.w3.org/2000/svg" font-size="12">
      <defs>
        <clipPath id={clip}>
          <rect
            x={MARGIN.left}
            y={MARGIN.top - 3}
            width={right - MARGIN.left + 3}
            height={bottom - MARGIN.top + 6}
          />
        </clipPath>
      </defs>
      <g fill="var(--muted)" stroke="none">
        {verticalTicks(y, plot.logarithmic).map((value) => (
          <g key={value}>
            <line x1={MARGIN.left} x2={right} y1={y(value)} y2={y(value)} stroke="var(--rule)" />
            <text x={MARGIN.left - 6} y={y(value) + 4} text-anchor="end">
              {significant(value)}
            </text>
          </g>
        ))}
        {x.ticks(width < 400 ? 3 : 5).filter(Number.isInteger).map((value) => (
          <text key={value} x={x(value)} y={bottom + 17} text-anchor="middle">{number(value)}</text>
        ))}
        <text x={8} y={14}>{plot.y}</text>
        <text x={(MARGIN.left + right) / 2} y={height - 6} text-anchor="middle">{plot.x}</text>
      </g>
      {plot.marks?.map((mark, i) => (
        <g key={i}>
          <line
            x1={x(mark.x)}
            x2={x(mark.x)}
            y1={MARGIN.top}
            y2={bottom}
            stroke="var(--muted)"
            stroke-dasharray="2 3"
          />
          <text
            x={x(mark.x) + (x(mark.x) > right - 60 ? -4 : 4)}
            y={MARGIN.top + 10}
            fill="var(--muted)"
            font-size="11"
            text-anchor={x(mark.x) > right - 60 ? "end" : "start"}
          >
            {mark.text}
          </text>
        </g>
      ))}
      <g clip-path={`url(#${clip})`} fill="none" stroke-width="1.75" stroke-linejoin="round">
        {plot.series.map(({ name, color, band = [] }) =>
          band.length > 0 && (
            <path
              key={name}
              d={area<readonly [number, number, number]>(([at]) => x(at), ([, low]) => y(low), (
                [, , high],
              ) => y(high))(band) ?? ""}
              fill={`var(${color})`}
              fill-opacity="0.18"
            />
          )
        )}
        {plot.series.map(({ name, color, dashed, dots, scattered, points }) => (
          <g key={name} stroke={scattered ? "none" : `var(${color})`}>
            {!scattered && (
              <path
                d={line<Point>(([at]) => x(at), ([, value]) =>
                  y(value))(points) ?? ""}
                stroke-dasharray={dashed ? "5 3" : undefined}
              />
            )}
            {(dots || scattered) &&
              points.map(([at, value], i) => (
                <circle key={i} cx={x(at)} cy={y(value)} r="2.5" fill={`var(${color})`} />
              ))}
          </g>
        ))}
      </g>
      <g fill="transparent">
        {strips(plot, x.domain()).map(({ from, to, text }) => (
          <rect
            key={from}
            x={x(from)}
            width={x(to) - x(from)}
            y={MARGIN.top}
            height={bottom - MARGIN.top}
          >
            <title>{text}</title>
          </rect>
        ))}
      </g>
    </svg>
  );
}

function extent(series: readonly Series[], axis: 0 | 1, fromZero: boolean): [number, number] {
  const values = series.flatMap(({ points, band = [] }) => [
    ...points.map((point) => point[axis]),
    ...band.flatMap(([x, low, high]) => axis === 0 ? [x] : [low, high]),
  ]).filter(Number.isFinite);
  const low = fromZero ? 0 : values.reduce((a, b) => Math.min(a, b), Infinity);
  const high = values.reduce((a, b) => Math.max(a, b), fromZero ? 0 : -Infinity);
  if (!(low < high)) return Number.isFinite(low) ? [low, low === 0 ? 1 : low * 1.1] : [0, 1];
  return [low, high];
}

function verticalScale(
  { series, logarithmic, top }: Plot,
): ScaleContinuousNumeric<number, number> {
  if (!logarithmic) {
    const [low, high] = extent(series, 1, true);
    return top === undefined
      ? scaleLinear([low, high], [0, 1]).nice(5)
      : scaleLinear([0, top], [0, 1]);
  }
  // A logarithm has no zero: what is not above it lies below the axis.
  const positive = series.map(({ points, ...rest }) => ({
    ...rest,
    points: points.filter(([, y]) => y > 0),
    band: [],
  }));
  const [low, high] = extent(positive, 1, false);
  return scaleLog([Math.max(low, 1e-12), Math.max(high, 1e-11)], [0, 1]).clamp(true);
}

/**
 * Few and round: of a logarithmic axis 1, 2 and 5 in each decade, or the decades alone; where it
 * is too short to have two of them, those of a linear one.
 */
function verticalTicks(y: ScaleContinuousNumeric<number, number>, logarithmic = false): number[] {
  if (!logarithmic) return y.ticks(5);
  const [low, high] = y.domain();
  const decades = Array.from(
    { length: Math.floor(Math.log10(high)) - Math.floor(Math.log10(low)) + 1 },
    (_, i) => 10 ** (Math.floor(Math.log10(low)) + i),
  );
  const within = (value: number) => value >= low * 0.999 && value <= high * 1.001;
  const fine = decades.flatMap((decade) => [decade, 2 * decade, 5 * decade]).filter(within);
  if (fine.length < 2) return scaleLinear([low, high], [0, 1]).ticks(4);
  const round = fine.length > 7 ? decades.filter(within) : fine;
  return round.map((value) => Number(value.toPrecision(1)));
}

/** Parts of the x axis, each with what the lines have there. */
function strips(
  { series, x, y }: Plot,
  [low, high]: readonly number[],
): { readonly from: number; readonly to: number; readonly text: string }[] {
  const places = [...new Set(series.flatMap(({ points }) => points.map(([at]) => at)))]
    .sort((a, b) => a - b);
  const count = Math.min(STRIPS, places.length);
  return Array.from({ length: count }, (_, i) => {
    const from = low + (high - low) * i / count, to = low + (high - low) * (i + 1) / count;
    const middle = (from + to) / 2;
    const values = series.flatMap(({ name, points }) => {
      const nearest = points.reduce<Point | undefined>(
        (best, point) =>
          best && Math.abs(best[0] - middle) <= Math.abs(point[0] - middle) ? best : point,
        undefined,
      );
      const near = nearest && Math.abs(nearest[0] - middle) <= (to - from) * 1.5;
      return near ? [`${name} ${significant(nearest[1])} at ${number(nearest[0], 3)}`] : [];
    });
    return { from, to, text: `${x}; ${y}: ${values.join("; ")}` };
  });
}

/**
 * Means over equal spans of iterations: at most `count` points, each at the end
 * of its span.
 *
 * @param values [iteration, value], by iteration.
 * @param count Most points.
 * @returns The points, and how many values each is the mean of (at most).
 */
export function spanMeans(
  values: readonly Point[],
  count: number,
): { readonly points: readonly Point[]; readonly span: number } {
  const span = Math.max(1, Math.ceil(values.length / count));
  const points: Point[] = [];
  for (let i = 0; i < values.length; i += span) {
    const part = values.slice(i, i + span);
    const mean = part.reduce((sum, [, value]) => sum + value, 0) / part.length;
    points.push([part[part.length - 1][0], mean]);
  }
  return { points, span };
}
