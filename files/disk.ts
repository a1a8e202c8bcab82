/**
 * The one way to files for every room that also runs in a browser: what is read, by its path. There
 * `disk.browser.ts` stands for this file, as each `x.browser.ts` does for the `x.ts` beside it.
 */

/** What stands at a path. */
export interface FileInfo {
  /** False of a folder, and of a pipe, a socket or a device. */
  readonly isFile: boolean;
  /** Whether it is a folder. */
  readonly isDirectory: boolean;
  /** In bytes. */
  readonly size: number;
}

/** How files are read. All but the last three reject with an error that {@link isMissing} knows where there is none. */
export interface Disk {
  /** What stands at a path; links are followed. */
  readonly stat: (path: string) => Promise<FileInfo>;
  /** A whole file. */
  readonly read: (path: string) => Promise<Uint8Array<ArrayBuffer>>;
  /** A file in pieces, from its beginning. */
  readonly stream: (path: string) => Promise<ReadableStream<Uint8Array<ArrayBuffer>>>;
  /** What a folder holds, in any order. */
  readonly list: (
    path: string,
  ) => Promise<readonly { readonly name: string; readonly isDirectory: boolean }[]>;
  /** The error of a file that is not there. */
  readonly missing: (path: string) => Error;
  /** Whether an error says that nothing stands at a path. */
  readonly isMissing: (error: unknown) => boolean;
  /** Whether an error says that a path leads through a file. */
  readonly isNoFolder: (error: unknown) => boolean;
  /** Whether an error says that permission was not given. */
  readonly isRefused: (error: unknown) => boolean;
}

/** The computer's own. */
export const disk: Disk = {
  stat: (path) => Deno.stat(path),
  read: (path) => Deno.readFile(path),
  stream: async (path) => (await Deno.open(path)).readable,
  list: (path) => Array.fromAsync(Deno.readDir(path)),
  missing: (path) => new Deno.errors.NotFound(`there is no file "${path}"`),
  isMissing: (error) => error instanceof Deno.errors.NotFound,
  isNoFolder: (error) => error instanceof Deno.errors.NotADirectory,
  isRefused: (error) => error instanceof Deno.errors.NotCapable,
};
