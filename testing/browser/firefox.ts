/**
 * A page in headless Firefox, for tests of what only a browser shows. The browser is the system's
 * own, and is spoken to by the standard that browsers share.
 *
 * Source: WebDriver BiDi (modules session, browsingContext, script, input, network, log).
 */
import { type BrowserPage, isInstalled, listening, PATIENCE, untilHolds } from "./page.ts";

/** The program's name in Debian; where it is not installed or may not be run, no page can be opened. */
const PROGRAM = "firefox-esr";

/** Whether the browser is there; asked without a prompt. */
export function hasFirefox(): Promise<boolean> {
  return isInstalled(PROGRAM);
}

interface Message {
  readonly id?: number;
  readonly method?: string;
  // deno-lint-ignore no-explicit-any -- the protocol's events and answers are of many forms
  readonly params?: any;
  // deno-lint-ignore no-explicit-any -- as above
  readonly result?: any;
  readonly error?: string;
  readonly message?: string;
}

/** One open page. */
class FirefoxPage implements BrowserPage {
  readonly requests: string[] = [];
  readonly errors: string[] = [];
  readonly #socket: WebSocket;
  readonly #waiting = new Map<number, (message: Message) => void>();
  #context = "";
  #last = 0;

  private constructor(socket: WebSocket) {
    this.#socket = socket;
    socket.addEventListener("message", ({ data }) => this.#take(JSON.parse(data)));
  }

  static async connect(address: string): Promise<FirefoxPage> {
    const socket = new WebSocket(`${address}/session`);
    await new Promise((resolve, reject) => {
      socket.addEventListener("open", resolve);
      socket.addEventListener("error", reject);
    });
    const page = new FirefoxPage(socket);
    await page.#send("session.new", { capabilities: {} });
    await page.#send("session.subscribe", {
      events: ["network.beforeRequestSent", "log.entryAdded"],
    });
    page.#context = (await page.#send("browsingContext.getTree", {})).contexts[0].context;
    return page;
  }

  async open(url: string): Promise<void> {
    await this.#send("browsingContext.navigate", {
      ...{ context: this.#context, url, wait: "complete" },
    });
  }

  async evaluate<T>(expression: string): Promise<T> {
    const { result, exceptionDetails } = await this.#send("script.evaluate", {
      expression: `(async () => JSON.stringify(await (${expression})))()`,
      ...{ target: { context: this.#context }, awaitPromise: true },
    });
    if (exceptionDetails) throw new Error(`in the page: ${exceptionDetails.text}`);
    return result.value === undefined ? undefined as T : JSON.parse(result.value);
  }

  async until(expression: string): Promise<void> {
    await untilHolds(this, expression);
  }

  async choose(selector: string, paths: readonly string[]): Promise<void> {
    const { result: { sharedId } } = await this.#send("script.evaluate", {
      expression: `document.querySelector(${JSON.stringify(selector)})`,
      ...{ target: { context: this.#context }, awaitPromise: false },
    });
    await this.#send("input.setFiles", {
      ...{ context: this.#context, element: { sharedId }, files: paths },
    });
  }

  async picture(): Promise<Uint8Array> {
    const { data } = await this.#send("browsingContext.captureScreenshot", {
      ...{ context: this.#context, origin: "document" },
    });
    return Uint8Array.fromBase64(data);
  }

  async close(): Promise<void> {
    const closed = new Promise((resolve) => this.#socket.addEventListener("close", resolve));
    this.#socket.close();
    await closed;
  }

  // deno-lint-ignore no-explicit-any -- the protocol's answers are of many forms
  async #send(method: string, params: Readonly<Record<string, unknown>>): Promise<any> {
    const id = ++this.#last;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const answer = await new Promise<Message>((resolve, reject) => {
      timer = setTimeout(() => reject(new Error(`${method} got no answer`)), PATIENCE);
      this.#waiting.set(id, resolve);
      this.#socket.send(JSON.stringify({ id, method, params }));
    }).finally(() => clearTimeout(timer));
    if (answer.error) throw new Error(`${method}: ${answer.error}: ${answer.message}`);
    return answer.result ?? {};
  }

  #take(message: Message): void {
    const { id, method, params } = message;
    if (id !== undefined) {
      this.#waiting.get(id)?.(message);
      this.#waiting.delete(id);
    }
    if (method === "network.beforeRequestSent") this.requests.push(params.request.url);
    if (method === "log.entryAdded" && params.level === "error") this.errors.push(params.text);
  }
}

/**
 * Starts the browser, opens a page, and ends both after the work.
 *
 * @param work What is done with the page.
 * @throws {Error} If the browser does not start.
 */
export async function inFirefox(work: (page: BrowserPage) => Promise<void>): Promise<void> {
  const profile = await Deno.makeTempDir();
  const browser = new Deno.Command(PROGRAM, {
    args: ["--headless", "--remote-debugging-port=0", "--profile", profile, "about:blank"],
    ...{ stdin: "null", stdout: "null", stderr: "piped" },
  }).spawn();
  const { address, rest } = await listening(
    browser.stderr,
    PROGRAM,
    /WebDriver BiDi listening on (\S+)/,
  );
  try {
    const page = await FirefoxPage.connect(address);
    try {
      await work(page);
    } finally {
      await page.close();
    }
  } finally {
    browser.kill();
    await browser.status;
    await rest;
    await Deno.remove(profile, { recursive: true }).catch(() => {}); // A late write is no failure.
  }
}
