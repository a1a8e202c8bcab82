/** @jsxRuntime automatic */
/** @jsxImportSource preact */
/// <reference lib="dom" />
/** What a command would have written: its own page within this one, and its files to save. */
import type { VNode } from "preact";
import { useEffect, useRef } from "preact/hooks";
import type { Judged } from "./messages.ts";
import { saveFile } from "./save.ts";

export function Report(
  { name, label, judged }: {
    /** Of the files, without an ending. */
    readonly name: string;
    /** For whoever does not see it. */
    readonly label: string;
    readonly judged: Judged;
  },
): VNode {
  const place = useRef<HTMLElement>(null);
  const { page, text, json, markdown } = judged;
  useEffect(() => {
    const article = place.current!;
    if (page !== undefined) {
      const { body } = new DOMParser().parseFromString(page, "text/html");
      // The page around it has the landmarks already.
      for (const part of body.querySelectorAll("header, main, nav")) {
        const plain = document.createElement("div");
        plain.className = part.localName;
        plain.append(...part.childNodes);
        part.replaceWith(plain);
      }
      article.replaceChildren(...body.childNodes);
    }
    article.focus({ preventScroll: false });
  }, []);
  return (
    <>
      <div class="row save">
        <span>Save it as</span>
        {page !== undefined && <Save name={`${name}.html`} type="text/html" content={page} />}
        <Save name={`${name}.json`} type="application/json" content={json} />
        {markdown !== undefined && (
          <Save name={`${name}.md`} type="text/markdown" content={markdown} />
        )}
      </div>
      <article ref={place} tabIndex={-1} aria-label={label}>
        {page === undefined && <pre>{text}</pre>}
      </article>
    </>
  );
}

/** A button that makes a file of what it holds. */
function Save(
  { name, type, content }: {
    readonly name: string;
    readonly type: string;
    readonly content: string;
  },
): VNode {
  return <button type="button" onClick={() => saveFile(name, type, content)}>{name}</button>;
}
