/** @jsxRuntime automatic */
/** @jsxImportSource preact */
/**
 * A network as a picture: one square a layer, a row for each size of the maps, what stands beside
 * the longest way (projections, other shortcuts) below it. Squares say at the pointer what they are.
 */
import type { VNode } from "preact";

/** A layer as it is drawn. */
export interface DrawnNode {
  /** Unique in the network. */
  readonly name: string;
  /** Its kind in a word, such as `convolution`; decides letter and colour. */
  readonly kind: string;
  /** Names of the layers that it takes; names that are none are the network's input. */
  readonly inputs: readonly string[];
  /** Of its output for one image. */
  readonly shape: readonly number[];
  /** What it breaks, in words; the layer is marked. */
  readonly breaks?: string;
}

/** Where a layer is drawn: from 0, in squares. */
export interface Place {
  /** Down: which size of the maps. */
  readonly row: number;
  /** To the right, within the row. */
  readonly column: number;
  /** 0 on the longest way, else below it. */
  readonly lane: 0 | 1;
}

/**
 * Places the layers of a network.
 *
 * @param nodes In an order in which every input comes before its use.
 * @returns A place a node, none the same.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { placed } from "./network.tsx";
 *
 * const places = placed([
 *   { name: "a", kind: "convolution", inputs: ["input"], shape: [8, 8, 4] },
 *   { name: "b", kind: "convolution", inputs: ["a"], shape: [4, 4, 8] },
 * ]);
 * assertEquals(places.get("b"), { row: 1, column: 0, lane: 0 });
 * ```
 */
export function placed(nodes: readonly DrawnNode[]): ReadonlyMap<string, Place> {
  const known = new Map(nodes.map((node) => [node.name, node]));
  const depths = new Map<string, number>();
  for (const { name, inputs } of nodes) {
    depths.set(name, 1 + Math.max(0, ...inputs.map((input) => depths.get(input) ?? 0)));
  }
  // The longest way, from its end.
  const way: DrawnNode[] = [];
  let at = nodes.toSorted((a, b) => depths.get(b.name)! - depths.get(a.name)!).at(0);
  while (at !== undefined) {
    way.unshift(at);
    const before: DrawnNode[] = at.inputs.flatMap((input) => known.get(input) ?? []);
    at = before.toSorted((a, b) => depths.get(b.name)! - depths.get(a.name)!).at(0);
  }
  const places = new Map<string, Place>();
  const starts: number[] = [];
  let row = -1, size = "";
  for (const { name, shape } of way) {
    // What has no maps any more stands behind the last that had.
    const own = shape.length === 3 ? shape.slice(0, 2).join() : size;
    const depth = depths.get(name)!;
    if (own !== size || row < 0) {
      row++;
      starts.push(depth);
      size = own;
    }
    places.set(name, { row, column: depth - starts[row], lane: 0 });
  }
  // A square for each of the others, at its depth or the next one that is free.
  const taken = new Set<string>();
  for (const { name } of nodes) {
    if (places.has(name)) continue;
    const depth = depths.get(name)!;
    const own = Math.max(0, starts.findLastIndex((start) => start <= depth));
    let column = depth - starts[own];
    while (taken.has(`${own},${column}`)) column++;
    taken.add(`${own},${column}`);
    places.set(name, { row: own, column, lane: 1 });
  }
  return places;
}

const LETTERS: Readonly<Record<string, readonly [letter: string, color: string]>> = {
  "convolution": ["C", "--line-1"],
  "batch-norm": ["N", "--line-3"],
  "relu": ["R", "--line-2"],
  "add": ["+", "--line-4"],
  "shortcut-a": ["A", "--line-5"],
  "max-pool": ["P", "--line-7"],
  "global-average-pool": ["G", "--line-7"],
  "dense": ["F", "--line-8"],
};

/** What the letters mean, of those that a network has. */
const WORDS: Readonly<Record<string, string>> = {
  "convolution": "convolution",
  "batch-norm": "batch normalisation",
  "relu": "ReLU",
  "add": "addition",
  "shortcut-a": "shortcut with zero channels",
  "max-pool": "max pooling",
  "global-average-pool": "global average pooling",
  "dense": "fully connected",
};

const SQUARE = 14, STEP = 20, ROW = 78, LEFT = 62, TOP = 30;

/** The letters of a network's kinds with their meaning, for the caption. */
export function letters(nodes: readonly DrawnNode[]): string {
  const kinds = [...new Set(nodes.map(({ kind }) => kind))];
  return kinds.map((kind) => `${LETTERS[kind]?.[0] ?? "?"} ${WORDS[kind] ?? kind}`).join(", ");
}

/** The picture; it scrolls where it is wider than the page. */
export function NetworkDrawing(
  { nodes, summary }: { nodes: readonly DrawnNode[]; summary: string },
): VNode {
  const places = placed(nodes);
  const all = [...places.values()];
  const width = LEFT + STEP * (1 + Math.max(...all.map(({ column }) => column)));
  const height = TOP + ROW * (1 + Math.max(...all.map(({ row }) => row))) - 22;
  const x = ({ column }: Place) => LEFT + STEP * column;
  const y = ({ row, lane }: Place) => TOP + ROW * row + 26 * lane;
  const rows = new Map<number, string>();
  for (const { name, shape } of nodes) {
    const { row, lane } = places.get(name)!;
    if (lane === 0 && shape.length === 3 && !rows.has(row)) {
      rows.set(row, `${shape[0]}x${shape[1]}`);
    }
  }
  return (
    <svg
      class="network"
      role="img"
      aria-label={summary}
      width={width}
      height={height}
      viewBox={`0 0 ${width} ${height}`}
    >
      {[...rows].map(([row, size]) => (
        <text key={row} x="0" y={TOP + ROW * row + 11} class="size">{size}</text>
      ))}
      {nodes.flatMap(({ name, inputs }) =>
        inputs.flatMap((input) => {
          const from = places.get(input);
          if (from === undefined) return [];
          const to = places.get(name)!;
          return [<path key={`${input}>${name}`} d={wayBetween(from, to)} />];
        })
      )}
      {nodes.map(({ name, kind, shape, breaks }) => {
        const place = places.get(name)!;
        const [letter, color] = LETTERS[kind] ?? ["?", "--muted"];
        return (
          <g key={name} class={breaks ? "breaks" : undefined}>
            <title>
              {`${name}: ${WORDS[kind] ?? kind}, ${shape.join("x")}${
                breaks ? `. Departs: ${breaks}` : ""
              }`}
            </title>
            <rect
              x={x(place)}
              y={y(place)}
              width={SQUARE}
              height={SQUARE}
              rx="2"
              style={`stroke: var(${color})`}
            />
            <text x={x(place) + SQUARE / 2} y={y(place) + 11}>{letter}</text>
          </g>
        );
      })}
    </svg>
  );

  /** A line to the next square, an arc over what a shortcut passes, an elbow to another row. */
  function wayBetween(from: Place, to: Place): string {
    const half = SQUARE / 2;
    const [startX, startY] = [x(from) + SQUARE, y(from) + half];
    const [endX, endY] = [x(to), y(to) + half];
    if (from.row !== to.row) {
      const middle = y({ ...from, lane: 0 }) + ROW - 24;
      return `M ${x(from) + half} ${y(from) + SQUARE} V ${middle} H ${x(to) + half} V ${y(to)}`;
    }
    if (from.lane !== to.lane) {
      return to.lane === 1
        ? `M ${x(from) + half} ${y(from) + SQUARE} V ${endY} H ${endX}`
        : `M ${startX} ${startY} H ${x(to) + half} V ${y(to) + SQUARE}`;
    }
    if (to.column - from.column <= 1) return `M ${startX} ${startY} H ${endX}`;
    const above = y(from) - 12;
    return `M ${x(from) + half} ${y(from)} C ${x(from) + half} ${above} ${x(to) + half} ${above} ${
      x(to) + half
    } ${y(to)}`;
  }
}
