/**
 * One local page of every run, recording and job under a folder, running or
 * finished. It reads and never writes, answers the machine that it runs on, and
 * its page requests nothing from anywhere else.
 */
import client from "./client.js" with { type: "text" };
import type { RunChecklist } from "../run/judged.ts";
import { LINKED, Logs, type Watched } from "./logs.ts";
import { type Choice, comparisonOf, drawn, listOf, shell } from "./page.tsx";

/** Milliseconds between two looks at the logs while a page is open. */
const INTERVAL = 1000;

const POLICY =
  "default-src 'none'; script-src 'self'; style-src 'unsafe-inline'; img-src data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const TYPES: Readonly<Record<string, string>> = {
  html: "text/html; charset=utf-8",
  json: "application/json; charset=utf-8",
  jsonl: "text/plain; charset=utf-8",
  csv: "text/csv; charset=utf-8",
};

/**
 * What answers the requests of the page.
 *
 * @param roots The folders that are watched, or the one.
 * @param hosts Names by which the page may be asked for, with the port: a page
 *   of another site that points its name here gets nothing.
 * @returns A handler for `Deno.serve`.
 *
 * @example
 * ```ts
 * import { watchHandler } from "./server.ts";
 * import { assertEquals } from "@std/assert";
 *
 * const answer = watchHandler(".", ["localhost:8080"]);
 * assertEquals((await answer(new Request("http://evil.example/"))).status, 403);
 * ```
 */
export function watchHandler(
  roots: string | readonly string[],
  hosts: readonly string[],
): (request: Request) => Promise<Response> {
  const folders = typeof roots === "string" ? [roots] : roots;
  const logs = new Logs(...folders);
  const checklists = new Checklists(logs);
  let last: { readonly at: number; readonly all: Promise<readonly Watched[]> } | undefined;
  /** One look serves every question of the same half second. */
  const look = (): Promise<readonly Watched[]> => {
    // Not the time of day, which may be set back by hours.
    const now = performance.now();
    if (!last || now - last.at > INTERVAL / 2) last = { at: now, all: logs.look() };
    return last.all;
  };
  return async (request) => {
    const url = new URL(request.url);
    // An address leaves out the port that it has by itself.
    if (![url.host, `${url.hostname}:${url.port || 80}`].some((host) => hosts.includes(host))) {
      return plain(403, `this page is not ${url.host}'s`);
    }
    if (request.method !== "GET") return plain(405, "this page is read alone");
    const words = url.searchParams;
    const choice: Choice = {
      filter: words.get("filter") ?? "",
      state: words.get("state") ?? "",
      runs: words.getAll("run"),
    };
    switch (url.pathname) {
      case "/":
        return page(shell(folders.join(", ")));
      case "/client.js":
        return answer(client, "text/javascript; charset=utf-8");
      case "/runs":
        return page(listOf(await look(), choice));
      case "/compare": {
        const runs = drawn(await look(), choice);
        const all = await Promise.all(runs.map(async (run) => ({
          run,
          curves: await logs.curvesOf(run.id),
          fields: logs.fieldsOf(run.id),
          checklist: await checklists.of(run),
        })));
        return page(comparisonOf(all));
      }
      case "/changes":
        return changes(look);
    }
    const [, id, name] = /^\/file\/(?:(.*)\/)?([^/]+)$/.exec(url.pathname) ?? [];
    if (name !== undefined) {
      await look();
      return await file(logs, id ?? ".", name);
    }
    return plain(404, "there is no such page");
  };
}

/** What the paper's checklist says of runs that are over; each is judged once. */
class Checklists {
  readonly #logs: Logs;
  readonly #known = new Map<string, Promise<RunChecklist | string>>();

  constructor(logs: Logs) {
    this.#logs = logs;
  }

  /** Undefined of a recording and of what is not over; a sentence where a run can't be read. */
  of({ id, kind, state, size }: Watched): Promise<RunChecklist | string> | undefined {
    const folder = this.#logs.folderOf(id);
    if (kind !== "run" || state !== "finished" || folder === undefined) return undefined;
    const key = `${id} ${size}`;
    const known = this.#known.get(key) ?? judged(id, folder);
    this.#known.set(key, known);
    return known;
  }
}

async function judged(id: string, folder: string): Promise<RunChecklist | string> {
  // Loaded where the first run is drawn: the page is there before.
  const [{ readFolder, RunLogError, runOf, subjectOfReading }, { runChecklist }] = await Promise
    .all(
      [import("../../log/mod.ts"), import("../run/judged.ts")],
    );
  try {
    const read = (file: string) => Deno.readFile(`${folder}${file.slice(id.length)}`);
    const reading = await readFolder(id, read);
    return runChecklist(runOf(reading), subjectOfReading(reading));
  } catch (error) {
    if (!(error instanceof RunLogError)) throw error;
    return error.message;
  }
}

async function file(logs: Logs, encoded: string, name: string): Promise<Response> {
  let id: string;
  try {
    id = encoded.split("/").map(decodeURIComponent).join("/");
  } catch {
    return plain(400, "this is no address");
  }
  // Only the folders that were found and the names that are listed: no path gets out of them.
  const folder = logs.folderOf(id);
  if (folder === undefined || !LINKED.some((known) => known === name)) {
    return plain(404, "there is no such file");
  }
  const path = `${folder}/${name}`;
  const info = await Deno.lstat(path).catch(() => undefined);
  if (!info?.isFile) return plain(404, "there is no such file");
  const stream = await Deno.open(path, { read: true });
  return answer(stream.readable, TYPES[name.slice(name.lastIndexOf(".") + 1)] ?? "text/plain");
}

/** A word each time that something grew, for as long as the page is open. */
function changes(look: () => Promise<readonly Watched[]>): Response {
  let timer: ReturnType<typeof setTimeout> | undefined;
  let before = "";
  const encoder = new TextEncoder();
  const stream = new ReadableStream<Uint8Array>({
    start(controller) {
      const tick = async () => {
        try {
          const all = await look();
          const now = all.map(({ id, size, state }) => `${id} ${size} ${state}`).join("\n");
          if (now !== before) controller.enqueue(encoder.encode("data: changed\n\n"));
          else controller.enqueue(encoder.encode(":\n\n"));
          before = now;
          timer = setTimeout(tick, INTERVAL);
        } catch {
          // The page is gone, or the folder: the page asks anew.
          try {
            controller.close();
          } catch {
            // It was closed already.
          }
        }
      };
      timer = setTimeout(tick, INTERVAL);
    },
    cancel() {
      clearTimeout(timer);
    },
  });
  return answer(stream, "text/event-stream");
}

const page = (html: string): Response => answer(html, "text/html; charset=utf-8");

function answer(body: BodyInit, type: string): Response {
  return new Response(body, {
    headers: {
      "Content-Type": type,
      "Content-Security-Policy": POLICY,
      "X-Content-Type-Options": "nosniff",
      "Referrer-Policy": "no-referrer",
      "Cross-Origin-Resource-Policy": "same-origin",
      "Cache-Control": "no-store",
    },
  });
}

function plain(status: number, text: string): Response {
  return new Response(`${text}\n`, { status, headers: { "Content-Type": "text/plain" } });
}
