/** What an audit's report says, in order: for the page, and for a terminal. */
import type { AuditReport, FeatureMap } from "../../audit/mod.ts";
import type { Judgement, Tier } from "../../spec/mod.ts";
import { number, percent } from "../../text/mod.ts";
import {
  type Block,
  heading,
  type Line,
  notice,
  numbers,
  type Report,
  sentences,
  table,
} from "../page/blocks.ts";

/** The sections of the rules. */
const TIERS: Readonly<Record<Tier, string>> = {
  static: "What the network and the recipe are",
  numeric: "What an engine shows when it is probed",
  log: "What the run's log shows",
  recording: "What the recording shows",
  statistical: "What several runs show together",
};

const STATUS: Readonly<Record<AuditReport["status"], string>> = {
  0: "Every rule kept.",
  1: "Violations.",
  3: "No violation seen.",
};

/** Everything that the report of an audit says, in order. */
export function auditContent(report: AuditReport): Report {
  return {
    eyebrow: `Audit of ${report.form}`,
    title: report.target,
    head: headline(report),
    body: [
      ...candidates(report),
      ...notes(report),
      ...layers(report),
      ...trials(report),
      ...Object.entries(TIERS).flatMap(([tier, title]) =>
        judgements(title, report.judgements.filter((judgement) => judgement.tier === tier))
      ),
      ...choices(report),
      ...changes(report),
    ],
  };
}

function headline({ verdict, status, judgements, testError }: AuditReport): Block[] {
  const count = (outcome: Judgement["outcome"]) =>
    number(judgements.filter((judgement) => judgement.outcome === outcome).length);
  const facts: [string, Line][] = [
    ["Rules that fail", count("fail")],
    ["Rules that pass", count("pass")],
    ["Not observable", count("not-observable")],
  ];
  const broken = count("defect");
  if (broken !== "0") facts.push(["Rules that broke", broken]);
  if (testError) {
    facts.push([
      `Test error on ${number(testError.images)} images, 95% interval`,
      `${percent(testError.error)}, ${percent(testError.lower)} to ${percent(testError.upper)}`,
    ]);
  }
  return [notice(STATUS[status], verdict, status === 1 ? "alert" : "calm"), {
    kind: "facts",
    facts,
  }];
}

function candidates({ candidates }: AuditReport): Block[] {
  if (candidates.length === 0) return [];
  const excludes = candidates.some(({ possible }) => !possible);
  // What every candidate supposes.
  const shared = candidates[0].assumptions.filter((assumption) =>
    candidates.every(({ assumptions }) => assumptions.includes(assumption))
  );
  return [
    heading(2, "What it may be"),
    table(
      "candidates",
      "The networks that fit what the target shows",
      [
        "Network",
        numbers("Weighted layers"),
        numbers("Parameters"),
        ...(excludes ? ["On images"] : []),
      ],
      candidates.map(({ name, depth, parameters, possible }) => [
        name,
        number(depth),
        number(parameters),
        ...(excludes ? [possible ? "possible" : "excluded"] : []),
      ]),
    ),
    ...(shared.length > 0
      ? [{ kind: "text" as const, text: `All suppose: ${shared.join("; ")}.` }]
      : []),
  ];
}

function notes({ notes }: AuditReport): Block[] {
  return notes.length === 0 ? [] : [heading(2, "Notes"), { kind: "list", items: notes }];
}

function layers({ featureMaps }: AuditReport): Block[] {
  return featureMaps.length === 0 ? [] : [
    heading(2, "Layer by layer"),
    table(
      "layers",
      "What each layer makes of one image",
      ["Layers", "Operation", numbers("Output")],
      layerRows(featureMaps).map(([layers, what, shape]) => [{ code: layers }, what, shape]),
    ),
  ];
}

/** Layers, operation and shape; layers in a row with the same operation and shape share a row. */
function layerRows(maps: readonly FeatureMap[]): string[][] {
  const rows: { first: string; last: string; count: number; what: string; shape: string }[] = [];
  for (const { layer, what, shape } of maps) {
    const before = rows.at(-1);
    if (before?.what === what && before.shape === shape.join("x")) {
      before.last = layer;
      before.count++;
    } else rows.push({ first: layer, last: layer, count: 1, what, shape: shape.join("x") });
  }
  return rows.map(({ first, last, count, what, shape }) => [
    count === 1 ? first : `${first} to ${last}`,
    count === 1 ? what : `${count} times ${what}`,
    shape,
  ]);
}

function trials({ trials, screened, testError }: AuditReport): Block[] {
  if (!screened) return [];
  const round = `${screened.trials} trials on ${number(screened.images)} images`;
  return [
    heading(2, "Tried on images"),
    table(
      "trials",
      testError
        ? `${round}; the leaders there, on all`
        : `${round}; none does better than guessing. The first`,
      ["Error", "Wrong", "Standing", "Channels", sentences("Network; preprocessing")],
      trials.map(({ candidate, preprocessing, channels, errors, images, standing, p }) => [
        percent(errors / images),
        `${number(errors)} of ${number(images)}`,
        standing === "best" ? "best" : `${standing}, p = ${Number(p.toPrecision(2))}`,
        channels,
        `${candidate}; ${preprocessing}`,
      ]),
    ),
  ];
}

/** Fails first, then passes; what cannot be observed is summed up by its reason. */
function judgements(title: string, judgements: readonly Judgement[]): Block[] {
  if (judgements.length === 0) return [];
  const of = (outcome: Judgement["outcome"]) =>
    judgements.filter((judgement) => judgement.outcome === outcome);
  const silent = Map.groupBy(of("not-observable"), ({ evidence }) => evidence);
  return [heading(2, title), {
    kind: "judgements",
    judgements: [
      ...of("fail").map(({ id, section, requirement, evidence }) => ({
        ...{ outcome: "Fails", fails: true, id },
        lines: [[requirement, { muted: ` (paper: ${section})` }], `Found: ${evidence}`],
      })),
      ...of("defect").map(({ id, evidence }) => ({
        ...{ outcome: "Broke", fails: true, id, lines: [evidence] },
      })),
      ...of("pass").map(({ id, evidence }) => ({ outcome: "Passes", id, lines: [evidence] })),
      ...[...silent].map(([reason, rules]) => ({
        outcome: "Not observable",
        lines: [
          reason,
          rules.flatMap(({ id }, i) => [...(i > 0 ? [{ muted: ", " }] : []), { code: id }]),
        ],
      })),
    ],
  }];
}

function choices({ choices }: AuditReport): Block[] {
  return choices.length === 0 ? [] : [
    heading(2, "Open in the paper: choices, not judged"),
    table(
      "choices",
      "What the paper does not decide, and how it was decided here",
      [sentences("Question"), sentences("Here")],
      choices.map(({ question, choice }) => [question, choice ?? { muted: "Not observable." }]),
    ),
  ];
}

function changes({ changes }: AuditReport): Block[] {
  return changes.length === 0 ? [] : [
    heading(2, "What to change, most effective first"),
    {
      kind: "list",
      ordered: true,
      items: changes.map(({ rule, change, cost }) => [
        `${change} `,
        { code: rule },
        { muted: `; what it costs: ${cost}` },
      ]),
    },
  ];
}
