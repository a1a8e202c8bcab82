/** A row: values in column order, or an object. */
export type DataItem = Readonly<Record<string, unknown>> | readonly unknown[];

/** A column: the property, or the property with another header. */
export type Column = string | { readonly header?: string; readonly prop: string };

/** How {@link stringify} writes. */
export interface StringifyOptions {
  /** A first row with the columns' names; true by default. */
  readonly headers?: boolean;
  /** The columns, in order; needed where rows are objects. */
  readonly columns?: readonly Column[];
  /** Between fields; "," by default. */
  readonly separator?: string;
}

/**
 * Writes CSV: every line ends with CR LF, null and undefined are empty, objects
 * are JSON; quotes stand around what has a separator, a quote or a line feed in it.
 *
 * @throws {TypeError} If a row is an object and no columns are given, or an array and
 *   columns are, which name properties.
 */
export function stringify(
  data: readonly DataItem[],
  { headers = true, columns = [], separator = "," }: StringifyOptions = {},
): string {
  const line = (values: readonly unknown[]) =>
    `${values.map((value) => fieldOf(value, separator)).join(separator)}\r\n`;
  const props = columns.map((column) => typeof column === "string" ? column : column.prop);
  const rows = data.map((item) => {
    if (props.length === 0) {
      if (Array.isArray(item)) return item;
      throw new TypeError("No property accessor function was provided for object");
    }
    if (Array.isArray(item)) throw new TypeError('Property accessor is not of type "number"');
    return props.map((prop) => (item as Readonly<Record<string, unknown>>)[prop]);
  });
  const names = columns.map((column) =>
    typeof column === "string" ? column : column.header ?? column.prop
  );
  return (headers && names.length > 0 ? [names, ...rows] : rows).map(line).join("");
}

function fieldOf(value: unknown, separator: string): string {
  if (value === null || value === undefined) return "";
  const text = typeof value === "object" ? JSON.stringify(value) : String(value);
  return [separator, "\n", '"'].some((sign) => text.includes(sign))
    ? `"${text.replaceAll('"', '""')}"`
    : text;
}
