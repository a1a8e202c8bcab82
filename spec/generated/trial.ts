/** Judges subjects that were drawn, and says what is wrong with the rules. */
import type { Judgement } from "../rule.ts";
import { Draw, type Drawn } from "./draw.ts";

/** A kind of subject: how it is drawn, and what judges it. */
export interface Kind<Subject> {
  /** For lists. */
  readonly name: string;
  /** Draws a subject that is right in an unusual way, or wrong in one thing. */
  readonly draw: (draw: Draw, right: boolean) => Drawn<Subject>;
  /** Ids of the rules that the changes of wrong ones break. */
  readonly breaks: readonly string[];
  /** Judges it by every rule of its tier. */
  readonly judge: (subject: Subject) => readonly Judgement[];
}

/** What a trial found. */
export interface Trial {
  /** Of each of the two sorts. */
  readonly count: number;
  /** A rule's mistake each: what was drawn, its number, and what the rules said. */
  readonly mistakes: readonly string[];
  /** Right ones of which some rule, and wrong ones of which every rule, could not tell; by kind. */
  readonly undecided: ReadonlyMap<string, number>;
  /** How often each kind was drawn. */
  readonly drawn: ReadonlyMap<string, number>;
}

/**
 * Draws and judges subjects.
 *
 * @param kind Of which.
 * @param part Of the random numbers.
 * @param seed Of the trial.
 * @param count Right ones, and as many wrong ones.
 * @param first Number of the first subject; another makes others.
 */
export function tryRules<Subject>(
  { draw, judge }: Kind<Subject>,
  part: number,
  { seed, count, first = 0 }: { seed: number; count: number; first?: number },
): Trial {
  const mistakes: string[] = [];
  const undecided = new Map<string, number>(), drawn = new Map<string, number>();
  for (let number = first; number < first + count; number++) {
    for (const right of [true, false]) {
      const sort = right ? "right" : "wrong";
      const { what, subject, by } = draw(new Draw(seed, 2 * number + Number(right), part), right);
      const kind = `${sort}: ${what}`;
      drawn.set(kind, (drawn.get(kind) ?? 0) + 1);
      const judgements = judge(subject);
      const of = (outcome: string) => judgements.filter((found) => found.outcome === outcome);
      const said = (list: readonly Judgement[]) =>
        list.map(({ id, evidence }) => `${id}: ${evidence}`).join("; ");
      const [broken, failed, unknown] = [of("defect"), of("fail"), of("not-observable")];
      const where = `${kind} (number ${number} of seed ${seed})`;
      if (broken.length > 0) mistakes.push(`${where}: a rule breaks: ${said(broken)}`);
      else if (right && failed.length > 0) mistakes.push(`${where} fails: ${said(failed)}`);
      else if (!right && failed.length > 0) {
        if (!failed.some(({ id }) => by.includes(id))) {
          mistakes.push(`${where} fails by others than ${by.join(", ")}: ${said(failed)}`);
        }
      } else if (unknown.length > 0) undecided.set(kind, (undecided.get(kind) ?? 0) + 1);
      else if (!right) mistakes.push(`${where} passes`);
    }
  }
  return { count, mistakes, undecided, drawn };
}
