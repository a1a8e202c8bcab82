import { assert, assertEquals, assertFalse } from "@std/assert";
import { render } from "preact-render-to-string";
import { Drawing, type Plot, spanMeans } from "./plot.tsx";

const drawPlot = (plot: Plot, width: number, height: number): string =>
  render(Drawing({ plot, width, height }));

const PLOT: Plot = {
  id: "p",
  x: "iteration",
  y: "error, %",
  top: 20,
  series: [
    { name: "a", color: "--one", points: [[0, 10], [100, 0]] },
    { name: "b", color: "--two", dashed: true, dots: true, points: [[50, 5]] },
  ],
};

Deno.test("a drawing takes every colour from the page", () => {
  const svg = drawPlot(PLOT, 400, 300);
  assert(svg.startsWith("<svg "));
  assert(svg.includes('viewBox="0 0 400 300"'));
  assert(svg.includes("var(--one)"));
  assert(svg.includes("var(--two)"));
  const visible = svg.replace(/<defs.*<\/defs>/s, "");
  assertFalse(/#[0-9a-f]{3,8}"/i.test(visible), "a fixed colour is in the drawing");
  assertEquals(svg, drawPlot(PLOT, 400, 300));
});

Deno.test("a line lies where its values are", () => {
  const svg = drawPlot(PLOT, 400, 300);
  // The plot area: 48 from the left, 20 from the right, 28 from the top, 44 from the bottom.
  const [, x0, y0, x1, y1] = svg.match(
    /stroke="var\(--one\)"><path d="M([\d.]+),([\d.]+)L([\d.]+),([\d.]+)"/,
  )!.map(Number);
  assertEquals([x0, x1], [48, 380]);
  assertEquals([y0, y1], [28 + 228 / 2, 256]);
});

Deno.test("no axis has the same number twice, and a short logarithmic one has some", () => {
  const short: Plot = {
    ...{ id: "p", x: "iteration", y: "loss", logarithmic: true },
    series: [{ name: "a", color: "--one", points: [[1, 2.6], [2, 2.5], [3, 2.52]] }],
  };
  const svg = drawPlot(short, 540, 300);
  const texts = (anchor: string) =>
    [...svg.matchAll(new RegExp(`text-anchor="${anchor}">([\\d.]+)<`, "g"))].map(([, text]) =>
      text
    );
  assertEquals(texts("middle"), ["0", "1", "2", "3"]);
  const losses = texts("end");
  assert(losses.length >= 2 && new Set(losses).size === losses.length, losses.join(" "));
  // They are numbers of the axis: none lies where another value does.
  assert(losses.every((loss) => Number(loss) >= 2.5 && Number(loss) <= 2.6), losses.join(" "));
  const constant = { ...short, series: [{ ...short.series[0], points: [[0, 0.01], [8, 0.01]] }] };
  const rates = [
    ...drawPlot(constant as unknown as Plot, 540, 300)
      .matchAll(/text-anchor="end">([\d.]+)</g),
  ].map(([, text]) => Number(text));
  assert(rates[0] === 0.01 && rates.every((rate) => rate <= 0.011), rates.join(" "));
});

Deno.test("a band reaches from its lower to its upper values, behind the lines", () => {
  const band = [[0, 5, 10], [100, 0, 20]] as const;
  const svg = drawPlot({ ...PLOT, series: [{ ...PLOT.series[0], band }] }, 400, 300);
  const [area, path] = svg.match(/<path d="([^"]*)"[^>]*fill="var\(--one\)"[^>]*>/)!;
  assert(area.includes('fill-opacity="0.18"'));
  // As above: x from 48 to 380, y from 256 for 0 up to 28 for 20.
  const corners = [...path.matchAll(/([\d.]+),([\d.]+)/g)].map(([, x, y]) => `${x} ${y}`);
  assertEquals(new Set(corners), new Set(["48 142", "380 28", "380 256", "48 199"]));
  assert(svg.indexOf(area) < svg.indexOf('stroke="var(--one)"'));
});

Deno.test("means over spans keep the last iteration and every value", () => {
  const values = [[1, 4], [2, 6], [3, 1], [4, 3], [5, 9]] as const;
  assertEquals(spanMeans(values, 3), { points: [[2, 5], [4, 2], [5, 9]], span: 2 });
  assertEquals(spanMeans(values, 5).points, values.map(([x, y]) => [x, y] as [number, number]));
});
