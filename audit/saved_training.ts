/** What a checkpoint's own optimiser and scheduler say of how it was trained. */
import type { SavedTraining } from "../weights/mod.ts";
import type { RuleEvidence } from "./report.ts";

/** Section 4.2. */
const PAPER = { momentum: 0.9, weightDecay: 1e-4 } as const;

/** Judges what the file states; nothing of what it does not. */
export function evidenceOf({ optimisers }: SavedTraining): RuleEvidence[] {
  return [...optimisers].slice(0, 1).flatMap(([path, { groups }]): RuleEvidence[] => {
    const values = (name: string) => [...new Set(groups.map(({ settings }) => settings[name]))];
    const judged = (rule: string, right: boolean, what: string): RuleEvidence => ({
      ...{ rule, outcome: right ? "pass" : "fail" },
      evidence: `the optimiser's state ("${path}") says ${what}`,
    });
    const decays = values("weight_decay").filter((value) => typeof value === "number");
    const momenta = values("momentum").filter((value) => typeof value === "number");
    const adaptive = groups.some(({ settings }) => "betas.0" in settings);
    const nesterov = groups.some(({ settings }) => settings.nesterov === true);
    return [
      ...(decays.length > 0
        ? [judged(
          "weight-decay",
          // Without decay on some of the arrays is a reading that the paper leaves open.
          decays.some((value) => value === PAPER.weightDecay) &&
            decays.every((value) => value === PAPER.weightDecay || value === 0),
          `a weight decay of ${decays.join(" and ")}`,
        )]
        : []),
      ...(adaptive
        ? [judged("momentum", false, "a method of Adam's kind, with betas in place of a momentum")]
        : momenta.length > 0
        ? [judged(
          "momentum",
          momenta.every((value) => value === PAPER.momentum),
          `a momentum of ${momenta.join(" and ")}${nesterov ? ", in Nesterov's form" : ""}`,
        )]
        : []),
    ];
  });
}
