/**
 * Pages that run in a browser, with the same code as the commands. Each is one file: it requests
 * nothing once it is there, its content policy permits no connection, and it works from any server,
 * from a folder, and without a network.
 *
 * `audit/` is the page that judges files; a worker runs the audit (`judge.ts`).
 * `train/` is the page that trains; a worker runs the training loop (`session.ts`). What only Deno has
 * is reached through files that have another beside them for the browser, `x.browser.ts` for `x.ts`;
 * `deno task web:bundle` puts those in their place.
 *
 * @module
 */
export { auditWebPage, type Bundle, trainWebPage, type WebPage } from "./pages.tsx";
export { siteHandler, sitePages } from "./site.ts";
