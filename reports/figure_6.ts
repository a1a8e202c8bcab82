/** The axis of the paper's Figure 6, which ends at 20%. */

/** Percent. */
const TOP = 20;

/**
 * Where an axis of errors ends: at Figure 6's 20% if that shows nine tenths of
 * every line, as of trainings of the paper's length, else with the data; and the
 * sentence that says so.
 */
export function figure6Axis(
  lines: readonly { readonly points: readonly (readonly [number, number])[] }[],
): { readonly top?: number; readonly said: string } {
  const shown = lines.every(({ points }) =>
    points.filter(([, error]) => error < TOP).length >= points.length * 0.9
  );
  return shown
    ? { top: TOP, said: " The axis ends at 20%, as in the paper's Figure 6." }
    : { said: "" };
}
