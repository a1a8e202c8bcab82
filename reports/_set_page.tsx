/** @jsxRuntime automatic */
/** @jsxImportSource preact */
/** The report of a set as one HTML page; JSX escapes whatever the logs say. */
import type { VNode } from "preact";
import { PlotFigure } from "./_plot_figure.tsx";
import type { Block, Cell, SetDocument } from "./_set_content.ts";
import { renderDocument, Table } from "./document.tsx";

const CLASSES = { numbers: "number", sentences: "sentences" } as const;

/** The whole page. */
export function renderSetPage({ title, blocks }: SetDocument): string {
  return renderDocument({
    title,
    children: (
      <>
        <header>
          <p class="eyebrow">Report of a set of runs</p>
          <h1>{title}</h1>
        </header>
        <main>{sideBySide(blocks)}</main>
      </>
    ),
  });
}

/** Figures that follow each other share a row where there is room. */
function sideBySide(blocks: readonly Block[]): VNode[] {
  const parts: VNode[] = [];
  for (let i = 0; i < blocks.length;) {
    const others = blocks.slice(i).findIndex(({ kind }) => kind !== "figure");
    const end = others > 0 ? i + others : others < 0 ? blocks.length : i + 1;
    const row = blocks.slice(i, end).map((block, j) => <Part key={i + j} block={block} />);
    parts.push(blocks[i].kind === "figure" ? <div key={i} class="columns">{row}</div> : row[0]);
    i = end;
  }
  return parts;
}

function Part({ block }: { block: Block }): VNode {
  switch (block.kind) {
    case "heading":
      return block.level === 2 ? <h2>{block.text}</h2> : <h3>{block.text}</h3>;
    case "text":
      return <p class={block.muted ? "muted" : ""}>{block.text}</p>;
    case "notice":
      return (
        <div class="notice">
          <p>
            <strong>{block.subject}</strong> {block.text}
          </p>
        </div>
      );
    case "list":
      return <ul>{block.items.map((item, i) => <li key={i}>{item}</li>)}</ul>;
    case "figure":
      return <PlotFigure {...block} />;
    case "table":
      return (
        <Table
          id={`${block.id}-caption`}
          class={`wide-table${block.columns.length > 2 ? " kinds" : ""}`}
          caption={block.caption}
        >
          <thead>
            <tr>
              {block.columns.map(({ title, of }) => (
                <th key={title} scope="col" class={of && CLASSES[of]}>{title}</th>
              ))}
            </tr>
          </thead>
          <tbody>
            {block.rows.map(([first, ...others], i) => (
              <tr key={i}>
                <th scope="row">
                  <Content cell={first} />
                </th>
                {others.map((cell, j) => {
                  const { of } = block.columns[j + 1];
                  return (
                    <td key={j} class={of && CLASSES[of]}>
                      <Content cell={cell} />
                    </td>
                  );
                })}
              </tr>
            ))}
          </tbody>
        </Table>
      );
  }
}

function Content({ cell }: { cell: Cell }): VNode {
  if (typeof cell === "string") return <>{cell}</>;
  return "code" in cell ? <code>{cell.code}</code> : <a href={cell.href}>{cell.text}</a>;
}
