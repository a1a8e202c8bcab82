import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { architecture } from "../../resnet/mod.ts";
import {
  architectureSubject,
  audit,
  type AuditReport,
  type TrialSummary,
} from "../../audit/mod.ts";
import { auditPage, formatAudit } from "./mod.ts";

function auditOfResNet34(): Promise<AuditReport> {
  const graph = architecture("resnet34");
  return audit({
    target: "resnet34",
    form: "an architecture",
    candidates: [{ name: graph.name, graph, assumptions: [] }],
    notes: ["a note"],
  });
}

/** What a reader of the page sees, in its order. */
function textOf(html: string): string {
  return html.slice(html.indexOf("<body>"))
    .replace(/<[^>]*>/g, "")
    .replaceAll("&lt;", "<").replaceAll("&quot;", '"').replaceAll("&amp;", "&");
}

Deno.test("the page says what the report holds: verdict, rules, evidence, choices, changes", async () => {
  const report = await auditOfResNet34();
  assert(report.judgements.length > 50 && report.changes.length > 0);
  const html = auditPage(report);
  const text = textOf(html);
  for (
    const part of [
      ...report.summary,
      "21,289,802",
      "a note",
      "layer3.1.conv1 to layer3.5.conv2",
      ...report.judgements.map(({ evidence }) => evidence),
      ...report.choices.map(({ question }) => question),
      ...report.changes.map(({ change }) => change),
    ]
  ) assertStringIncludes(text, part);
  for (const { id } of report.judgements) assertStringIncludes(html, `<code>${id}</code>`);
});

Deno.test("what departs stands before what cannot be observed and what passes, which are folded", async () => {
  const report = await auditOfResNet34();
  const kinds = [...auditPage(report).matchAll(/class="outcome">([^<]*)</g)].map(([, kind]) =>
    kind
  );
  assertEquals(kinds.filter((kind) => kind === "Departs").length, report.findings.length);
  assert(kinds.lastIndexOf("Departs") < kinds.indexOf("Not observable"));
  assert(kinds.lastIndexOf("Not observable") < kinds.indexOf("Passes"));
  const open = auditPage(report).replace(/<details>.*?<\/details>/gs, "");
  assert(!/class="outcome">(Passes|Not observable)/.test(open));
});

Deno.test("departing, being wrong, and reaching the paper's error are told apart", async () => {
  const report = await auditOfResNet34();
  const said = (conclusion: AuditReport["conclusion"]) =>
    textOf(auditPage({ ...report, conclusion })).includes("Something is wrong");
  assertEquals((["departs", "reaches", "unseen", "wrong"] as const).map(said), [
    ...[false, false, false, true],
  ]);
  assert(textOf(auditPage({ ...report, conclusion: "reaches" })).includes("reaches its error"));
});

Deno.test("trials show their ties, and what they exclude is marked", async () => {
  const report = await auditOfResNet34();
  const [possible] = report.candidates;
  const trial: TrialSummary = {
    ...{ candidate: "resnet20", preprocessing: "per-pixel mean", channels: "RGB" },
    ...{ errors: 875, images: 10_000, error: 0.0875 },
    ...{ standing: "best", p: 1 },
  };
  const html = auditPage({
    ...report,
    candidates: [possible, { ...possible, name: "another", possible: false }],
    trials: [trial, { ...trial, errors: 880, standing: "tied", p: 0.123_456 }],
    screened: { trials: 33, images: 1000 },
    testError: { error: 0.0875, images: 10_000, lower: 0.0821, upper: 0.0932 },
  });
  const text = textOf(html);
  for (
    const part of [
      "33 trials, the best of them on 1,000 images; then the best on all",
      "880 of 10,000",
      "tied, p = 0.12",
      "8.75%, 8.21% to 9.32%",
    ]
  ) assertStringIncludes(text, part);
  assertEquals(html.match(/<td>excluded/g)?.length, 1);
});

Deno.test("text from a target is escaped, and the page asks for nothing", async () => {
  const hostile = `</style><script>alert("x")</script><img src=x onerror='a()'>&amp;"'`;
  const report = await auditOfResNet34();
  const trial: TrialSummary = {
    ...{ candidate: hostile, preprocessing: hostile, channels: "RGB" },
    ...{ errors: 1, images: 10, error: 0.1 },
    ...{ standing: "best", p: 1 },
  };
  const html = auditPage({
    ...report,
    ...{ target: hostile, form: hostile, verdict: hostile, notes: [hostile] },
    summary: [hostile, hostile, hostile],
    findings: report.findings.map((finding) => ({
      ...finding,
      ...{ id: hostile, title: hostile, requirement: hostile, evidence: hostile },
      follows: [{ id: hostile, evidence: hostile }],
    })),
    candidates: report.candidates.map((candidate) => ({
      ...candidate,
      ...{ name: hostile, assumptions: [hostile] },
    })),
    featureMaps: [{ layer: hostile, what: hostile, shape: [1] }],
    trials: [trial],
    screened: { trials: 1, images: 10 },
    judgements: report.judgements.map((judgement) => ({
      ...judgement,
      ...{ requirement: hostile, section: hostile, evidence: hostile },
    })),
    choices: report.choices.map((choice) => ({ ...choice, choice: hostile })),
    changes: report.changes.map((change) => ({ ...change, change: hostile, cost: hostile })),
  });
  assert(!/<script|<img|<link|<a (?!href="#)|@import|url\(|https?:/.test(html));
  assertEquals(html.split("</style>").length, 2);
  assertStringIncludes(html, "&lt;script>");
});

Deno.test("the text names every rule, with those that fail before those that pass", async () => {
  const report = await audit(architectureSubject("resnet18-cifar"));
  const text = formatAudit(report);
  for (const { id } of report.judgements) assertStringIncludes(text, id);
  assert(text.indexOf("departs stem") < text.indexOf("passes input"), text);
});
