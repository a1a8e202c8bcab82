/** What the audit's page and its worker say to each other. */

/** What the worker is asked for: one audit, then it is done. */
export interface Asked {
  /** The files that were given, each with its path; nothing of them is read before it is needed. */
  readonly files: readonly (readonly [path: string, file: Blob])[];
  /** Path of what is judged, or an architecture's name. */
  readonly target: string;
  /** Path of CIFAR-10 among the files, where it was given. */
  readonly data?: string;
  /** The engine's name; the best that can run here when undefined. */
  readonly engine?: string;
  /** Threads of the engine; all that there are when undefined. */
  readonly threads?: number;
}

/** A report in all its forms. */
export interface Judged {
  /** As `deno task audit --json FILE` writes it. */
  readonly json: string;
  /** As the command prints it. */
  readonly text: string;
  /** As `--html FILE` writes it; undefined for a folder of several runs. */
  readonly page?: string;
  /** As `--markdown FILE` writes it; undefined for a folder of several runs. */
  readonly markdown?: string;
  /** The command's exit status. */
  readonly status: number;
}

/** What the worker says; that it is ready first, since what is sent before is lost. */
export type Told =
  | { readonly type: "ready" }
  | { readonly type: "line" | "passing"; readonly text: string }
  | { readonly type: "judged"; readonly judged: Judged }
  | { readonly type: "refused"; readonly message: string };
