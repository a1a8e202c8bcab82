// @ts-types="./papaparse.d.ts"
import Papa from "papaparse";

/** How {@link parse} reads. */
export interface ParseOptions {
  /** Between fields; "," by default. */
  readonly separator?: string;
  /** The first row names the columns (unless `columns` does) and is no data. */
  readonly skipFirstRow?: boolean;
  /** Names of the columns. */
  readonly columns?: readonly string[];
}

/**
 * Parses CSV.
 *
 * @returns Rows as arrays; as objects by column name where columns are known.
 * @throws {SyntaxError} On quotes that do not close.
 * @throws {Error} On a row that has more or fewer fields than there are columns.
 */
export function parse(input: string): string[][];
/** Parses CSV into arrays, or objects where `skipFirstRow` or `columns` names the columns. */
export function parse<const T extends ParseOptions>(
  input: string,
  options: T,
): T extends { columns: readonly (infer C extends string)[] } ? Record<C, string>[]
  : T extends { skipFirstRow: true } ? Record<string, string>[]
  : string[][];
export function parse(
  input: string,
  { separator = ",", skipFirstRow = false, columns }: ParseOptions = {},
): string[][] | Record<string, string>[] {
  const { data, errors } = Papa.parse<string[]>(input, {
    delimiter: separator,
    skipEmptyLines: true,
  });
  if (errors.length > 0) {
    throw new SyntaxError(`Syntax error on line ${(errors[0].row ?? 0) + 1}: ${errors[0].message}`);
  }
  const rows = skipFirstRow ? data.slice(1) : data;
  const names = columns ?? (skipFirstRow ? data[0] : undefined);
  if (!names) return rows;
  return rows.map((row, i) => {
    if (row.length !== names.length) {
      throw new Error(
        `Syntax error on line ${
          i + 1 + Number(skipFirstRow)
        }: The record has ${row.length} fields, but the header has ${names.length} fields`,
      );
    }
    return Object.fromEntries(names.map((name, j) => [name, row[j]]));
  });
}
