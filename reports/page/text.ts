/** A report as text for a terminal: the same blocks, without drawings and images. */
import {
  type Block,
  type Cell,
  type Line,
  NONE,
  piecesOf,
  type Report,
  wordsOf,
} from "./blocks.ts";

/**
 * The whole report as lines.
 *
 * @param report What it says.
 * @returns Lines without a line feed at the end.
 */
export function renderText({ eyebrow, title, head, body }: Report): string {
  const blocks = [...head, ...body].map(textOf).filter((text) => text !== "");
  return [`${title} (${eyebrow})`, ...blocks].join("\n\n");
}

function textOf(block: Block): string {
  switch (block.kind) {
    case "heading":
      return block.level === 2 ? block.text.toUpperCase() : block.text;
    case "text":
      return lineOf(block.text);
    case "notice":
      return [block.subject, block.text].filter(Boolean).join(" ");
    case "list":
      return block.items.map((item, i) => `${block.ordered ? `${i + 1}.` : "-"} ${lineOf(item)}`)
        .join("\n");
    case "result":
      return `${block.figure} ${block.text}`;
    case "facts":
      return block.facts.map(([name, value]) => `${name}: ${lineOf(value)}`).join("\n");
    case "fields":
      return block.fields.map(({ name, value }) => `${name}: ${value}`).join("\n");
    case "images":
      return "";
    case "network":
    case "figure":
      return `${block.title}: ${block.summary}`;
    case "folded":
      return [block.summary, ...block.blocks.map(textOf)].filter(Boolean).join("\n\n");
    case "judgements":
      return block.judgements.map(({ outcome, fails, id, lines }) => {
        const [first, ...others] = lines.map(lineOf);
        const name = fails ? outcome.toUpperCase() : outcome.toLowerCase();
        return [`${name}${id ? ` ${id}` : ""}: ${first}`, ...others.map((line) => `     ${line}`)]
          .join("\n");
      }).join("\n");
    case "table":
      return [`${block.caption.replace(/[.:]$/, "")}:`, ...aligned(block)].join("\n");
  }
}

/** Columns under each other. */
function aligned(
  { columns, rows }: Extract<Block, { kind: "table" }>,
): string[] {
  const titled = columns.some(({ title }) => title !== "");
  const cells = [
    ...(titled ? [columns.map(({ title }) => title)] : []),
    ...rows.map((row) => row.map(cellOf)),
  ];
  const widths = columns.map((_, i) => Math.max(...cells.map((row) => row[i]?.length ?? 0)));
  return cells.map((row) => row.map((cell, i) => cell.padEnd(widths[i])).join("  ").trimEnd());
}

function cellOf(cell: Cell): string {
  if (typeof cell === "object" && "figure" in cell) return cell.figure || NONE;
  if (typeof cell === "object" && "lines" in cell) return cell.lines.map(lineOf).join("; ");
  return lineOf(cell);
}

const lineOf = (line: Line): string => piecesOf(line).map(wordsOf).join("");
