/** @jsxRuntime automatic */
/** @jsxImportSource preact */
/** An audit's report as one HTML page; JSX escapes whatever the target's names say. */
import type { ComponentChildren, VNode } from "preact";
import { renderDocument, Table } from "../document.tsx";
import type { Judgement } from "../../spec/mod.ts";
import {
  byOutcome,
  HEADINGS,
  layerRows,
  sharedAssumptions,
  TIERS,
  trialTable,
} from "./_content.ts";
import type { AuditReport } from "../../audit/mod.ts";
import { percent } from "../../text/mod.ts";

/**
 * The report as a page: the same as `formatAudit`, in the same order.
 *
 * @param report What an audit found.
 * @returns HTML that needs no other file, runs nothing and requests nothing.
 *
 * @example
 * ```ts
 * import { assertStringIncludes } from "@std/assert";
 * import { architecture } from "../../resnet/mod.ts";
 * import { audit } from "../../audit/mod.ts";
 * import { auditPage } from "./page.tsx";
 *
 * const graph = architecture("resnet34");
 * const report = await audit({
 *   target: "resnet34", form: "an architecture",
 *   candidates: [{ name: graph.name, graph, assumptions: [] }],
 * });
 * assertStringIncludes(auditPage(report), "21.29M");
 * ```
 */
export function auditPage(report: AuditReport): string {
  return renderDocument({
    title: `Audit of ${report.target}`,
    children: (
      <>
        <Headline report={report} />
        <main>
          <Candidates report={report} />
          {report.notes.length > 0 && (
            <Section title={HEADINGS.notes}>
              <ul>{report.notes.map((note, i) => <li key={i}>{note}</li>)}</ul>
            </Section>
          )}
          <Layers report={report} />
          <Trials report={report} />
          {Object.entries(TIERS).map(([tier, title]) => (
            <Judgements
              key={tier}
              title={title}
              judgements={report.judgements.filter((judgement) => judgement.tier === tier)}
            />
          ))}
          <Choices report={report} />
          <Changes report={report} />
        </main>
      </>
    ),
  });
}

interface Props {
  readonly report: AuditReport;
}

const number = (value: number): string => value.toLocaleString("en-US");

const STATUS: Readonly<Record<AuditReport["status"], string>> = {
  0: "Every rule kept",
  1: "Violations",
  3: "No violation seen",
};

function Headline({ report }: Props): VNode {
  const { target, form, verdict, status, judgements, testError } = report;
  const count = (outcome: Judgement["outcome"]) =>
    judgements.filter((judgement) => judgement.outcome === outcome).length;
  return (
    <header>
      <p class="eyebrow">Audit of {form}</p>
      <h1>{target}</h1>
      <div class={`verdict${status === 1 ? " notice" : ""}`}>
        <p>
          <strong>{STATUS[status]}</strong>
        </p>
        <p>{verdict}</p>
      </div>
      <dl class="facts">
        <Fact name="Rules that fail">{count("fail")}</Fact>
        <Fact name="Rules that pass">{count("pass")}</Fact>
        <Fact name="Not observable">{count("not-observable")}</Fact>
        {testError && (
          <Fact name={`Test error on ${number(testError.images)} images, 95% interval`}>
            {percent(testError.error)}, {percent(testError.lower)} to {percent(testError.upper)}
          </Fact>
        )}
      </dl>
    </header>
  );
}

function Fact({ name, children }: { name: string; children: ComponentChildren }): VNode {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  );
}

function Section({ title, children }: { title: string; children: ComponentChildren }): VNode {
  return (
    <section>
      <h2>{title}</h2>
      {children}
    </section>
  );
}

function Candidates({ report: { candidates } }: Props): VNode | null {
  if (candidates.length === 0) return null;
  const shared = sharedAssumptions(candidates);
  const excludes = candidates.some(({ possible }) => !possible);
  return (
    <Section title={HEADINGS.candidates}>
      <Table
        id="candidates-caption"
        caption="The networks that fit what the target shows"
      >
        <thead>
          <tr>
            <th scope="col">Network</th>
            <th scope="col" class="number">Weighted layers</th>
            <th scope="col" class="number">Parameters</th>
            {excludes && <th scope="col">On images</th>}
          </tr>
        </thead>
        <tbody>
          {candidates.map(({ name, depth, parameters, possible }) => (
            <tr key={name}>
              <th scope="row">{name}</th>
              <td class="number">{depth}</td>
              <td class="number">{number(parameters)}</td>
              {excludes && <td>{possible ? "possible" : "excluded"}</td>}
            </tr>
          ))}
        </tbody>
      </Table>
      {shared.length > 0 && <p>All suppose: {shared.join("; ")}.</p>}
    </Section>
  );
}

function Layers({ report: { featureMaps } }: Props): VNode | null {
  if (featureMaps.length === 0) return null;
  return (
    <Section title={HEADINGS.layers}>
      <Table id="layers-caption" caption="What each layer makes of one image">
        <thead>
          <tr>
            <th scope="col">Layers</th>
            <th scope="col">Operation</th>
            <th scope="col" class="number">Output</th>
          </tr>
        </thead>
        <tbody>
          {layerRows(featureMaps).map(([layers, what, shape]) => (
            <tr key={layers}>
              <th scope="row">
                <code>{layers}</code>
              </th>
              <td>{what}</td>
              <td class="number">{shape}</td>
            </tr>
          ))}
        </tbody>
      </Table>
    </Section>
  );
}

function Trials({ report }: Props): VNode | null {
  const table = trialTable(report);
  if (!table) return null;
  return (
    <Section title={HEADINGS.trials}>
      <Table id="trials-caption" class="wide-table trials" caption={table.caption}>
        <thead>
          <tr>
            <th scope="col" class="number">Error</th>
            <th scope="col" class="number">Wrong</th>
            <th scope="col">Standing</th>
            <th scope="col">Channels</th>
            <th scope="col">Network; preprocessing</th>
          </tr>
        </thead>
        <tbody>
          {table.rows.map(([error, wrong, standing, channels, what], i) => (
            <tr key={i}>
              <td class="number">{error}</td>
              <td class="number whole">{wrong}</td>
              <td class="whole">{standing}</td>
              <td>{channels}</td>
              <td>{what}</td>
            </tr>
          ))}
        </tbody>
      </Table>
    </Section>
  );
}

/** Fails first, then passes; what cannot be observed is summed up by its reason. */
function Judgements(
  { title, judgements }: { title: string; judgements: readonly Judgement[] },
): VNode | null {
  if (judgements.length === 0) return null;
  const { fails, passes, silent } = byOutcome(judgements);
  return (
    <Section title={title}>
      <dl class="judgements">
        {fails.map(({ id, section, requirement, evidence }) => (
          <div key={id} class="fail">
            <dt>
              <span class="outcome">Fails</span> <code>{id}</code>
            </dt>
            <dd>
              <p>
                {requirement} <span class="muted whole">(paper: {section})</span>
              </p>
              <p>Found: {evidence}</p>
            </dd>
          </div>
        ))}
        {passes.map(({ id, evidence }) => (
          <div key={id}>
            <dt>
              <span class="outcome">Passes</span> <code>{id}</code>
            </dt>
            <dd>{evidence}</dd>
          </div>
        ))}
        {silent.map(([reason, rules]) => (
          <div key={reason}>
            <dt>
              <span class="outcome">Not observable</span>
            </dt>
            <dd>
              <p>{reason}</p>
              <p class="muted">
                {rules.map(({ id }, i) => (
                  <>
                    {i > 0 && ", "}
                    <code key={id}>{id}</code>
                  </>
                ))}
              </p>
            </dd>
          </div>
        ))}
      </dl>
    </Section>
  );
}

function Choices({ report: { choices } }: Props): VNode | null {
  if (choices.length === 0) return null;
  return (
    <Section title={HEADINGS.choices}>
      <Table
        id="choices-caption"
        class="wide-table"
        caption="What the paper does not decide, and how it was decided here"
      >
        <thead>
          <tr>
            <th scope="col">Question</th>
            <th scope="col">Here</th>
          </tr>
        </thead>
        <tbody>
          {choices.map(({ id, question, choice }) => (
            <tr key={id}>
              <th scope="row">{question}</th>
              <td class={choice === undefined ? "muted" : undefined}>
                {choice ?? "Not observable."}
              </td>
            </tr>
          ))}
        </tbody>
      </Table>
    </Section>
  );
}

function Changes({ report: { changes } }: Props): VNode | null {
  if (changes.length === 0) return null;
  return (
    <Section title={HEADINGS.changes}>
      <ol class="changes">
        {changes.map(({ rule, change, cost }) => (
          <li key={rule}>
            {change}
            <br />
            <span class="muted">
              <code>{rule}</code>; what it costs: {cost}
            </span>
          </li>
        ))}
      </ol>
    </Section>
  );
}
