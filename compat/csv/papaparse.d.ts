/**
 * What is used of Papa Parse 5.5. Its own declarations bring those of Node, ten megabytes that
 * everybody would fetch for two functions.
 */
interface ParseError {
  readonly message: string;
  readonly row?: number;
}

interface PapaParse {
  parse<Row>(input: string, options: {
    readonly delimiter: string;
    readonly skipEmptyLines: boolean | "greedy";
  }): { readonly data: Row[]; readonly errors: readonly ParseError[] };
  unparse(
    rows: readonly (readonly unknown[])[],
    options: { readonly delimiter: string; readonly newline: string },
  ): string;
}

declare const Papa: PapaParse;
export default Papa;
