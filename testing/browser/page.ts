/** What tests need of a page, whichever browser shows it. */

/** Milliseconds after which an answer or a condition is missing. */
export const PATIENCE = 60_000;

/** One open page. */
export interface BrowserPage {
  /** Addresses of everything that the page requested, in order. */
  readonly requests: readonly string[];
  /** What it wrote to its console as errors, and errors that nothing caught. */
  readonly errors: readonly string[];
  /** Goes to an address. */
  open(url: string): Promise<void>;
  /** The value of an expression in the page; a promise is waited for. */
  evaluate<T>(expression: string): Promise<T>;
  /** Waits until an expression holds in the page. */
  until(expression: string): Promise<void>;
  /** Gives files of this machine to an input, as its dialogue does. */
  choose(selector: string, paths: readonly string[]): Promise<void>;
  /** What is seen, as a PNG. */
  picture(): Promise<Uint8Array>;
}

/** Waits until an expression holds in a page. */
export async function untilHolds(
  page: Pick<BrowserPage, "evaluate">,
  expression: string,
): Promise<void> {
  const end = Date.now() + PATIENCE;
  while (!await page.evaluate<boolean>(`Boolean(${expression})`)) {
    if (Date.now() > end) throw new Error(`in the page this never holds: ${expression}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/** Whether a browser is there and may be run; asked without a prompt. */
export async function isInstalled(program: string): Promise<boolean> {
  if (Deno.permissions.querySync({ name: "run", command: program }).state !== "granted") {
    return false;
  }
  try {
    return (await new Deno.Command(program, { args: ["--version"], stderr: "null" }).output())
      .success;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

/**
 * The address that a browser prints when it is ready; what it prints then is read and dropped.
 *
 * @param stderr Where it prints.
 * @param program Its name, for messages.
 * @param pattern What stands before the address, which is the first group.
 * @throws {Error} If it ends before.
 */
export async function listening(
  stderr: ReadableStream<Uint8Array>,
  program: string,
  pattern: RegExp,
): Promise<{ readonly address: string; readonly rest: Promise<void> }> {
  const reader = stderr.getReader();
  const decoder = new TextDecoder();
  let text = "";
  while (true) {
    const { value, done } = await reader.read();
    if (done) throw new Error(`${program} did not start: ${text.slice(-500)}`);
    text += decoder.decode(value, { stream: true });
    const address = pattern.exec(text)?.[1];
    if (address === undefined) continue;
    const drained = async () => {
      while (!(await reader.read()).done);
    };
    return { address, rest: drained() };
  }
}
