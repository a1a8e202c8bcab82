/** The static site: the files of every page, and what serves them on this machine. */
import { PAGES, type WebPage, webPage } from "./pages.tsx";

/** Where `deno task web:bundle` puts the programs. */
const BUNDLE = new URL("bundle/", import.meta.url);

/**
 * Every page of the site, by the name of its file.
 *
 * @param read Reads a program by its name.
 * @returns The pages; each is one file.
 * @throws {Error} If the programs are not bundled.
 */
export async function sitePages(
  read: (name: string) => Promise<string> = readProgram,
): Promise<ReadonlyMap<string, WebPage>> {
  const pages = (Object.keys(PAGES) as (keyof typeof PAGES)[]).map(async (name) => {
    const programs = {
      program: await read(`${name}/main.js`),
      worker: await read(`${name}/worker.js`),
    };
    return [PAGES[name].file, webPage(name, programs)] as const;
  });
  return new Map(await Promise.all(pages));
}

async function readProgram(name: string): Promise<string> {
  return await Deno.readTextFile(new URL(name, BUNDLE));
}

/**
 * Answers requests for the pages, with the headers that let them share memory
 * between threads, and keep their policy whatever a page says.
 *
 * @param pages By the name of their file.
 * @param hosts Names by which they may be asked for, with the port: a page of another site that
 *   points its name here gets nothing.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { siteHandler } from "./site.ts";
 *
 * const page = { html: "<p>Here</p>", policy: "default-src 'none'" };
 * const handler = siteHandler(new Map([["index.html", page]]), ["127.0.0.1:8000"]);
 * const answer = handler(new Request("http://127.0.0.1:8000/"));
 * assertEquals(answer.headers.get("Cross-Origin-Opener-Policy"), "same-origin");
 * assertEquals(handler(new Request("http://evil.example/")).status, 403);
 * ```
 */
export function siteHandler(
  pages: ReadonlyMap<string, WebPage>,
  hosts: readonly string[],
): (request: Request) => Response {
  return (request) => {
    const { host, pathname } = new URL(request.url);
    if (!hosts.includes(host)) return plain(403, `this page is not ${host}'s`);
    if (request.method !== "GET") return plain(405, "this page is read alone");
    const page = pages.get(pathname === "/" ? "index.html" : pathname.slice(1));
    if (!page) return plain(404, "there is no such page");
    return new Response(page.html, {
      headers: {
        "Content-Type": "text/html; charset=utf-8",
        "Content-Security-Policy": `${page.policy}; frame-ancestors 'none'`,
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Embedder-Policy": "require-corp",
        "Cross-Origin-Resource-Policy": "same-origin",
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Cache-Control": "no-store",
      },
    });
  };
}

function plain(status: number, text: string): Response {
  return new Response(`${text}\n`, { status, headers: { "Content-Type": "text/plain" } });
}
