/** The report of a set as Markdown, for a pull request: everything but the drawings. */
import type { Block, Cell, SetDocument } from "./_set_content.ts";

/** The whole document, in GitHub's form of Markdown. */
export function renderSetMarkdown({ title, blocks }: SetDocument): string {
  return [`# ${escape(title)}`, ...blocks.map(markdownOf)].join("\n\n") + "\n";
}

function markdownOf(block: Block): string {
  switch (block.kind) {
    case "heading":
      return `${"#".repeat(block.level)} ${escape(block.text)}`;
    case "text":
      return escape(block.text);
    case "notice":
      return `> **${escape(block.subject)}** ${escape(block.text)}`;
    case "list":
      return block.items.map((item) => `- ${escape(item)}`).join("\n");
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
  if (typeof cell === "string") return escape(cell);
  if ("code" in cell) return `<code>${escape(cell.code)}</code>`;
  return `[${escape(cell.text)}](<${cell.href.replace(/[<>\\\s]/g, encodeURIComponent)}>)`;
}

/** Free text of a log must neither become markup nor end a table's row. */
function escape(text: string): string {
  return text
    .replace(/&/g, "&amp;")
    .replace(/</g, "&lt;")
    .replace(/[\\`*_[\]|#>~]/g, "\\$&")
    .replace(/\s+/g, " ");
}
