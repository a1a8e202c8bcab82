/**
 * A page in headless Chromium, for tests of what only a browser shows. The browser is the system's
 * own, and is spoken to as its developer tools do.
 *
 * Source: the Chrome DevTools Protocol 1.3 (Target, Page, Runtime, DOM, Network, Emulation).
 */
import { type BrowserPage, isInstalled, listening, PATIENCE, untilHolds } from "./page.ts";

/** The program's name; where it is not installed or may not be run, no page can be opened. */
const PROGRAM = "chromium";

/** Whether the browser is there; asked without a prompt. */
export function hasChromium(): Promise<boolean> {
  return isInstalled(PROGRAM);
}

interface Message {
  readonly id?: number;
  readonly method?: string;
  readonly params?: Readonly<Record<string, unknown>>;
  readonly result?: Readonly<Record<string, unknown>>;
  readonly error?: { readonly message: string };
}

/** One open page. */
export class Page implements BrowserPage {
  /** Addresses of everything that the page requested, in order. */
  readonly requests: string[] = [];
  /** What it wrote to its console as errors, and errors that nothing caught. */
  readonly errors: string[] = [];
  readonly #socket: WebSocket;
  readonly #waiting = new Map<number, (message: Message) => void>();
  #session: string | undefined;
  #last = 0;

  private constructor(socket: WebSocket) {
    this.#socket = socket;
    socket.addEventListener("message", ({ data }) => this.#take(JSON.parse(data)));
  }

  /** Connects to a browser and opens an empty page. */
  static async connect(address: string): Promise<Page> {
    const socket = new WebSocket(address);
    await new Promise((resolve, reject) => {
      socket.addEventListener("open", resolve);
      socket.addEventListener("error", reject);
    });
    const page = new Page(socket);
    const { targetId } = await page.#send("Target.createTarget", { url: "about:blank" });
    const { sessionId } = await page.#send("Target.attachToTarget", { targetId, flatten: true });
    page.#session = sessionId as string;
    for (const domain of ["Page", "Runtime", "Network", "Log"]) {
      await page.#send(`${domain}.enable`);
    }
    return page;
  }

  /** Goes to an address. */
  async open(url: string): Promise<void> {
    await this.#send("Page.navigate", { url });
  }

  /** The size of the window in pixels, and which of a page's two looks is asked for. */
  async look(width: number, height: number, scheme: "light" | "dark"): Promise<void> {
    await this.#send("Emulation.setDeviceMetricsOverride", {
      ...{ width, height, deviceScaleFactor: 1, mobile: false },
    });
    await this.#send("Emulation.setEmulatedMedia", {
      features: [{ name: "prefers-color-scheme", value: scheme }],
    });
  }

  /** The value of an expression in the page; a promise is waited for. */
  async evaluate<T>(expression: string): Promise<T> {
    const { result, exceptionDetails } = await this.#send("Runtime.evaluate", {
      ...{ expression, awaitPromise: true, returnByValue: true },
    }) as {
      result: { value: T };
      exceptionDetails?: { text: string; exception?: { description?: string } };
    };
    if (exceptionDetails) {
      const { text, exception } = exceptionDetails;
      throw new Error(`in the page: ${exception?.description ?? text}`);
    }
    return result.value;
  }

  /** Waits until an expression holds in the page. */
  async until(expression: string): Promise<void> {
    await untilHolds(this, expression);
  }

  /** Gives files of this machine to an input, as its dialogue does. */
  async choose(selector: string, paths: readonly string[]): Promise<void> {
    const { result } = await this.#send("Runtime.evaluate", {
      expression: `document.querySelector(${JSON.stringify(selector)})`,
    }) as { result: { objectId: string } };
    await this.#send("DOM.setFileInputFiles", { files: paths, objectId: result.objectId });
  }

  /** Presses a key. */
  async press(key: "Tab" | "Enter"): Promise<void> {
    for (const type of ["keyDown", "keyUp"]) {
      await this.#send("Input.dispatchKeyEvent", { type, key, code: key });
    }
  }

  /** What is seen, as a PNG. */
  async picture(): Promise<Uint8Array> {
    const { data } = await this.#send("Page.captureScreenshot", { captureBeyondViewport: true });
    return Uint8Array.fromBase64(data as string);
  }

  /** Ends the connection. */
  async close(): Promise<void> {
    const closed = new Promise((resolve) => this.#socket.addEventListener("close", resolve));
    this.#socket.close();
    await closed;
  }

  async #send(
    method: string,
    params: Readonly<Record<string, unknown>> = {},
  ): Promise<Readonly<Record<string, unknown>>> {
    const id = ++this.#last;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const answer = await new Promise<Message>((resolve, reject) => {
      timer = setTimeout(() => reject(new Error(`${method} got no answer`)), PATIENCE);
      this.#waiting.set(id, resolve);
      const sessionId = this.#session;
      this.#socket.send(JSON.stringify({ id, method, params, ...(sessionId && { sessionId }) }));
    }).finally(() => clearTimeout(timer));
    if (answer.error) throw new Error(`${method}: ${answer.error.message}`);
    return answer.result ?? {};
  }

  // deno-lint-ignore no-explicit-any -- the protocol's events are of many forms
  #take({ id, method, params, ...rest }: Message & { readonly params?: any }): void {
    if (id !== undefined) {
      this.#waiting.get(id)?.({ id, ...rest });
      this.#waiting.delete(id);
    }
    if (method === "Network.requestWillBeSent") this.requests.push(params.request.url);
    if (method === "Log.entryAdded" && params.entry.level === "error") {
      this.errors.push(params.entry.text);
    }
    if (method === "Runtime.exceptionThrown") this.errors.push(params.exceptionDetails.text);
  }
}

/**
 * Starts the browser, opens a page, and ends both after the work.
 *
 * @param work What is done with the page.
 * @throws {Error} If the browser does not start.
 */
export async function inChromium(work: (page: Page) => Promise<void>): Promise<void> {
  const profile = await Deno.makeTempDir();
  const browser = new Deno.Command(PROGRAM, {
    args: [
      ...["--headless=new", "--remote-debugging-port=0", `--user-data-dir=${profile}`],
      // Its sandbox does not start for root, as which containers run; the page is our own.
      ...["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"],
      ...["--disable-component-update", "--disable-dev-shm-usage", "about:blank"],
    ],
    ...{ stdin: "null", stdout: "null", stderr: "piped" },
  }).spawn();
  const { address, rest } = await listening(browser.stderr, PROGRAM, /DevTools listening on (\S+)/);
  try {
    const page = await Page.connect(address);
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
