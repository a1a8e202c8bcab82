/** What an audit's report says, in order: for the page, and for a terminal. */
import type { AuditReport, FeatureMap } from "../../audit/mod.ts";
import { checklistInWords, type Judgement, type Tier } from "../../spec/mod.ts";
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

const CONCLUSIONS: Readonly<Record<AuditReport["conclusion"], string>> = {
  keeps: "Every rule is kept.",
  unseen: "Nothing speaks against it, as far as can be seen.",
  departs: "It departs from the paper.",
  reaches: "It departs from the paper, and reaches its error.",
  wrong: "Something is wrong.",
};

/** Everything that the report of an audit says, in order. */
export function auditContent(report: AuditReport): Report {
  return {
    eyebrow: `Audit of ${report.form}`,
    title: report.target,
    head: headline(report),
    body: [
      ...findings(report),
      ...changes(report),
      ...unseen(report),
      ...trials(report),
      ...candidates(report),
      ...notes(report),
      ...picture(report),
      ...layers(report),
      ...broken(report),
      ...kept(report),
      ...choicesSection(report.choices, "Not observable."),
    ],
  };
}

function headline({ summary, conclusion, judgements, checklist, testError }: AuditReport): Block[] {
  const count = (outcome: Judgement["outcome"]) =>
    number(judgements.filter((judgement) => judgement.outcome === outcome).length);
  const facts: [string, Line][] = [
    ["Rules that fail", count("fail")],
    ["Rules that pass", count("pass")],
    ["Not observable", count("not-observable")],
  ];
  facts.push(["Checklist", checklistInWords(checklist)]);
  const broken = count("defect");
  if (broken !== "0") facts.push(["Rules that broke", broken]);
  if (testError) {
    facts.push([
      `Test error on ${number(testError.images)} images, 95% interval`,
      `${percent(testError.error)}, ${percent(testError.lower)} to ${percent(testError.upper)}`,
    ]);
  }
  const [what, error, first] = summary;
  return [
    notice(CONCLUSIONS[conclusion], what, conclusion === "wrong" ? "alert" : "calm"),
    { kind: "list", items: [error, first] },
    { kind: "facts", facts },
  ];
}

/** What speaks against the target, the gravest first, each with what follows from it. */
function findings({ findings }: AuditReport): Block[] {
  if (findings.length === 0) return [];
  return [heading(2, "What departs, the gravest first"), {
    kind: "judgements",
    judgements: findings.map(({ title, severity, rule, requirement, evidence, follows }) => ({
      ...{ outcome: severity === "fault" ? "Wrong" : "Departs", fails: severity === "fault" },
      id: rule,
      lines: [
        title === requirement ? title : `${title}: ${evidence}`,
        [{ muted: title === requirement ? `found: ${evidence}` : `the paper: ${requirement}` }],
        ...follows.map(({ id, evidence }): Line => [
          { muted: "follows from it: " },
          { code: id },
          { muted: ` (${evidence})` },
        ]),
      ],
    })),
  }];
}

function candidates({ candidates }: AuditReport): Block[] {
  // Variants were tried on images alone: those that these exclude say nothing.
  const shown = candidates.filter(({ variant, possible }) => !variant || possible);
  if (shown.length === 0) return [];
  const excludes = shown.some(({ possible }) => !possible);
  // What every candidate supposes.
  const shared = shown[0].assumptions.filter((assumption) =>
    shown.every(({ assumptions }) => assumptions.includes(assumption))
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
      shown.map(({ name, depth, parameters, possible }) => [
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

/** The network as a picture, with what departs marked. */
function picture({ network, candidates }: AuditReport): Block[] {
  if (network === undefined) return [];
  const marked = network.filter(({ breaks }) => breaks);
  const depart = marked.length === 0
    ? ""
    : ` ${number(marked.length)} marked: ${marked.slice(0, 5).map(({ name }) => name).join(", ")}${
      marked.length > 5 ? " and others" : ""
    }.`;
  return [heading(2, "The network"), {
    kind: "network",
    title: `Every layer of ${candidates.find(({ possible }) => possible)!.name}, for which it is ` +
      `taken${marked.length === 0 ? "" : "; those that a rule names are marked"}`,
    nodes: network.map(({ breaks, ...layer }) =>
      breaks ? { ...layer, breaks: breaks.join(", ") } : layer
    ),
    summary: `${number(network.length)} layers in the order of their depth, a row for each size ` +
      `of the maps.${depart}`,
  }];
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
  const round = `${screened.trials} trials, the best of them on ${number(screened.images)} images`;
  return [
    heading(2, "Tried on images"),
    table(
      "trials",
      testError
        ? `${round}; then the best on all`
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

/** Rules that broke on the target: defects of the rules, which say nothing of it. */
function broken({ judgements }: AuditReport): Block[] {
  const defects = judgements.filter(({ outcome }) => outcome === "defect");
  return defects.length === 0 ? [] : [heading(2, "Rules that broke"), {
    kind: "judgements",
    judgements: defects.map(({ id, evidence }) => ({
      ...{ outcome: "Broke", fails: true, id, lines: [evidence] },
    })),
  }];
}

/** The rules that pass, tier by tier. */
function kept({ judgements }: AuditReport): Block[] {
  return Object.entries(TIERS).flatMap(([tier, title]): Block[] => {
    const passing = judgements.filter((judgement) =>
      judgement.tier === tier && judgement.outcome === "pass"
    );
    return passing.length === 0 ? [] : [heading(2, `${title}: kept`), {
      kind: "folded",
      summary: `${number(passing.length)} rules that pass, with what shows it`,
      blocks: [{
        kind: "judgements",
        judgements: passing.map(({ id, evidence }) => ({
          ...{ outcome: "Passes", id, lines: [evidence] },
        })),
      }],
    }];
  });
}

/** What would show each kind of thing that can't be seen here. */
const WAYS: readonly (readonly [why: RegExp, how: string])[] = [
  [/have no weights|has no weights|disagree/, "Give the images (--data), or the network as ONNX."],
  [
    /folded/,
    "Export with batch norm kept (torch.onnx.export(..., training=TrainingMode.PRESERVE)).",
  ],
  [
    /probed|how it was trained|does not say|event log/,
    "Record the training script, and audit the recording.",
  ],
];

/** What can't be seen, by its reason, and how to show it. */
function unseen({ judgements }: AuditReport): Block[] {
  const silent = Map.groupBy(
    judgements.filter(({ outcome }) => outcome === "not-observable"),
    ({ evidence }) => evidence,
  );
  if (silent.size === 0) return [];
  const rules = [...silent.values()].reduce((sum, { length }) => sum + length, 0);
  const ways = WAYS.filter(([why]) => silent.keys().some((reason) => why.test(reason)));
  return [
    heading(2, "What can't be seen, and how to show it"),
    ...(ways.length > 0 ? [{ kind: "list" as const, items: ways.map(([, how]) => how) }] : []),
    {
      kind: "folded",
      summary: `${number(rules)} rules that can't be judged, by the reason`,
      blocks: [{
        kind: "judgements",
        judgements: [...silent].map(([reason, rules]) => ({
          outcome: "Not observable",
          lines: [
            [reason],
            rules.flatMap(({ id }, i) => [...(i > 0 ? [{ muted: ", " }] : []), { code: id }]),
          ],
        })),
      }],
    },
  ];
}

/** What the paper leaves open; `unknown` stands where a choice can't be told. */
export function choicesSection(
  choices: readonly { readonly question: string; readonly choice?: string }[],
  unknown: string,
): Block[] {
  return choices.length === 0 ? [] : [
    heading(2, "Open in the paper: choices, not judged"),
    table(
      "choices",
      "What the paper does not decide, and how it was decided here",
      [sentences("Question"), sentences("Here")],
      choices.map(({ question, choice }) => [question, choice ?? { muted: unknown }]),
    ),
  ];
}

function changes({ changes }: AuditReport): Block[] {
  return changes.length === 0 ? [] : [
    heading(2, "What to change, in this order"),
    {
      kind: "list",
      ordered: true,
      items: changes.map(({ rule, change, cost }) => [
        `${change} Rule `,
        { code: rule },
        ".",
        ...costInWords(cost),
      ]),
    },
    ...costsNotKnown(changes),
  ];
}

/** What a change is worth, where that is known. */
export function costInWords(cost: string | undefined): { muted: string }[] {
  return cost === undefined ? [] : [{ muted: ` What it costs: ${cost}.` }];
}

/** Said once for all changes whose cost is not known. */
export function costsNotKnown(changes: readonly { cost?: string }[]): Block[] {
  const unknown = changes.filter(({ cost }) => cost === undefined).length;
  if (unknown === 0) return [];
  const text = unknown === changes.length
    ? "What each costs at the end of a full training is not known: the order is a judgement."
    : "Where costs are known they decide the order. What each of the others costs at the end of a full training is not known: their places are a judgement.";
  return [{ kind: "text", muted: true, text }];
}
