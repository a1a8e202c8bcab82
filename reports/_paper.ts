/** Where a run stands to the paper: what differs, and what the paper leaves open. */
import { departuresInWords, departuresOf, isOpen } from "../recipes/mod.ts";
import { PAPER_DATASET, PAPER_NETS, PAPER_SPREAD, TABLE_6, TEST_IMAGES } from "../paper/mod.ts";
import { number, percent } from "../text/mod.ts";
import type { Run } from "../log/mod.ts";

/** The paper's test error of a run's network, where Table 6 has it. */
export function paperError({ recipe }: Run["start"]): string | undefined {
  const net = recipe.data.set === PAPER_DATASET ? TABLE_6[recipe.architecture.name] : undefined;
  if (!net) return undefined;
  const spread = (100 * PAPER_SPREAD.standardDeviation).toFixed(2);
  return net.runs === 1
    ? percent(net.error)
    : `${(100 * net.error).toFixed(2)} ± ${spread}% over ${net.runs} runs`;
}

/** Why a run is not the paper's, each a phrase of its own; none where it is. */
export function differencesFromPaper({ start, outcome, finalTest }: Run): string[] {
  const reasons: string[] = [];
  if (outcome?.type !== "end") {
    reasons.push("it did not finish");
  } else if (outcome.iteration !== start.recipe.schedule.iterations) {
    reasons.push(
      `it ended after ${number(outcome.iteration)} of ${
        number(start.recipe.schedule.iterations)
      } iterations`,
    );
  }
  if (finalTest && start.recipe.data.set === PAPER_DATASET && finalTest.images !== TEST_IMAGES) {
    reasons.push(`tested on ${number(finalTest.images)} of ${number(TEST_IMAGES)} test images`);
  }
  if (start.startWeights) reasons.push("it started from given weights");
  const departures = departuresOf(start.recipe).filter(({ field }) => !isOpen(start.recipe, field));
  return [...reasons, ...departuresInWords(start.recipe, departures).map(({ text }) => text)];
}

/** Whether the paper has a figure for a network of that name, in Table 6 or Figure 6. */
export function table6Name(name: string): boolean {
  return PAPER_NETS.includes(name);
}
