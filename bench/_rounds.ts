/** Timing in turn: machines are noisy, and a ratio of neighbours holds where times do not. */

/** How often and how long. */
export interface Rounds {
  /** Rounds that count. */
  readonly counted: number;
  /** Rounds before them that do not: caches, clocks and compilers settle. */
  readonly warmUp: number;
  /** Milliseconds after which a contender that has been timed once sits out; none when undefined. */
  readonly cap?: number;
}

/**
 * Times contenders in turn, round by round.
 *
 * @param contenders In the order of each round.
 * @param rounds How often. A contender that takes the cap for a single run has that run counted,
 *   warm-up or not: what runs for minutes has settled long before its end.
 * @param run Gives the milliseconds of one contender's turn.
 * @returns The counted milliseconds of each contender, one or more.
 */
export async function timeInTurn<T>(
  contenders: readonly T[],
  { counted, warmUp, cap = Infinity }: Rounds,
  run: (contender: T) => Promise<number>,
): Promise<number[][]> {
  const times = contenders.map((): number[] => []);
  const spent = contenders.map(() => 0);
  for (let round = -warmUp; round < counted; round++) {
    for (const [i, contender] of contenders.entries()) {
      if (times[i].length > 0 && spent[i] >= cap) continue;
      const milliseconds = await run(contender);
      spent[i] += milliseconds;
      if (round >= 0 || milliseconds >= cap) times[i].push(milliseconds);
    }
  }
  return times;
}

/** The middle one of one or more values, or the mean of both that are. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}
