/** A report as Markdown, for a pull request: everything but the drawings and the images. */
import { printable } from "../../text/mod.ts";
import { type Block, type Cell, type Line, piecesOf, type Report, wordsOf } from "./blocks.ts";

/**
 * The whole report, in GitHub's form of Markdown.
 *
 * @param report What it says; its text is escaped.
 */
export function renderMarkdown({ title, head, body }: Report): string {
  return [`# ${escape(title)}`, ...[...head, ...body].map(markdownOf)]
    .filter((text) => text !== "").join("\n\n") + "\n";
}

function markdownOf(block: Block): string {
  switch (block.kind) {
    case "heading":
      return `${"#".repeat(block.level)} ${escape(block.text)}`;
    case "text":
      return lineOf(block.text);
    case "notice":
      return `> **${escape(block.subject)}** ${escape(block.text)}`;
    case "list":
      return block.items.map((item) => `${block.ordered ? "1." : "-"} ${lineOf(item)}`).join("\n");
    case "result":
      return [`**${escape(block.figure)}** ${escape(block.text)}`, escape(block.note ?? "")]
        .filter(Boolean).join("\n\n");
    case "facts":
      return block.facts.map(([name, value]) => `- ${escape(name)}: ${lineOf(value)}`).join("\n");
    case "fields":
      return block.fields.map(({ name, value }) =>
        `- <code>${escape(name)}</code>: ${escape(value)}`
      )
        .join("\n");
    case "images":
      return "";
    case "judgements":
      return block.judgements.map(({ outcome, id, lines }) =>
        `- **${escape(outcome)}** ${id ? `<code>${escape(id)}</code> ` : ""}${
          lines.map(lineOf).join(" ")
        }`
      ).join("\n");
    case "folded":
      return [`**${escape(block.summary)}**`, ...block.blocks.map(markdownOf)]
        .filter((text) => text !== "").join("\n\n");
    case "network":
    case "figure":
      return `**${escape(block.title)}** (drawn in report.html). ${escape(block.summary)}`;
    case "table": {
      const row = (cells: readonly string[]) => `| ${cells.join(" | ")} |`;
      return [
        `${escape(block.caption.replace(/\.$/, ""))}:`,
        "",
        row(block.columns.map(({ title }) => escape(title))),
        row(block.columns.map(({ of }) => of === "numbers" ? "---:" : "---")),
        ...block.rows.map((cells) => row(cells.map(cellOf))),
      ].join("\n");
    }
  }
}

function cellOf(cell: Cell): string {
  if (typeof cell === "object" && "figure" in cell) return escape(cell.figure);
  if (typeof cell === "object" && "lines" in cell) return cell.lines.map(lineOf).join("<br>");
  return lineOf(cell);
}

function lineOf(line: Line): string {
  return piecesOf(line).map((piece) => {
    const words = escape(wordsOf(piece));
    if (typeof piece === "string" || "muted" in piece) return words;
    if ("code" in piece) return `<code>${words}</code>`;
    if ("strong" in piece) return `**${words}**`;
    return `[${words}](<${piece.href.replace(/[<>\\\s]/g, encodeURIComponent)}>)`;
  }).join("");
}

/** Free text of a log must neither become markup nor end a table's row. */
function escape(text: string): string {
  return printable(text)
    .replace(/&/g, "&amp;")
    .replace(/</g, "&lt;")
    .replace(/[\\`*_[\]|#>~]/g, "\\$&")
    .replace(/\s+/g, " ");
}
