/** The pages for tests: bundled, served, and given files as somebody gives them. */
import { assert, assertEquals, assertFalse, assertLess, assertMatch } from "@std/assert";
import type { BrowserPage } from "../testing/browser/mod.ts";
import { PAGES, siteHandler, sitePages } from "./mod.ts";

const ROOT = new URL("../", import.meta.url);

/** Whether Deno may be started, which bundles. */
export const canBundle: boolean =
  Deno.permissions.querySync({ name: "run", command: Deno.execPath() }).state === "granted";

let bundling: Promise<void> | undefined;

/** Bundles the pages' programs, once for all tests of a file. */
export function bundle(): Promise<void> {
  return bundling ??= (async () => {
    const { success, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["task", "-q", "web:bundle"],
      cwd: ROOT,
      stdin: "null",
    }).output();
    assert(success, new TextDecoder().decode(stderr));
  })();
}

/**
 * Serves the pages while something is done with them.
 *
 * @param isolated With the headers of `deno task web`; without them a page has one thread.
 * @param work Gets the address.
 */
export async function serving(
  isolated: boolean,
  work: (origin: string) => Promise<void>,
): Promise<void> {
  await bundle();
  const hosts: string[] = [];
  const handler = siteHandler(await sitePages(), hosts);
  const plain = async (request: Request) =>
    new Response(await handler(request).text(), { headers: { "Content-Type": "text/html" } });
  const server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen() {} },
    isolated ? handler : plain,
  );
  const host = `127.0.0.1:${server.addr.port}`;
  hosts.push(host);
  try {
    await work(`http://${host}`);
  } finally {
    await server.shutdown();
  }
}

/**
 * Holds a page to what each is: one file that names no other but the pages beside it, with nothing
 * of Deno's or Node's in its programs.
 *
 * @param name Which.
 * @param bytes How many it has at most, packed.
 */
export async function assertOneFile(name: keyof typeof PAGES, bytes: number): Promise<void> {
  await bundle();
  for (const part of ["main", "worker"]) {
    const program = await Deno.readTextFile(new URL(`web/bundle/${name}/${part}.js`, ROOT));
    assertFalse(/\bDeno\.\w/.test(program), `${name}'s ${part} uses Deno`);
    // The WebP and JPEG decoders ask for Node's where they run there.
    assertFalse(/["']node:\w/.test(program), `${name}'s ${part} uses a module of Node's`);
    assertFalse(
      /(?<![.\w])import\(["'`]|\bimportScripts\(/.test(program),
      `${name}'s ${part} loads something`,
    );
    // In Firefox a worker that starts a worker may stand still for ever: the page starts them.
    assertEquals(/\bnew Worker\(/.test(program), part === "main", `${name}'s ${part}`);
  }
  const { html, policy } = (await sitePages()).get(PAGES[name].file)!;
  assertMatch(policy, /^default-src 'none'; connect-src 'none'; script-src 'sha256-\S+ 'wasm-/);
  const links = Object.values(PAGES).map(({ file }) => `<a href="${file}"`);
  const rest = links.reduce((text, link) => text.replace(link, "<a "), html);
  assertFalse(/\b(src|href)="(?!data:)/.test(rest), "the page names another file");
  const packed = new Blob([html]).stream().pipeThrough(new CompressionStream("gzip"));
  assertLess((await new Response(packed).bytes()).length, bytes);
}

/** Drops files on a page, folders as folders: by entries, as a browser gives them. */
const GIVE = `window.give = (files) => {
  const made = files.map(([path, bytes]) =>
    [path, new File([Uint8Array.fromBase64(bytes)], path.split("/").at(-1))]);
  const entryOf = (prefix, inside) => inside.length === 1 && inside[0][0] === prefix
    ? { isFile: true, fullPath: "/" + prefix, file: (take) => take(inside[0][1]) }
    : { isFile: false, fullPath: "/" + prefix, createReader: () => {
        const names = [...new Set(inside.map(([path]) =>
          prefix + "/" + path.slice(prefix.length + 1).split("/")[0]))];
        let left = names.map((name) => entryOf(name,
          inside.filter(([path]) => path === name || path.startsWith(name + "/"))));
        return { readEntries: (take) => { const some = left; left = []; take(some); } };
      } };
  const tops = [...new Set(made.map(([path]) => path.split("/")[0]))];
  const items = tops.map((top) => ({ webkitGetAsEntry: () => entryOf(top,
    made.filter(([path]) => path === top || path.startsWith(top + "/"))) }));
  const drop = new Event("drop", { bubbles: true, cancelable: true });
  Object.defineProperty(drop, "dataTransfer", { value: { items, files: [] } });
  document.body.dispatchEvent(drop);
}`;

/** What a button saves, in place of saving it. */
export const CATCH = `HTMLAnchorElement.prototype.click = () => {};
  const made = URL.createObjectURL;
  URL.createObjectURL = (blob) => { window.saved = blob; return made.call(URL, blob); }`;

/** Opens a page and waits until it takes files; what it saves is then in its `saved`. */
export async function opened(page: BrowserPage, url: string): Promise<void> {
  await page.open(url);
  await page.until(`document.querySelector("button:enabled")`);
  await page.evaluate(`(() => { ${GIVE}; ${CATCH}; })()`);
}

/** Drops files. */
export async function give(
  page: BrowserPage,
  files: ReadonlyMap<string, Uint8Array>,
): Promise<void> {
  const given = [...files].map(([path, bytes]) => [path, bytes.toBase64()]);
  await page.evaluate(`give(${JSON.stringify(given)})`);
}
