/** @jsxRuntime automatic */
/** @jsxImportSource preact */
/** A plot with its title, its legend and what it shows in words. */
import type { VNode } from "preact";
import { drawPlot, type Plot, type Series } from "./_plot.ts";

/** What a figure shows. */
export interface PlotFigureProps {
  readonly title: string;
  readonly plot: Plot;
  /** What the plot shows, for readers who do not see it. */
  readonly summary: string;
  /** Lines that the legend names; all of the plot's when undefined. */
  readonly legend?: readonly Pick<Series, "name" | "color" | "dashed">[];
}

/** Draws the plot twice, for wide and for narrow windows. */
export function PlotFigure(
  { title, plot, summary, legend = plot.series }: PlotFigureProps,
): VNode {
  const caption = `${plot.id}-caption`;
  return (
    <figure>
      <h3>{title}</h3>
      {legend.length > 1 && (
        <ul class="legend">
          {legend.map(({ name, color, dashed }) => (
            <li key={name} class={dashed ? "dashed" : ""} style={`--color: var(${color})`}>
              {name}
            </li>
          ))}
        </ul>
      )}
      <div class="plot" role="img" aria-label={`Plot: ${title}`} aria-describedby={caption}>
        <div class="wide" dangerouslySetInnerHTML={{ __html: drawPlot(plot, 540, 300) }} />
        <div class="narrow" dangerouslySetInnerHTML={{ __html: drawPlot(plot, 340, 250) }} />
      </div>
      <figcaption id={caption}>{summary}</figcaption>
    </figure>
  );
}
