/** Values compared field by field, so that no difference can be left out by hand. */

/** One field in which two values differ; `none` where a value lacks the field. */
export interface FieldDifference {
  /** Dotted path, for example `schedule.iterations`. */
  readonly field: string;
  /** As text, in the first value. */
  readonly before: string;
  /** As text, in the second value. */
  readonly after: string;
}

/** Every field in which `after` differs from `before`; arrays count as one field. */
export function differingFields(before: object, after: object): readonly FieldDifference[] {
  const old = leaves(before);
  const now = leaves(after);
  return [...new Set([...old.keys(), ...now.keys()])]
    .map((field) => ({
      field,
      before: old.get(field) ?? "none",
      after: now.get(field) ?? "none",
    }))
    .filter(({ before, after }) => before !== after);
}

function leaves(value: object, prefix = ""): Map<string, string> {
  const found = new Map<string, string>();
  for (const [key, child] of Object.entries(value)) {
    if (child === undefined) continue;
    if (typeof child === "object" && child !== null && !Array.isArray(child)) {
      for (const [path, text] of leaves(child, `${prefix}${key}.`)) found.set(path, text);
    } else {
      found.set(prefix + key, typeof child === "string" ? child : JSON.stringify(child));
    }
  }
  return found;
}
