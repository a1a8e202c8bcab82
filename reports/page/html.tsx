/** @jsxRuntime automatic */
/** @jsxImportSource preact */
/** A report as one HTML page that runs nothing and requests nothing; JSX escapes all text. */
import type { ComponentChildren, VNode } from "preact";
import { render } from "preact-render-to-string";
import {
  type Block,
  type Cell,
  type FigureBlock,
  type Line,
  piecesOf,
  type Report,
  type TableBlock,
  wordsOf,
} from "./blocks.ts";
import { letters, NetworkDrawing } from "./network.tsx";
import { Drawing } from "./plot.tsx";
import { style } from "./style.ts";

const CLASSES = { numbers: "number", sentences: "sentences" } as const;

/** Fewer sections need no list of them. */
const CONTENTS_FROM = 4;

/**
 * The whole page: light, dark and in print, from phone to desktop.
 *
 * @param report What it says.
 * @returns HTML whose policy forbids scripts and requests; images are data URLs.
 */
export function renderHtml({ eyebrow, title, head, body }: Report): string {
  const sections = body.flatMap((block) =>
    block.kind === "heading" && block.level === 2 ? [block.text] : []
  );
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
      <body>
        <header>
          <p class="eyebrow">{eyebrow}</p>
          <h1>{title}</h1>
          <Parts blocks={head} />
          {sections.length >= CONTENTS_FROM && (
            <nav aria-label="Contents">
              <ul class="contents">
                {sections.map((text) => (
                  <li key={text}>
                    <a href={`#${anchorOf(text)}`}>{text}</a>
                  </li>
                ))}
              </ul>
            </nav>
          )}
        </header>
        <main>
          <Parts blocks={body} />
        </main>
      </body>
    </html>
  );
  return "<!DOCTYPE html>\n" + render(page) + "\n";
}

function anchorOf(text: string): string {
  return text.toLowerCase().replace(/[^\p{L}\p{N}]+/gu, "-").replace(/^-|-$/g, "");
}

/** Blocks in order; figures that follow each other share a row where there is room. */
export function Parts({ blocks }: { blocks: readonly Block[] }): VNode {
  const parts: VNode[] = [];
  for (let i = 0; i < blocks.length;) {
    const others = blocks.slice(i).findIndex(({ kind }) => kind !== "figure");
    const end = others > 0 ? i + others : others < 0 ? blocks.length : i + 1;
    const row = blocks.slice(i, end).map((block, j) => <Part key={i + j} block={block} />);
    parts.push(blocks[i].kind === "figure" ? <div key={i} class="columns">{row}</div> : row[0]);
    i = end;
  }
  return <>{parts}</>;
}

function Part({ block }: { block: Block }): VNode {
  switch (block.kind) {
    case "heading":
      return block.level === 2
        ? <h2 id={anchorOf(block.text)}>{block.text}</h2>
        : <h3>{block.text}</h3>;
    case "text":
      return (
        <p class={block.muted ? "muted" : ""}>
          <Text line={block.text} />
        </p>
      );
    case "notice":
      return (
        <div class={block.tone === "calm" ? "notice calm" : "notice"}>
          <p>
            <strong>{block.subject}</strong> {block.text}
          </p>
        </div>
      );
    case "list": {
      const items = block.items.map((item, i) => (
        <li key={i}>
          <Text line={item} />
        </li>
      ));
      return block.ordered ? <ol class="changes">{items}</ol> : <ul>{items}</ul>;
    }
    case "result":
      return (
        <p class={/\d/.test(block.figure) ? "result" : "result none"}>
          <strong>{block.figure}</strong>
          <span>
            {block.text}
            {block.note && (
              <>
                <br />
                <span class="muted">{block.note}</span>
              </>
            )}
          </span>
        </p>
      );
    case "facts":
      return (
        <dl class="facts">
          {block.facts.map(([name, value]) => (
            <div key={name}>
              <dt>{name}</dt>
              <dd>
                <Text line={value} />
              </dd>
            </div>
          ))}
        </dl>
      );
    case "fields":
      return (
        <dl class="fields">
          {block.fields.map(({ name, value, departs }) => (
            <div key={name} class={departs ? "departs" : ""}>
              <dt>{name}</dt>
              <dd>{value}</dd>
            </div>
          ))}
        </dl>
      );
    case "images": {
      const form = block.large
        ? " large"
        : block.images.some(({ beside }) => beside)
        ? " pairs"
        : "";
      const side = block.large ? 96 : 64;
      return (
        <ul class={`images${form}`}>
          {block.images.map(({ source, alt, beside, lines }, i) => (
            <li key={i}>
              {beside
                ? (
                  <div>
                    <img src={source} alt={alt} width={side} height={side} />
                    <img src={beside.source} alt={beside.alt} width={side} height={side} />
                  </div>
                )
                : <img src={source} alt={alt} width={side} height={side} />}
              <Lines lines={lines} />
            </li>
          ))}
        </ul>
      );
    }
    case "judgements":
      return (
        <dl class="judgements">
          {block.judgements.map(({ outcome, fails, id, lines }, i) => (
            <div key={i} class={fails ? "fail" : ""}>
              <dt>
                <span class="outcome">{outcome}</span> {id && <code>{id}</code>}
              </dt>
              <dd>
                {lines.map((line, j) => (
                  <p key={j}>
                    <Text line={line} />
                  </p>
                ))}
              </dd>
            </div>
          ))}
        </dl>
      );
    case "folded":
      return (
        <details>
          <summary>{block.summary}</summary>
          <Parts blocks={block.blocks} />
        </details>
      );
    case "table":
      return <Table {...block} />;
    case "figure":
      return <Figure {...block} />;
    case "network":
      return (
        <figure>
          <figcaption>{`${block.title}: ${letters(block.nodes)}`}</figcaption>
          <div class="scroll" role="group" aria-label={block.title} tabIndex={0}>
            <NetworkDrawing nodes={block.nodes} summary={block.summary} />
          </div>
        </figure>
      );
  }
}

/** A table that scrolls by itself, by keyboard as well, under a caption that does not. */
function Table({ id, caption, form, columns, rows }: TableBlock): VNode {
  const named = `${id}-caption`;
  const kind = form ?? `wide-table${columns.length > 2 ? " kinds" : ""}`;
  return (
    <figure>
      <figcaption id={named}>{caption}</figcaption>
      <div class="scroll" role="group" aria-labelledby={named} tabIndex={0}>
        <table class={kind} aria-labelledby={named}>
          {columns.some(({ title }) => title !== "") && (
            <thead>
              <tr>
                {columns.map(({ title, of }, i) =>
                  title === "" ? <td key={i} /> : (
                    <th key={i} scope="col" class={of && CLASSES[of]}>
                      <span>{title}</span>
                    </th>
                  )
                )}
              </tr>
            </thead>
          )}
          <tbody>
            {rows.map(([first, ...others], i) => (
              <tr key={i}>
                <th scope="row">
                  <Content cell={first} />
                </th>
                {others.map((cell, j) => {
                  const of = columns[j + 1].of;
                  return measured(cell)
                    ? (
                      <td
                        key={j}
                        class={`${cell.tone}${cell.figure === "0" ? " zero" : ""}`}
                        style={`--share: ${(100 * cell.share).toFixed(1)}%`}
                        aria-hidden={cell.figure === "" ? "true" : undefined}
                      >
                        {cell.tone === "bar" ? <span /> : cell.figure}
                      </td>
                    )
                    : (
                      <td key={j} class={of && CLASSES[of]}>
                        <Content cell={cell} />
                      </td>
                    );
                })}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </figure>
  );
}

type Measured = Extract<Cell, { figure: string }>;

const measured = (cell: Cell): cell is Measured =>
  typeof cell === "object" && !Array.isArray(cell) && "figure" in cell;

function Content({ cell }: { cell: Cell }): VNode {
  if (measured(cell)) return <>{cell.figure}</>;
  if (typeof cell === "object" && "lines" in cell) {
    return (
      <>
        {cell.lines.map((line, i) => (
          <div key={i}>
            <Text line={line} />
          </div>
        ))}
      </>
    );
  }
  return <Text line={cell} />;
}

function Lines({ lines }: { lines: readonly Line[] }): VNode {
  return (
    <>
      {lines.map((line, i) => (
        <>
          {i > 0 && <br />}
          <Text key={i} line={line} />
        </>
      ))}
    </>
  );
}

function Text({ line }: { line: Line }): VNode {
  const pieces: ComponentChildren[] = piecesOf(line).map((piece, i) => {
    if (typeof piece === "string") return piece;
    const words = wordsOf(piece);
    if ("code" in piece) return <code key={i}>{words}</code>;
    if ("muted" in piece) return <span key={i} class="muted">{words}</span>;
    if ("strong" in piece) return <strong key={i}>{words}</strong>;
    return <a key={i} href={piece.href}>{words}</a>;
  });
  return <>{pieces}</>;
}

/** The plot twice, for wide and for narrow windows. */
function Figure({ title, plot, legend = plot.series, summary }: FigureBlock): VNode {
  const caption = `${plot.id}-caption`;
  return (
    <figure>
      <h3>{title}</h3>
      {legend.length > 1 && (
        <ul class="legend">
          {legend.map(({ name, color, dashed, dots }) => (
            <li
              key={name}
              class={dots ? "dots" : dashed ? "dashed" : ""}
              style={`--color: var(${color})`}
            >
              {name}
            </li>
          ))}
        </ul>
      )}
      <div class="plot" role="img" aria-label={`Plot: ${title}`} aria-describedby={caption}>
        <div class="wide">
          <Drawing plot={plot} width={540} height={300} />
        </div>
        <div class="narrow">
          <Drawing plot={plot} width={340} height={250} />
        </div>
      </div>
      <figcaption id={caption}>{summary}</figcaption>
    </figure>
  );
}
