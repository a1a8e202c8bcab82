/** @jsxRuntime automatic */
/** @jsxImportSource preact */
/** The frame of every report: one HTML page that runs nothing and requests nothing. */
import type { ComponentChildren, VNode } from "preact";
import { render } from "preact-render-to-string";
import { style } from "./_style.ts";

/** What a page shows. */
export interface DocumentProps {
  /** Of the window, as plain text. */
  readonly title: string;
  /** The page's body. */
  readonly children: ComponentChildren;
}

/**
 * A whole page in the reports' style: light, dark and in print, from phone to desktop.
 *
 * @param props The title and the body; text in either is escaped.
 * @returns HTML whose policy forbids scripts and requests; images are data URLs.
 *
 * @example
 * ```ts
 * import { assertStringIncludes } from "@std/assert";
 * import { renderDocument } from "./document.tsx";
 *
 * const html = renderDocument({ title: "A <b> run", children: "1 < 2" });
 * assertStringIncludes(html, "<title>A &lt;b> run</title>");
 * assertStringIncludes(html, "1 &lt; 2");
 * ```
 */
export function renderDocument({ title, children }: DocumentProps): string {
  const page = (
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <meta
          http-equiv="Content-Security-Policy"
          content="default-src 'none'; style-src 'unsafe-inline'; img-src data:"
        />
        <title>{title}</title>
        <style dangerouslySetInnerHTML={{ __html: style }} />
      </head>
      <body>{children}</body>
    </html>
  );
  return "<!DOCTYPE html>\n" + render(page) + "\n";
}

/** What a table shows. */
export interface TableProps {
  /** Unique in the page. */
  readonly id: string;
  /** What the rows are, in a line above them. */
  readonly caption: string;
  /** Classes of the style sheet. */
  readonly class?: string;
  /** The rows, in `thead` and `tbody`. */
  readonly children: ComponentChildren;
}

/**
 * A table that scrolls by itself, by keyboard as well, under a caption that does not.
 *
 * @param props Its caption and rows.
 * @returns The figure that holds both.
 */
export function Table({ id, caption, class: kind, children }: TableProps): VNode {
  return (
    <figure>
      <figcaption id={id}>{caption}</figcaption>
      <div class="scroll" role="region" aria-labelledby={id} tabIndex={0}>
        <table class={kind} aria-labelledby={id}>{children}</table>
      </div>
    </figure>
  );
}
