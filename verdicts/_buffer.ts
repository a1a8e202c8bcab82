/** What the package `cephes` needs of Node, which Deno has; see `_buffer.browser.ts`. */
export {};
