/** Timing in turn: machines are noisy, and a ratio of neighbours holds where times do not. */

/** How often and how long. */
export interface Rounds {
  /** Rounds that count. */
  readonly counted: number;
  /** Rounds before them that do not: caches, clocks and compilers settle. */
  readonly warmUp: number;
  /** Milliseconds after which a contender that has been timed once sits out; none when undefined. */
  readonly cap?: number;
  /** By `performance.now()`: no round begins after it once everyone has been timed. */
  readonly until?: number;
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
  { counted, warmUp, cap = Infinity, until = Infinity }: Rounds,
  run: (contender: T) => Promise<number>,
): Promise<number[][]> {
  const times = contenders.map((): number[] => []);
  const spent = contenders.map(() => 0);
  for (let round = -warmUp; round < counted; round++) {
    if (performance.now() >= until && times.every(({ length }) => length > 0)) break;
    for (const [i, contender] of contenders.entries()) {
      if (times[i].length > 0 && spent[i] >= cap) continue;
      const milliseconds = await run(contender);
      spent[i] += milliseconds;
      if (round >= 0 || milliseconds >= cap) times[i].push(milliseconds);
    }
  }
  return times;
}

/**
 * Runs that take about so long together.
 *
 * @param run Gives the milliseconds of so many. A wait of its own that comes with every call, such
 *   as Deno's for a GPU (some 10 ms), must not pass for the time of runs: so they are doubled until
 *   they take a good part of what is wanted.
 * @param wanted Milliseconds.
 */
export async function burstOf(
  run: (count: number) => Promise<number>,
  wanted: number,
): Promise<number> {
  for (let count = 1;; count *= 2) {
    const milliseconds = await run(count);
    if (milliseconds >= wanted / 4) return Math.max(1, Math.round(count * wanted / milliseconds));
  }
}

/**
 * The milliseconds of one run among many, without the wait that comes with every call: the best of
 * several long rows.
 *
 * @param run Gives the milliseconds of so many; of none it takes the wait alone.
 * @param least Milliseconds of a row.
 */
export async function timeOfOne(
  run: (count: number) => Promise<number>,
  least: number,
): Promise<number> {
  const best = async (count: number) => {
    let milliseconds = Infinity;
    for (let repeat = 0; repeat < 4; repeat++) {
      milliseconds = Math.min(milliseconds, await run(count));
    }
    return milliseconds;
  };
  const wait = await best(0);
  let count = 1;
  while (await run(count) - wait < least) count *= 2;
  return (await best(count) - wait) / count;
}

/** The middle one of one or more values, or the mean of both that are. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}
