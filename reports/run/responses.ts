/** How strongly a run's layers respond: Figure 7. */
import { number, significant } from "../../text/mod.ts";
import { type Block, heading } from "../page/blocks.ts";
import type { Subject } from "./subject.ts";

/** The section, where the run has layer statistics. */
export function responses({ run: { layerStatistics } }: Subject): Block[] {
  if (!layerStatistics || layerStatistics.layers.length === 0) return [];
  const { layers, images } = layerStatistics;
  const smallest = layers.reduce((a, b) => b.std < a.std ? b : a);
  const largest = layers.reduce((a, b) => b.std > a.std ? b : a);
  return [heading(2, "Layer responses"), {
    ...{ kind: "figure", title: "Standard deviation of each 3x3 layer's output" },
    plot: {
      ...{ id: "responses", x: "layer", y: "standard deviation" },
      series: [{
        ...{ name: "standard deviation", color: "--training", dots: true },
        points: layers.map(({ std }, i) => [i + 1, std]),
      }],
    },
    summary: `After batch normalisation, before ReLU or addition, over ${
      number(images)
    } training images, as in the paper's Figure 7. From ${
      significant(smallest.std)
    } (${smallest.name}) to ${significant(largest.std)} (${largest.name}).`,
  }];
}
