/** What a page and a worker that judges files say to each other. */

/** What a worker is asked for. */
export interface Given {
  /** The files that were given, each with its path; nothing of them is read before it is needed. */
  readonly files: readonly (readonly [path: string, file: Blob])[];
}

/** What it came to, in all its forms. */
export interface Judged {
  /** As the command's `--json` writes it. */
  readonly json: string;
  /** As the command prints it. */
  readonly text: string;
  /** As `--html FILE` writes it; undefined where there is no such page. */
  readonly page?: string;
  /** As `--markdown FILE` writes it; undefined where there is none. */
  readonly markdown?: string;
}

/** What the worker says; that it is ready first, since what is sent before is lost. */
export type Told =
  | { readonly type: "ready" }
  | { readonly type: "line"; readonly text: string }
  | { readonly type: "judged"; readonly judged: Judged }
  | { readonly type: "refused"; readonly message: string };
