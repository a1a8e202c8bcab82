// @ts-types="./papaparse.d.ts"
import Papa from "papaparse";

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

/** Data and columns that do not fit. */
export class StringifyError extends TypeError {
  override name = "StringifyError";
}

/**
 * Writes CSV: every line ends with CR LF, null and undefined are empty, objects
 * are JSON.
 *
 * @throws {StringifyError} If a row is an object and no columns are given.
 */
export function stringify(
  data: readonly DataItem[],
  { headers = true, columns = [], separator = "," }: StringifyOptions = {},
): string {
  const props = columns.map((column) => typeof column === "string" ? column : column.prop);
  const rows = data.map((item) => {
    if (Array.isArray(item)) return item;
    if (props.length === 0) {
      throw new StringifyError("No property accessor function was provided for object");
    }
    return props.map((prop) => (item as Readonly<Record<string, unknown>>)[prop]);
  }).map((row) =>
    row.map((value: unknown) =>
      value === null || value === undefined
        ? ""
        : typeof value === "object"
        ? JSON.stringify(value)
        : String(value)
    )
  );
  if (headers && columns.length > 0) {
    rows.unshift(
      columns.map((column) => typeof column === "string" ? column : column.header ?? column.prop),
    );
  }
  if (rows.length === 0) return "";
  return Papa.unparse(rows, { delimiter: separator, newline: "\r\n" }) + "\r\n";
}
