/** What an audit of a recording says, in order: for the page, for Markdown and for a terminal. */
import type { RecordingAudit, RecordingReport } from "../../audit/recording/mod.ts";
import { linesOf } from "../../log/mod.ts";
import { paperRate } from "../../paper/mod.ts";
import {
  checklistInWords,
  classInWords,
  type ObservedImages,
  preparationInWords,
} from "../../spec/mod.ts";
import { number, significant, waitingInWords } from "../../text/mod.ts";
import {
  type Block,
  heading,
  type Line,
  NONE,
  notice,
  numbers,
  type Report,
  table,
} from "../page/blocks.ts";
import type { Point, Series } from "../page/plot.tsx";
import { pngUri } from "../run/_image.ts";
import { choicesSection, costInWords, costsNotKnown } from "./content.ts";

const CONCLUSIONS: Readonly<Record<RecordingReport["status"], string>> = {
  0: "Every rule is kept.",
  1: "It departs from the paper.",
  3: "Nothing speaks against it, as far as can be seen.",
};

/** Images of an epoch whose order is drawn. */
const ORDER = 256;

/** Everything that an audit of a recording says, in order. */
export function recordingContent(audit: RecordingAudit): Report {
  const { report } = audit;
  return {
    eyebrow: `Audit of ${report.form}`,
    title: report.target,
    head: headline(report),
    body: [
      ...changes(report),
      ...images(audit),
      ...crops(report),
      ...rates(audit),
      ...order(audit),
      ...layers(report),
      ...kept(report),
      ...unseen(report),
      ...choicesSection(report.choices, "Not seen."),
      ...notes(report),
    ],
  };
}

function headline(
  { verdict: [what, first, others], status, judgements, checklist, waiting }: RecordingReport,
) {
  const count = (...outcomes: string[]) =>
    number(judgements.filter(({ outcome }) => outcomes.includes(outcome)).length);
  return [
    notice(CONCLUSIONS[status], what, status === 1 ? "alert" : "calm"),
    { kind: "list", items: [first, others] },
    {
      kind: "facts",
      facts: [
        ["Rules that fail", count("fail")],
        ["Rules that pass", count("pass")],
        ["Not observable", count("not-observable", "defect")],
        ["Checklist", checklistInWords(checklist)],
        ...waitingFact(waiting),
      ],
    },
  ] satisfies Block[];
}

/** A fact about speed alone: it changes no result, and no rule asks for it. */
function waitingFact(waiting: RecordingReport["waiting"]): [string, string][] {
  if (waiting === undefined) return [];
  const { waited, seconds, workers } = waiting;
  const advice = workers === 0
    ? "The loader reads while nothing computes (num_workers=0): with some workers it reads ahead."
    : `More than ${workers} loading ${
      workers === 1 ? "process" : "processes"
    } (num_workers), or transforms that cost less, would shorten it.`;
  return [["Waiting for images", waitingInWords(waited, seconds, advice)]];
}

function changes({ changes }: RecordingReport): Block[] {
  return ([
    ["What to change, in this order", changes.filter(({ choice }) => !choice)],
    ["Chosen otherwise than in section 3.4", changes.filter(({ choice }) => choice)],
  ] as const).flatMap(([title, of]): Block[] =>
    of.length === 0 ? [] : [
      heading(2, title),
      {
        kind: "list",
        ordered: true,
        items: of.map(({ rule, change, evidence, where, cost }): Line => [
          `${change} Rule `,
          { code: rule },
          `. Seen: ${evidence}.`,
          ...(where === undefined ? [] : [" It begins at ", { code: where }, "."]),
          ...costInWords(cost),
        ]),
      },
      ...costsNotKnown(of),
    ]
  );
}

/** As they entered, beside the stored ones. */
function images({ samples, subject: { training = [], dataset } }: RecordingAudit): Block[] {
  if (samples.length === 0) return [];
  const name = (label: number) => classInWords(label, dataset?.classNames);
  const preparation = training.find((group) => group.preparation)?.preparation;
  const size = { height: 32, width: 32 };
  const text = [
    "The first training images of the recording, left as they entered the network, right as they are stored.",
    preparation ? `What was done to their values: ${preparationInWords(preparation)}.` : "",
    samples.some(({ how }) => how === "undone")
      ? "It is undone here, so that a wrong crop, border or order of channels can be seen."
      : "It could not be undone: values are stretched from the lowest to the highest.",
  ];
  return [
    heading(2, "What the network saw"),
    { kind: "text", text: text.filter((part) => part !== "").join(" ") },
    {
      kind: "images",
      images: samples.map(({ label, entered, found }) => {
        const given = label < 0 ? [] : [`label ${name(label)}`];
        if (found === undefined) {
          return {
            source: pngUri(size, entered),
            alt: "A training image as it entered; no stored image is alike",
            lines: ["found nowhere", { muted: given.join("") }],
          };
        }
        const { image, y, x, flip } = found;
        const where = `offset (${y}, ${x})${flip ? ", mirrored" : ""}`;
        return {
          source: pngUri(size, entered),
          alt: `Training image ${image} as it entered: ${where}`,
          beside: { source: pngUri(size, found.pixels), alt: `Image ${image} as it is stored` },
          lines: [where, {
            muted: `image ${number(image)}, class ${name(found.label)}${
              label >= 0 && label !== found.label ? `, trained as ${name(label)}` : ""
            }`,
          }],
        };
      }),
    },
  ];
}

/** Where crops stood: down by across. */
function crops({ offsets }: RecordingReport): Block[] {
  if (offsets === undefined) return [];
  const { counts, views, flipped } = offsets;
  const most = Math.max(1, ...counts);
  const places = Array.from({ length: 9 }, (_, i) => i - 4);
  const inside = counts.reduce((sum, count) => sum + count, 0);
  return [
    heading(2, "Where crops stood"),
    {
      kind: "text",
      text: `Of ${number(views)} views that were found, ${
        number(flipped)
      } are mirrored (the paper: half). In the paper each of the 81 offsets is equally likely: about ${
        significant(views / 81)
      } views each.${
        inside < views ? ` ${number(views - inside)} stand outside of the table.` : ""
      }`,
    },
    table(
      "offsets",
      "Views by the offset of their crop in pixels: a row is down, a column across",
      ["", ...places.map(String)],
      places.map((y) => [
        String(y),
        ...places.map((x) => {
          const count = counts[(y + 4) * 9 + x + 4];
          return { figure: number(count), share: 0.6 * count / most, tone: "right" as const };
        }),
      ]),
      "confusion offsets",
    ),
  ];
}

/** The rates beside the paper's. */
function rates({ report, subject: { log, photographs } }: RecordingAudit): Block[] {
  const steps = log === undefined ? [] : linesOf(log.lines, "step");
  const last = steps.at(-1)?.iteration;
  if (report.rates.length === 0 || last === undefined || last < 2) return [];
  const found: Point[] = report.rates.flatMap(({ iteration, rate }, i): Point[] => [
    ...(i === 0 ? [] : [[iteration, report.rates[i - 1].rate] as const]),
    [iteration, rate],
  ]);
  found.push([last, report.rates.at(-1)!.rate]);
  const paper = [1, 32_000, 32_001, 48_000, 48_001, last].filter((at) => at <= last)
    .map((at): Point => [at, paperRate(at)]);
  const ofPaper: Series = {
    ...{ name: "the paper's", color: "--validation", dashed: true, points: paper },
  };
  const series: Series[] = [
    // Section 3.4 names no steps.
    ...(photographs ? [] : [ofPaper]),
    { name: "recorded", color: "--training", points: found },
  ];
  const changes = report.rates.length - 1;
  const all = series.flatMap(({ points }) => points.map(([, rate]) => rate));
  const [least, most] = all.reduce(
    ([low, high], rate) => [Math.min(low, rate), Math.max(high, rate)],
    [Infinity, -Infinity],
  );
  const logarithmic = most > 2 * least;
  return [
    heading(2, "Rates and order"),
    {
      kind: "figure",
      title: "Learning rate by step",
      plot: {
        ...{ id: "rates", x: "step", logarithmic },
        ...{ y: `learning rate${logarithmic ? ", logarithmic" : ""}`, series },
      },
      summary: `Recorded: ${significant(report.rates[0].rate)} at first${
        changes === 0
          ? `, and until step ${number(last)}`
          : `, ${changes} changes, ${significant(report.rates.at(-1)!.rate)} at step ${
            number(last)
          }`
      }.${
        photographs ? "" : ` The paper: ${paperRate(1)} at first, ${paperRate(last)} at that step.`
      }`,
    },
  ];
}

/** The order of images and labels in the first two epochs. */
function order({ subject: { training = [] } }: RecordingAudit): Block[] {
  const epochs = training.filter(({ loader }) => loader === training[0].loader).slice(0, 2);
  const figures = ([["labels", "class"], ["indices", "position in the data set"]] as const)
    .flatMap(([what, y]): Block[] => {
      const series = epochs.map((epoch, i): Series => ({
        name: `epoch ${epoch.epoch}`,
        color: i === 0 ? "--training" : "--validation",
        ...{ dots: true, scattered: true },
        points: pointsOf(epoch, what),
      })).filter(({ points }) => points.length > 1);
      if (series.length === 0) return [];
      return [{
        kind: "figure",
        title: what === "labels" ? "Order of labels" : "Order of images",
        plot: { id: `order-${what}`, x: "place in the epoch", y, series },
        summary: series.map(({ name, points }) =>
          `${name} begins with ${
            points.slice(0, 8).map(([, value]) => number(value)).join(", ")
          }`
        ).join("; ") + ".",
      }];
    });
  return figures;
}

function pointsOf({ labels, indices }: ObservedImages, what: "labels" | "indices"): Point[] {
  const values = what === "labels" ? labels : indices;
  return Array.from(values.subarray(0, ORDER))
    .flatMap((value, at): Point[] => value < 0 ? [] : [[at, value]]);
}

function layers({ layers }: RecordingReport): Block[] {
  return layers.length === 0 ? [] : [
    heading(2, "The network, layer by layer"),
    table(
      "layers",
      "What each layer makes of one image, and the rules that name it as departing",
      ["Layer", "Operation", numbers("Output"), "Departs"],
      layers.map(({ layer, what, shape, departs }) => [
        { code: layer },
        what,
        shape.join("x"),
        departs.length === 0 ? NONE : departs.map((id) => ({ strong: id })),
      ]),
    ),
  ];
}

function kept({ judgements }: RecordingReport): Block[] {
  const passing = judgements.filter(({ outcome }) => outcome === "pass");
  return passing.length === 0 ? [] : [heading(2, "What is kept"), {
    kind: "judgements",
    judgements: passing.map(({ id, evidence }) => ({ outcome: "Passes", id, lines: [evidence] })),
  }];
}

function unseen({ unseen, showMore, judgements }: RecordingReport): Block[] {
  const broken = judgements.filter(({ outcome }) => outcome === "defect");
  if (unseen.length === 0 && broken.length === 0) return [];
  return [
    heading(2, "What was not seen, and how to see it"),
    { kind: "list", items: showMore },
    {
      kind: "judgements",
      judgements: [
        ...broken.map(({ id, evidence }) => ({
          ...{ outcome: "Broke", fails: true, id },
          lines: [evidence],
        })),
        ...unseen.map(({ why, rules }) => ({
          outcome: "Not seen",
          lines: [
            why,
            rules.flatMap((id, i) => [...(i > 0 ? [{ muted: ", " }] : []), { code: id }]),
          ],
        })),
      ],
    },
  ];
}

function notes({ notes }: RecordingReport): Block[] {
  return notes.length === 0 ? [] : [heading(2, "Notes"), { kind: "list", items: notes }];
}
