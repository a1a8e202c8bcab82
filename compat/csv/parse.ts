/** How {@link parse} reads. */
export interface ParseOptions {
  /** Between fields; "," by default. */
  readonly separator?: string;
  /** The first row names the columns (unless `columns` does) and is no data. */
  readonly skipFirstRow?: boolean;
  /** Names of the columns. */
  readonly columns?: readonly string[];
}

/** Lines end with LF or CR LF; a CR at the very end counts for one too. */
const LINE_END = /\r?\n|\r$/y;

/**
 * Parses CSV.
 *
 * @returns Rows as arrays; as objects by column name where columns are known.
 * @throws {SyntaxError} On quotes that do not close, and on quotes within a field that has none
 *   around it.
 * @throws {TypeError} If the first row is to be skipped and there is none.
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
  const rows = rowsOf(input.replace(/^\ufeff/, ""), separator);
  const first = skipFirstRow ? rows.shift() : undefined;
  if (skipFirstRow && !first) throw new TypeError("Headers must be defined");
  const names = columns ?? first;
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

/** Rows of fields; empty lines are none. */
function rowsOf(input: string, separator: string): string[][] {
  const rows: string[][] = [];
  let at = 0;
  const takesLineEnd = () => {
    LINE_END.lastIndex = at;
    const [end] = LINE_END.exec(input) ?? [];
    at += end?.length ?? 0;
    return end !== undefined;
  };
  while (at < input.length) {
    if (takesLineEnd()) continue;
    const row: string[] = [];
    for (let more = true; more;) {
      const end = input.startsWith('"', at)
        ? endOfQuoted(input, at)
        : endOfBare(input, at, separator);
      const field = input.slice(at, end);
      at = end;
      if (field.startsWith('"')) {
        row.push(field.slice(1, -1).replaceAll('""', '"').replaceAll("\r\n", "\n"));
      } else {
        if (field.includes('"')) throw refused(rows, 'bare " in non-quoted-field');
        row.push(field);
      }
      more = input.startsWith(separator, at);
      if (more) at += separator.length;
      else if (at < input.length && !takesLineEnd()) {
        throw refused(rows, 'extraneous or missing " in quoted-field');
      }
    }
    rows.push(row);
  }
  return rows;

  function endOfQuoted(input: string, start: number): number {
    for (let at = start + 1;; at += 2) {
      at = input.indexOf('"', at);
      if (at < 0) throw refused(rows, 'extraneous or missing " in quoted-field');
      if (input[at + 1] !== '"') return at + 1;
    }
  }
}

function endOfBare(input: string, start: number, separator: string): number {
  for (let at = start; at < input.length; at++) {
    if (input.startsWith(separator, at)) return at;
    if (input[at] !== "\r" && input[at] !== "\n") continue;
    LINE_END.lastIndex = at;
    if (LINE_END.test(input)) return at;
  }
  return input.length;
}

function refused(rows: readonly unknown[], rule: string): SyntaxError {
  return new SyntaxError(`Syntax error on line ${rows.length + 1}: ${rule}`);
}
