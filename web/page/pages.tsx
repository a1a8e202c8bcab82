/** @jsxRuntime automatic */
/** @jsxImportSource preact */
/** The way from one page to the others. */
import type { VNode } from "preact";

const PAGES = [
  ["index.html", "Audit a network"],
  ["train.html", "Train one"],
  ["predict.html", "Predict a photograph"],
] as const;

/** @param current The page that this is on. */
export function Pages({ current }: { readonly current: typeof PAGES[number][0] }): VNode {
  return (
    <nav aria-label="Pages">
      <ul class="pages">
        {PAGES.map(([file, label]) => (
          <li key={file}>
            <a href={file} aria-current={file === current ? "page" : undefined}>{label}</a>
          </li>
        ))}
      </ul>
    </nav>
  );
}
