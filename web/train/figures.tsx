/** @jsxRuntime automatic */
/** @jsxImportSource preact */
/// <reference lib="dom" />
/** What is seen of a training: its curves, the batch, the filters. Each has its place from the start. */
import type { VNode } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { Drawing, type Plot, type Point, type Series, spanMeans } from "../../reports/page/mod.ts";
import type { Filters, SeenBatch } from "./messages.ts";
import type { Curve, Shown } from "./state.ts";

/** Most points of a line; more would be finer than a screen's pixels. */
const POINTS = 200;
/** Images of a batch that have a place. */
const PLACES = 16;

/** Loss, errors and rate as they grow. */
export function Curves({ shown }: { readonly shown: Shown }): VNode {
  const { loss, training, validation, test, rate } = shown;
  return (
    <div class="columns">
      <Figure
        title="Loss"
        plot={{
          ...{ id: "loss", x: "step", y: "cross entropy" },
          series: [lineOf("training", loss, "--training")],
        }}
      />
      <Figure
        title="Error"
        plot={{
          ...{ id: "error", x: "step", y: "error, %", top: 100 },
          series: [
            lineOf("training", training, "--training"),
            lineOf("validation", validation, "--validation", true),
            lineOf("test", test, "--test", true),
          ],
        }}
      />
      <Figure
        title="Learning rate"
        plot={{
          ...{ id: "rate", x: "step", y: "rate" },
          series: [lineOf("rate", rate, "--line-3")],
        }}
      />
    </div>
  );
}

function lineOf(
  name: string,
  curve: Curve,
  color: `--${string}`,
  dots = false,
): Series {
  const { points } = spanMeans(curve as readonly Point[], POINTS);
  return { name, color, points, ...(dots ? { dots } : {}) };
}

function Figure({ title, plot }: { readonly title: string; readonly plot: Plot }): VNode {
  const series = plot.series.filter(({ points }) => points.length > 0);
  const said = series.map(({ name, points }) => {
    const [at, value] = points[points.length - 1];
    return `${name} ${Number(value.toPrecision(3))} at step ${Math.round(at)}`;
  }).join("; ");
  return (
    <figure>
      <h3>{title}</h3>
      <ul class="legend">
        {plot.series.map(({ name, color, dots }) => (
          <li key={name} class={dots ? "dots" : ""} style={`--color: var(${color})`}>{name}</li>
        ))}
      </ul>
      <div class="plot place" role="img" aria-label={`${title}: ${said || "no step yet"}`}>
        {series.length > 0 && (
          <>
            <div class="wide">
              <Drawing plot={{ ...plot, series }} width={560} height={240} />
            </div>
            <div class="narrow">
              <Drawing plot={{ ...plot, id: `${plot.id}-n`, series }} width={350} height={240} />
            </div>
          </>
        )}
      </div>
      <figcaption class="one-line">{said || "no step yet"}</figcaption>
    </figure>
  );
}

/** Images as the network saw them in the last step. */
export function Batch({ batch }: { readonly batch: SeenBatch | undefined }): VNode {
  const places = Array.from({ length: PLACES }, (_, i) => i);
  return (
    <figure class="whole-width">
      <h3>The batch as the network sees it</h3>
      <ul class="batch">
        {places.map((i) => {
          const image = batch?.images[i];
          const words = image ? movesOf(image) : "";
          return (
            <li key={i}>
              <Pixels
                width={batch?.width ?? 32}
                height={batch?.height ?? 32}
                rgb={batch && image
                  ? batch.pixels.subarray(
                    i * batch.width * batch.height * 3,
                    (i + 1) * batch.width * batch.height * 3,
                  )
                  : undefined}
                label={image ? `${image.label}, ${words}` : "no image yet"}
              />
              <span>{image?.label ?? " "}</span>
              <span>{words || " "}</span>
            </li>
          );
        })}
      </ul>
      <figcaption class="one-line">
        {batch
          ? `step ${batch.iteration}: ${PLACES} of its images, moved and mirrored at random`
          : "moved by up to 4 pixels and mirrored at random, drawn anew for each step"}
      </figcaption>
    </figure>
  );
}

function movesOf({ down, right, flipped }: SeenBatch["images"][number]): string {
  // The window that is cut out moves; what is in it moves the other way.
  const moves = [
    ...(down === 0 ? [] : [down > 0 ? `↑${down}` : `↓${-down}`]),
    ...(right === 0 ? [] : [right > 0 ? `←${right}` : `→${-right}`]),
    ...(flipped ? ["⇋"] : []),
  ];
  return moves.join(" ") || "as it is";
}

/** The first layer's filters, as colours: grey is 0. */
export function FirstLayer({ filters }: { readonly filters: Filters | undefined }): VNode {
  const [count, channels, height, width] = filters?.shape ?? [16, 3, 3, 3];
  const size = channels * height * width;
  const largest = filters ? filters.data.reduce((most, w) => Math.max(most, Math.abs(w)), 0) : 0;
  return (
    <figure class="whole-width">
      <h3>The first layer’s filters</h3>
      <ul class="filters">
        {Array.from({ length: count }, (_, i) => (
          <li key={i}>
            <Pixels
              {...{ width, height }}
              rgb={filters && filterPixels(filters, i, size, largest)}
              label={`filter ${i + 1}`}
            />
          </li>
        ))}
      </ul>
      <figcaption class="one-line">
        {filters
          ? `${count} filters of ${width} by ${height}; grey is 0, full colour ${
            largest.toPrecision(2)
          }`
          : "as they are learned; grey is 0"}
      </figcaption>
    </figure>
  );
}

/** [I, H, W] to RGB [H, W, 3]. */
function filterPixels({ shape, data }: Filters, at: number, size: number, largest: number) {
  const [, channels, height, width] = shape;
  const rgb = new Uint8Array(height * width * 3);
  for (let pixel = 0; pixel < height * width; pixel++) {
    for (let c = 0; c < 3; c++) {
      const value = data[at * size + Math.min(c, channels - 1) * height * width + pixel];
      rgb[3 * pixel + c] = 127.5 + 127.5 * value / (largest || 1);
    }
  }
  return rgb;
}

/** A small picture, every pixel a square. */
function Pixels({ width, height, rgb, label }: {
  readonly width: number;
  readonly height: number;
  readonly rgb: Uint8Array | undefined;
  readonly label: string;
}): VNode {
  const canvas = useRef<HTMLCanvasElement>(null);
  useEffect(() => {
    const context = rgb && canvas.current?.getContext("2d");
    if (!context) return;
    const image = context.createImageData(width, height);
    for (let pixel = 0; pixel < width * height; pixel++) {
      for (let c = 0; c < 3; c++) image.data[4 * pixel + c] = rgb[3 * pixel + c];
      image.data[4 * pixel + 3] = 255;
    }
    context.putImageData(image, 0, 0);
  });
  return <canvas ref={canvas} {...{ width, height }} role="img" aria-label={label} />;
}
