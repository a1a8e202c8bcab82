/**
 * Line plots as SVG text, drawn by ECharts without a browser. Colours are CSS
 * variables of the page, so that one drawing serves light, dark and print.
 */
// The bundled build: the modular one reads NODE_ENV, which needs --allow-env.
import { init } from "echarts/dist/echarts.esm.min.mjs";
import type { EChartsOption } from "echarts";

/** One line of a plot. */
export interface Series {
  readonly name: string;
  /** CSS custom property that holds the line's colour. */
  readonly color: `--${string}`;
  readonly dashed?: boolean;
  /** A dot at every point. */
  readonly dots?: boolean;
  readonly points: readonly (readonly [x: number, y: number])[];
  /** Shaded behind the line, for example from the lowest to the highest of several runs. */
  readonly band?: readonly (readonly [x: number, lower: number, upper: number])[];
}

/** What a plot shows. */
export interface Plot {
  /** Unique in the page; prefixes the ids inside of the drawing. */
  readonly id: string;
  readonly x: string;
  readonly y: string;
  readonly logarithmic?: boolean;
  /** Upper end of a linear y axis; lines are cut off there. */
  readonly top?: number;
  readonly series: readonly Series[];
}

/** Draws a plot at a size in pixels; the page scales it. */
export function drawPlot(plot: Plot, width: number, height: number): string {
  const chart = init(null, null, { renderer: "svg", ssr: true, width, height });
  chart.setOption(optionsOf(plot));
  const svg: string = chart.renderToSVGString({ useViewBox: true });
  chart.dispose();
  // Rules and marks for a pointer, which a still picture has no use for, and numbers that ECharts
  // counts over the process: a page must not depend on what was drawn before it.
  return svg
    .replace(/<style[^]*?<\/style>/g, "")
    .replace(/ (?:class|pointer-events|ecmeta_\w+)="[^"]*"/g, "")
    .replace(/zr\d+-/g, `${plot.id}-${width}-`);
}

function optionsOf({ x, y, logarithmic, top, series }: Plot): EChartsOption {
  const text = { color: "var(--muted)", fontFamily: "inherit", fontSize: 12 };
  const line = { lineStyle: { color: "var(--rule)" } };
  return {
    animation: false,
    textStyle: text,
    grid: { left: 48, right: 20, top: 28, bottom: 44, outerBoundsMode: "none" },
    xAxis: {
      type: "value",
      name: x,
      nameLocation: "middle",
      nameGap: 28,
      nameTextStyle: text,
      min: 0,
      max: "dataMax",
      splitNumber: 4,
      axisLabel: { ...text, showMaxLabel: true, hideOverlap: true },
      axisLine: line,
      axisTick: line,
      splitLine: { show: false },
    },
    yAxis: {
      type: logarithmic ? "log" : "value",
      name: y,
      nameLocation: "end",
      nameGap: 12,
      nameTextStyle: { ...text, align: "left", padding: [0, 0, 0, -40] },
      min: logarithmic ? undefined : 0,
      max: top,
      axisLabel: text,
      axisLine: { show: false },
      axisTick: { show: false },
      splitLine: line,
    },
    series: [
      ...series.flatMap(bandOf),
      ...series.map(({ name, color, dashed, dots, points }) => ({
        type: "line" as const,
        name,
        data: points.map(([x, y]) => [x, y]),
        silent: true,
        clip: true,
        showSymbol: dots ?? false,
        symbol: "circle",
        symbolSize: 5,
        itemStyle: { color: `var(${color})` },
        lineStyle: {
          color: `var(${color})`,
          width: 1.75,
          type: dashed ? "dashed" as const : "solid" as const,
        },
      })),
    ],
  };
}

/** A line nobody sees at the lower edge, and on top of it the band's height as a filled area. */
function bandOf({ name, color, band = [] }: Series, index: number) {
  if (band.length === 0) return [];
  const edge = {
    type: "line" as const,
    stack: `band ${index}`,
    silent: true,
    clip: true,
    symbol: "none",
    lineStyle: { opacity: 0 },
  };
  return [
    { ...edge, name: `${name}, lower`, data: band.map(([x, lower]) => [x, lower]) },
    {
      ...edge,
      name: `${name}, upper`,
      data: band.map(([x, lower, upper]) => [x, upper - lower]),
      areaStyle: { color: `var(${color})`, opacity: 0.18 },
    },
  ];
}

/**
 * Means over equal spans of iterations: at most `count` points, each at the end
 * of its span.
 *
 * @param values [iteration, value], by iteration.
 * @returns The points, and how many values each is the mean of (at most).
 */
export function spanMeans(
  values: readonly (readonly [number, number])[],
  count: number,
): { readonly points: readonly [number, number][]; readonly span: number } {
  const span = Math.max(1, Math.ceil(values.length / count));
  const points: [number, number][] = [];
  for (let i = 0; i < values.length; i += span) {
    const part = values.slice(i, i + span);
    const mean = part.reduce((sum, [, value]) => sum + value, 0) / part.length;
    points.push([part[part.length - 1][0], mean]);
  }
  return { points, span };
}
