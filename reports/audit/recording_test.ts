import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import type { RecordingAudit, RecordingReport } from "../../audit/recording/mod.ts";
import { datasetNamed } from "../../data/mod.ts";
import { CHECKLIST } from "../../spec/mod.ts";
import { formatRecording, recordingMarkdown, recordingPage } from "./mod.ts";

const report: RecordingReport = {
  ...{ target: "recording", form: "a recording of train.py (pytorch 2), 12 steps", status: 1 },
  verdict: ["Trained is ResNet-20.", "Change first: the augmentation.", "What else departs: stem."],
  checklist: CHECKLIST,
  judgements: [
    ...(["fail", "pass", "not-observable"] as const).map((outcome, i) => ({
      ...{ id: ["augmentation", "momentum", "test-view"][i], section: "4.2", outcome },
      ...{ requirement: "as the paper says", evidence: `evidence ${i}` },
      tier: "recording" as const,
    })),
  ],
  changes: [{
    ...{ rule: "augmentation", change: "Bring the augmentation to the network.", cost: "points" },
    ...{ evidence: "1,024 stand at offset (0, 0)", where: "train.py:71: for images in loader:" },
  }],
  unseen: [{ why: "no test was recorded", rules: ["test-view", "test-set-whole"] }],
  showMore: ["record further"],
  offsets: {
    counts: Array.from({ length: 81 }, (_, i) => i === 40 ? 96 : 0),
    flipped: 3,
    views: 97,
  },
  layers: [
    { layer: "conv1", what: "7x7 convolution", shape: [32, 32, 16], departs: ["stem"] },
    { layer: "linear", what: "fully connected", shape: [10], departs: [] },
  ],
  choices: [{ id: "pixel-scale", question: "What is the range?", choice: "0 to 1" }],
  rates: [{ iteration: 1, rate: 0.1 }, { iteration: 9, rate: 0.01 }],
  waiting: { seconds: 40, waited: 30, workers: 0 },
  notes: ["a note"],
};

const pixels = new Uint8Array(3_072).map((_, i) => i % 256);
const step = (iteration: number) =>
  ({
    type: "step",
    ...{ time: "2026-01-01T00:00:00Z", iteration, steps: 1, passes: 1, images: 128 },
    ...{ mode: "training" as const, learningRate: 0.1, backwards: 1, cleared: true },
  }) as const;
const audit: RecordingAudit = {
  report,
  subject: {
    log: {
      start: {
        ...{ type: "start", version: 1, time: "2026-01-01T00:00:00Z" },
        ...{ recorder: { name: "pytorch", version: "1" }, platform: "Linux", command: [] },
        ...{ framework: { name: "pytorch", version: "2" }, versions: {}, devices: [], seed: "0" },
      },
      lines: [step(1), step(12)],
      notes: [],
    },
    dataset: {
      ...{ name: "cifar10", training: 50_000, test: 10_000, labels: new Uint8Array(60_000) },
      ...{ classNames: datasetNamed("cifar10").classNames, mean: [0, 0, 0], deviation: [1, 1, 1] },
    },
    training: [{
      ...{ epoch: 1, iteration: 0, batches: [4], whole: false, views: [], looked: 4 },
      images: Int32Array.of(-1, -1, -1, -1),
      indices: Int32Array.of(7, 3, 9, 1),
      labels: Int32Array.of(5, 6, 7, 8),
      hashes: new BigUint64Array(4),
    }],
  },
  samples: [
    {
      ...{ at: 0, label: 4, entered: pixels, how: "undone" },
      found: { image: 1_234, y: -3, x: 2, flip: true, label: 5, pixels },
    },
    { at: 1, label: -1, entered: pixels, how: "stretched" },
  ],
};

/** What a reader of the page sees, in its order. */
const seen = (html: string) =>
  html.slice(html.indexOf("<body>")).replace(/<[^>]*>/g, "")
    .replaceAll("&quot;", '"').replaceAll("&amp;", "&");

Deno.test("a recording's page says what its report holds, the three lines first", () => {
  const html = recordingPage(audit);
  const text = seen(html);
  for (
    const part of [
      ...report.verdict,
      "train.py:71: for images in loader:",
      "1,024 stand at offset (0, 0)",
      "offset (-3, 2), mirrored",
      "image 1,234, class 5 (dog), trained as 4 (deer)",
      "found nowhere",
      "3 are mirrored",
      "1 stand outside of the table",
      "Recorded: 0.1 at first, 1 changes, 0.01 at step 12. The paper: 0.1 at first, 0.1",
      "epoch 1 begins with 5, 6, 7, 8",
      "epoch 1 begins with 7, 3, 9, 1",
      "evidence 1",
      "no test was recorded",
      "record further",
      "0 to 1",
      "a note",
    ]
  ) assertStringIncludes(text, part);
  assert(text.indexOf(report.verdict[0]) < text.indexOf(report.verdict[1]));
  assert(text.indexOf(report.verdict[2]) < text.indexOf("What the network saw"));
  // Two images as they entered, of which one is known.
  assertEquals(html.match(/<img src="data:image\/png;base64,/g)?.length, 3);
});

Deno.test("the map of offsets has a cell an offset, and layers that depart are marked", () => {
  const html = recordingPage(audit);
  const table = html.slice(html.indexOf('class="confusion offsets"'));
  assertEquals(table.slice(0, table.indexOf("</table>")).match(/<td class="right/g)?.length, 81);
  const row = html.slice(html.indexOf("<code>conv1</code>"));
  assertStringIncludes(row.slice(0, row.indexOf("</tr>")), "<strong>stem</strong>");
});

Deno.test("Markdown and text say the same, the text with the three lines on top", () => {
  const markdown = recordingMarkdown(audit), text = formatRecording(audit);
  assert(text.startsWith(report.verdict.join("\n")));
  for (const part of ["evidence 1", "train.py:71", "no test was recorded"]) {
    assertStringIncludes(markdown, part);
    assertStringIncludes(text, part);
  }
});

Deno.test("waiting for the loader is a fact, with advice where it is much, and no departure", () => {
  const said = (waiting: RecordingReport["waiting"], status: 0 | 1 = 1) =>
    formatRecording({ ...audit, report: { ...report, status, waiting } });
  assertStringIncludes(
    said(report.waiting),
    "Waiting for images: 30 s, 75.0%; computing 10 s. The loader reads while nothing computes (num_workers=0)",
  );
  assertStringIncludes(
    said({ seconds: 40, waited: 30, workers: 2 }),
    "More than 2 loading processes (num_workers)",
  );
  const little = said({ seconds: 40, waited: 4, workers: 0 }, 0);
  assertStringIncludes(little, "Waiting for images: 4 s, 10.0%; computing 36 s\n");
  assert(!little.includes("num_workers"));
  assert(!said(undefined).includes("Waiting"));
});

Deno.test("text from a recording is escaped, and the page asks for nothing", () => {
  const hostile = `</style><script>alert("x")</script><img src=x onerror='a()'>&amp;"'`;
  const html = recordingPage({
    ...audit,
    report: {
      ...report,
      ...{ target: hostile, form: hostile, verdict: [hostile, hostile, hostile] },
      ...{ notes: [hostile], showMore: [hostile] },
      changes: report.changes.map((one) => ({ ...one, where: hostile, evidence: hostile })),
      layers: report.layers.map((one) => ({ ...one, layer: hostile, departs: [hostile] })),
      unseen: [{ why: hostile, rules: [hostile] }],
    },
  });
  assert(!/<script|<link|<a (?!href="#)|@import|url\((?!#)|https?:(?!\/\/www\.w3\.org)/.test(html));
  assert(!/<img src=x/.test(html));
  assertEquals(html.split("</style>").length, 2);
});
