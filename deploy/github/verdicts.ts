/**
 * What the verdicts of a night change. A verdict stays the last one until there
 * is another: nights without one, such as the first ones of a long plan, say
 * nothing against it.
 */
import { z } from "zod";

/** A verdict that was once given on a network under certain conditions. */
export interface LastVerdict {
  /** As the report names it, for example `equivalent`. */
  readonly kind: string;
  /** The same in words. */
  readonly sentence: string;
}

/** Last verdicts by their subject, for example `gpu: resnet20 on cifar10, 64000 iterations`. */
export type LastVerdicts = Readonly<Record<string, LastVerdict>>;

/** A verdict that is another than the one before. */
export interface Change {
  /** Place, network and conditions. */
  readonly subject: string;
  /** The verdict before; undefined where this is the first. */
  readonly before?: LastVerdict;
  /** The verdict now. */
  readonly after: LastVerdict;
}

const lastVerdicts: z.ZodType<LastVerdicts> = z.record(
  z.string(),
  z.object({ kind: z.string(), sentence: z.string() }),
);

/** What is read of a set's `report.json`; its whole form is `SetResult` of `reports/`. */
const report = z.object({
  groups: z.array(z.object({
    data: z.object({ set: z.string() }),
    iterations: z.number(),
    recipe: z.string(),
    nets: z.array(z.object({
      architecture: z.string(),
      verdict: z.object({ kind: z.string(), sentence: z.string() }).nullable(),
    })),
  })),
});

/**
 * Reads the verdicts of a set's `report.json`, without those that say nothing.
 *
 * @param place Where its runs were: each has verdicts of its own, so that none hides the other's.
 * @throws {z.ZodError} If the JSON is no report of a set.
 */
export function verdictsOf(place: string, json: unknown): LastVerdicts {
  const verdicts: Record<string, LastVerdict> = {};
  for (const { data, iterations, recipe, nets } of report.parse(json).groups) {
    for (const { architecture, verdict } of nets) {
      if (verdict === null || verdict.kind === "none") continue;
      const conditions = `${data.set}, ${iterations} iterations, recipe ${recipe}`;
      verdicts[`${place}: ${architecture} on ${conditions}`] = {
        kind: verdict.kind,
        sentence: verdict.sentence,
      };
    }
  }
  return verdicts;
}

/**
 * Reads verdicts that were kept.
 *
 * @throws {z.ZodError} If the JSON holds something else.
 */
export function parseLastVerdicts(json: unknown): LastVerdicts {
  return lastVerdicts.parse(json);
}

/** Changed verdicts; first ones only where they speak against the paper's figure. */
export function changes(before: LastVerdicts, after: LastVerdicts): readonly Change[] {
  return Object.entries(after).flatMap(([subject, verdict]): Change[] => {
    const last = before[subject];
    const news = last ? last.kind !== verdict.kind : isBad(verdict);
    return news ? [{ subject, after: verdict, ...(last ? { before: last } : {}) }] : [];
  });
}

/** The text of an issue on changed verdicts. */
export function describe(changed: readonly Change[], url: string): string {
  return [
    ...changed.flatMap(({ subject, before, after }) => [
      `**${subject}**: ${
        before ? `was *${before.kind}*, is` : "the first verdict is"
      } *${after.kind}*.`,
      "",
      ...(before ? [`- before: ${before.sentence}`] : []),
      `- now: ${after.sentence}`,
      "",
    ]),
    `Reports: ${url}`,
    "",
  ].join("\n");
}

function isBad({ kind }: LastVerdict): boolean {
  return kind === "different" || kind === "inconsistent";
}
