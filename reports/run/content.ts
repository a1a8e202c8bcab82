/** The report of a run, section by section. A new section is a file here and a line below. */
import type { Report } from "../page/blocks.ts";
import { checklist } from "./checklist.ts";
import { classes } from "./classes.ts";
import { headline, titleOf } from "./headline.ts";
import { network } from "./network.ts";
import { notes } from "./notes.ts";
import { provenance } from "./provenance.ts";
import { recipe } from "./recipe.ts";
import { responses } from "./responses.ts";
import { samples } from "./samples.ts";
import type { Subject } from "./subject.ts";
import { training } from "./training.ts";

const SECTIONS = [
  ...[notes, training, classes, samples, responses, network],
  ...[recipe, checklist, provenance],
];

/** Everything that the report of a run says, in order. */
export function runContent(subject: Subject): Report {
  return {
    eyebrow: `Run ${subject.result.run}`,
    title: titleOf(subject.result),
    head: headline(subject),
    body: SECTIONS.flatMap((section) => section(subject)),
  };
}
