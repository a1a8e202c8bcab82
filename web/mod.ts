/**
 * Pages that run in a browser, with the same code as the commands. Each is one file: it requests
 * nothing once it is there, its content policy permits no connection, and it works from any server,
 * from a folder, and without a network.
 *
 * `audit/` is the page that judges files, `predict/` the one that says what a network takes
 * photographs for, `train/` the one that trains; a worker of each does the work (`worker.ts`, of the
 * training `session.ts`). What they share is in `page/`: how files come in, CIFAR-10 as it is kept,
 * workers, styles. What only Deno has is reached through files that have another beside them for the
 * browser, `x.browser.ts` for `x.ts`; `deno task web:bundle` puts those in their place.
 *
 * @module
 */
export { PAGES, type Programs, type WebPage, webPage } from "./pages.tsx";
export { siteHandler, sitePages } from "./site.ts";
