/** A download that resumes where it broke off and ends with a verified file or none. */
import { Sha256 } from "./hash.ts";
import { attempt } from "./attempt.ts";
import { FileError } from "./errors.ts";
import { openOwn } from "./write_whole.ts";

/** How far a download is, in bytes. */
export interface DownloadProgress {
  /** Bytes on disk so far, with those of earlier attempts. */
  readonly received: number;
  /** Bytes of the whole file. */
  readonly total: number;
}

/** What to download, and how it is known to be right. */
export interface DownloadOptions {
  readonly url: string;
  /** Where the file goes; until it is whole and verified it is `path` + ".part". */
  readonly path: string;
  readonly bytes: number;
  readonly sha256: string;
  readonly onProgress?: (progress: DownloadProgress) => void;
  /** In place of the global `fetch`. */
  readonly fetch?: typeof fetch;
  /** Milliseconds without a byte after which the server counts as gone; 60,000 when undefined. */
  readonly stallTimeout?: number;
}

/**
 * Downloads a file. What an earlier attempt left in the `.part` file is hashed
 * and continued with a range request, or replaced where the server ignores
 * ranges. A connection that broke after bringing new bytes is resumed at once.
 *
 * @throws {FileError} If the server can't be reached, answers with an error, brings no more bytes,
 *   or brings others than stated. The `.part` file stays if it can be continued.
 */
export async function download(options: DownloadOptions): Promise<void> {
  const { url, path, bytes, sha256 } = options;
  const folder = path.slice(0, path.lastIndexOf("/") + 1);
  await attempt("write", folder, () => Deno.mkdir(folder, { recursive: true }));
  let part = await Part.open(`${path}.part`);
  try {
    // While this process waited for the file, another may have finished it and moved it away.
    while (await part.isElsewhere()) {
      if (part.received === bytes && part.sha256() === sha256) return;
      part.close();
      part = await Part.open(`${path}.part`);
    }
    if (part.received > bytes) await part.restart();
    while (part.received < bytes) {
      const before = part.received;
      let failure: unknown;
      try {
        await transfer(options, part);
      } catch (error) {
        if (error instanceof FileError) throw error;
        failure = error;
      }
      if (part.received <= before) throw broken(options, part.received, failure);
    }
    const found = part.sha256();
    if (found !== sha256) {
      await part.restart();
      throw new FileError(
        `downloading ${url}: the file's SHA-256 must be ${sha256}, found ${found}: ` +
          `it was altered on the way, and what was received is discarded`,
      );
    }
    await part.moveTo(path);
  } finally {
    part.close();
  }
}

function broken({ url, bytes }: DownloadOptions, received: number, cause: unknown): FileError {
  if (cause instanceof Deno.errors.NotCapable) {
    return new FileError(
      `no permission to download ${url}: run with --allow-net=${new URL(url).host}`,
      { cause },
    );
  }
  const resumes = received > 0 ? "; the next attempt goes on from there" : "";
  return new FileError(
    `downloading ${url}: stopped after ${received} of ${bytes} bytes (${reason(cause)})${resumes}`,
    { cause },
  );
}

/** The messages of an error and its causes: fetch's own says only that it failed. */
function reason(error: unknown): string {
  if (!(error instanceof Error)) return "the server closed the connection";
  return error.cause instanceof Error ? `${error.message}: ${reason(error.cause)}` : error.message;
}

/** One request: appends to the part file what it brings, until the body's end or a failure. */
async function transfer(options: DownloadOptions, part: Part): Promise<void> {
  const { url, bytes, onProgress, fetch: fetchFile = fetch, stallTimeout = 60_000 } = options;
  const start = part.received;
  const stall = new Stall(stallTimeout);
  try {
    const response = await fetchFile(url, {
      signal: stall.signal,
      headers: {
        "Accept-Encoding": "identity", // fetch would decode gzip, and the hash is of the archive
        ...(start > 0 ? { Range: `bytes=${start}-` } : {}),
      },
    });
    const range = response.headers.get("Content-Range");
    const continues = response.status === 206 && range?.startsWith(`bytes ${start}-`);
    if (start > 0 && !continues && response.status !== 200) {
      // The part file can't be continued: another range, or none that the server knows of.
      await response.body?.cancel();
      if (response.status !== 206 && response.status !== 416) throw refused(url, response);
      await part.restart();
      return await transfer(options, part);
    }
    if (!response.ok || response.body === null) {
      await response.body?.cancel();
      throw refused(url, response);
    }
    if (!continues) await part.restart();
    for await (const chunk of response.body) {
      stall.reset();
      if (part.received + chunk.length > bytes) {
        await part.restart();
        throw new FileError(
          `downloading ${url}: the file must have ${bytes} bytes, the server sends more: ` +
            `it is another file, and what was received is discarded`,
        );
      }
      await part.append(chunk);
      onProgress?.({ received: part.received, total: bytes });
    }
  } finally {
    stall.clear();
  }
}

function refused(url: string, { status, statusText }: Response): FileError {
  return new FileError(
    `downloading ${url}: the server answered ${status} ${statusText}`.trimEnd(),
  );
}

/** Aborts a request that brings nothing for a while. */
class Stall {
  #controller = new AbortController();
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(readonly milliseconds: number) {
    this.reset();
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  reset(): void {
    this.clear();
    this.#timer = setTimeout(() => {
      this.#controller.abort(new Error(`no bytes for ${this.milliseconds / 1000} s`));
    }, this.milliseconds);
  }

  clear(): void {
    clearTimeout(this.#timer);
  }
}

/** The unfinished file, its length and its running hash. */
class Part {
  received = 0;
  #hash = new Sha256();

  private constructor(readonly path: string, readonly file: Deno.FsFile) {}

  /** Opens or creates the file and hashes what it holds; of two processes, one waits. */
  static async open(path: string): Promise<Part> {
    const file = await attempt(
      "write",
      path,
      () => openOwn(path),
    );
    try {
      await file.lock(true);
      const part = new Part(path, file);
      const buffer = new Uint8Array(1 << 20);
      for (;;) {
        const count = await attempt("read", path, () => file.read(buffer));
        if (count === null) return part;
        part.#hash.update(buffer.subarray(0, count));
        part.received += count;
      }
    } catch (error) {
      file.close();
      throw error;
    }
  }

  async append(chunk: Uint8Array): Promise<void> {
    await attempt("write", this.path, async () => {
      for (let at = 0; at < chunk.length;) at += await this.file.write(chunk.subarray(at));
    });
    this.#hash.update(chunk);
    this.received += chunk.length;
  }

  async restart(): Promise<void> {
    await attempt("write", this.path, async () => {
      await this.file.truncate(0);
      await this.file.seek(0, Deno.SeekMode.Start);
    });
    this.#hash = new Sha256();
    this.received = 0;
  }

  /** Whether its name is no longer this file's. */
  async isElsewhere(): Promise<boolean> {
    const [own, named] = await attempt("read", this.path, () =>
      Promise.all([
        this.file.stat(),
        Deno.stat(this.path).catch((error) => {
          if (!(error instanceof Deno.errors.NotFound)) throw error;
        }),
      ]));
    return named?.ino !== own.ino || named.dev !== own.dev;
  }

  /** Of all that was received. */
  sha256(): string {
    return this.#hash.hex();
  }

  async moveTo(path: string): Promise<void> {
    await attempt("write", path, async () => {
      await this.file.sync();
      await Deno.rename(this.path, path);
    });
  }

  close(): void {
    this.file.close();
  }
}
