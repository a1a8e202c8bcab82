/**
 * What a report says, block by block, as data: of a run, of a set, of an audit.
 * The page, the Markdown and the text for a terminal show the same blocks; text
 * in them is plain, and whoever shows it escapes it.
 */
import type { DrawnNode } from "./network.tsx";
import type { Plot, Series } from "./plot.tsx";

/** A piece of a line: plain, as it is typed, a link, set back, or set off. */
export type Piece =
  | string
  | { readonly code: string }
  | { readonly text: string; readonly href: string }
  | { readonly muted: string }
  | { readonly strong: string };

/** One line of text. */
export type Line = Piece | readonly Piece[];

/** A table's cell: a line, several under each other, or a figure with a measure of its size. */
export type Cell =
  | Line
  | { readonly lines: readonly Line[] }
  | {
    /** What is shown. */
    readonly figure: string;
    /** How much of the cell is shaded, 0 to 1. */
    readonly share: number;
    /** What the shade means. */
    readonly tone: "right" | "wrong" | "bar";
  };

/** A column of a table: of words, of numbers, which stand to the right, or of whole sentences. */
export interface Column {
  /** At its head. */
  readonly title: string;
  /** Of words when undefined. */
  readonly of?: "numbers" | "sentences";
}

/** A table. */
export interface TableBlock {
  /** Tells the kinds of block apart. */
  readonly kind: "table";
  /** Unique in the report. */
  readonly id: string;
  /** What the rows are. */
  readonly caption: string;
  /** Classes of the style sheet. */
  readonly form?: string;
  /** The first names the rows. */
  readonly columns: readonly Column[];
  /** A cell a column. */
  readonly rows: readonly (readonly Cell[])[];
}

/** A drawing with its title, its legend, and what it shows in words. */
export interface FigureBlock {
  /** Tells the kinds of block apart. */
  readonly kind: "figure";
  /** Above it. */
  readonly title: string;
  /** What is drawn. */
  readonly plot: Plot;
  /** Lines that the legend names; all of the plot's when undefined. */
  readonly legend?: readonly Pick<Series, "name" | "color" | "dashed" | "dots">[];
  /** What the drawing shows, for readers who do not see it. */
  readonly summary: string;
}

/** A part of a report. */
export type Block =
  | { readonly kind: "heading"; readonly level: 2 | 3; readonly text: string }
  | { readonly kind: "text"; readonly text: Line; readonly muted?: boolean }
  | {
    readonly kind: "notice";
    readonly subject: string;
    readonly text: string;
    readonly tone?: "alert" | "calm";
  }
  | { readonly kind: "list"; readonly items: readonly Line[]; readonly ordered?: boolean }
  | {
    readonly kind: "result";
    readonly figure: string;
    readonly text: string;
    readonly note?: string;
  }
  | { readonly kind: "facts"; readonly facts: readonly (readonly [name: string, value: Line])[] }
  | {
    readonly kind: "fields";
    readonly fields: readonly {
      readonly name: string;
      readonly value: string;
      readonly departs: boolean;
    }[];
  }
  | {
    readonly kind: "images";
    /** Photographs, which are shown larger than images of a few pixels, and smooth. */
    readonly large?: boolean;
    readonly images: readonly {
      /** A data URL. */
      readonly source: string;
      /** What it shows, in words. */
      readonly alt: string;
      /** An image to compare it with, at its right. */
      readonly beside?: { readonly source: string; readonly alt: string };
      readonly lines: readonly Line[];
    }[];
  }
  | {
    readonly kind: "judgements";
    readonly judgements: readonly {
      readonly outcome: string;
      readonly fails?: boolean;
      readonly id?: string;
      readonly lines: readonly Line[];
    }[];
  }
  | { readonly kind: "folded"; readonly summary: string; readonly blocks: readonly Block[] }
  | {
    readonly kind: "network";
    readonly title: string;
    readonly nodes: readonly DrawnNode[];
    /** What the picture shows, for readers who do not see it. */
    readonly summary: string;
  }
  | TableBlock
  | FigureBlock;

/** A whole report. */
export interface Report {
  /** Above the title, small: what kind of report it is. */
  readonly eyebrow: string;
  /** Of the page and of the window. */
  readonly title: string;
  /** What one must know first: the result and what stands in its way. */
  readonly head: readonly Block[];
  /** Everything else, in order; level-2 headings are the contents. */
  readonly body: readonly Block[];
}

/** A place in a table where nothing is known. */
export const NONE = "–";

/** A heading; level 2 begins a section. */
export const heading = (level: 2 | 3, text: string): Block => ({ kind: "heading", level, text });
/** Something that must be known before any figure. */
export const notice = (subject: string, text: string, tone?: "alert" | "calm"): Block => ({
  ...{ kind: "notice", subject, text },
  ...(tone ? { tone } : {}),
});
/** A column of numbers. */
export const numbers = (title: string): Column => ({ title, of: "numbers" });
/** A column of whole sentences. */
export const sentences = (title: string): Column => ({ title, of: "sentences" });

/** A table; columns that are given by their title alone are of words. */
export function table(
  id: string,
  caption: string,
  columns: readonly (string | Column)[],
  rows: readonly (readonly Cell[])[],
  form?: string,
): TableBlock {
  const named = columns.map((column) => typeof column === "string" ? { title: column } : column);
  return { kind: "table", id, caption, columns: named, rows, ...(form ? { form } : {}) };
}

/** The line as its pieces. */
export function piecesOf(line: Line): readonly Piece[] {
  return Array.isArray(line) ? line as readonly Piece[] : [line as Piece];
}

/** What a piece says, without its form. */
export function wordsOf(piece: Piece): string {
  if (typeof piece === "string") return piece;
  if ("code" in piece) return piece.code;
  if ("muted" in piece) return piece.muted;
  return "strong" in piece ? piece.strong : piece.text;
}

/** A path as a relative address: a folder's name can hold anything. */
export const addressOf = (path: string): string =>
  path.split("/").map(encodeURIComponent).join("/");
