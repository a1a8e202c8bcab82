/**
 * Random nets, written layer by layer from the paper's words and not by `architecture`: right ones
 * in the many ways in which exporters and people write the same function, and wrong ones by one
 * change.
 */
import {
  buildGraph,
  type Graph,
  INPUT,
  inputsOf,
  type NodeSpec,
  type ZeroChannels,
} from "../../resnet/mod.ts";
import { ARCHITECTURE_RULES } from "../checklist.ts";
import { judge } from "../rule.ts";
import type { StaticSubject } from "../subject.ts";
import type { Draw, Drawn } from "./draw.ts";
import type { Kind } from "./trial.ts";

/** What one change breaks: the rules of which at least one must say so. */
const CHANGES = {
  "a 1x1 layer": ["stages", "parameters"],
  "a 5x5 layer": ["stages", "parameters"],
  "a 7x7 stem": ["stem"],
  "a stem of 32 filters": ["stem", "stages", "shortcuts", "parameters"],
  "a strided stem": ["stem", "subsampling"],
  "a wider inner layer": ["stages"],
  "a layer more": ["depth", "stages", "shortcuts"],
  "a block more in one stage": ["depth", "stages"],
  "a block less in one stage": ["depth", "stages"],
  "no batch normalisation behind a layer": ["batch-norm"],
  "batch normalisation behind the ReLU": ["batch-norm", "activation"],
  "batch normalisation twice": ["batch-norm"],
  "batch normalisation before the pooling": ["batch-norm"],
  "batch normalisation on a shortcut": ["batch-norm", "identity"],
  "no ReLU within a block": ["activation"],
  "no ReLU behind a block": ["activation"],
  "ReLU before the addition": ["activation"],
  "no ReLU behind the stem": ["activation"],
  "a bias in a convolution": ["no-bias"],
  "one shortcut less": ["shortcuts"],
  "a shortcut added twice": ["shortcuts", "activation"],
  "a shortcut around one layer": ["shortcuts", "activation", "batch-norm"],
  "a shortcut from the block before": ["shortcuts"],
  "a projection": ["identity"],
  "a projection of an identity": ["identity"],
  "a shortcut that pools": ["subsampling", "identity"],
  "max pooling": ["subsampling"],
  "max pooling of the same size": ["subsampling"],
  "a hidden layer": ["head", "depth"],
  "ReLU behind the last layer": ["head"],
  "100 outputs": ["head"],
  "smaller images": ["input"],
  "one channel": ["input"],
  "the name of another depth": ["depth"],
  "a shortcut in a plain net": ["shortcuts"],
  "subsampling by 4": ["subsampling", "stages"],
} as const;

type Change = keyof typeof CHANGES;

/** Changes that a plain net has no place for. */
const OF_SHORTCUTS: readonly Change[] = [
  "batch normalisation on a shortcut",
  "ReLU before the addition",
  "one shortcut less",
  "a shortcut added twice",
  "a shortcut around one layer",
  "a shortcut from the block before",
  "a projection",
  "a projection of an identity",
  "a shortcut that pools",
];

/** How a right net may be written, besides the order of its nodes. */
interface Style {
  readonly zeroChannels: ZeroChannels;
  /** How often a rewriting that changes nothing is done where it can be. */
  readonly often: number;
  readonly names: (kind: string, place: number) => string;
}

/** Random nets. */
export const NETS: Kind<StaticSubject> = {
  name: "nets",
  draw: drawNet,
  breaks: Object.values(CHANGES).flat(),
  judge: (subject) => judge(ARCHITECTURE_RULES, subject),
};

function drawNet(draw: Draw, right: boolean): Drawn<StaticSubject> {
  const n = draw.chance(0.05) ? 18 : draw.from(1, 9);
  let plain = draw.chance(0.3);
  let change: Change | undefined;
  if (!right) {
    const all = Object.keys(CHANGES) as Change[];
    change = draw.pick(
      all.filter((one) => !(n === 1 && one === "a shortcut from the block before")),
    );
    if (OF_SHORTCUTS.includes(change)) plain = false;
    if (change === "a shortcut in a plain net" || change === "a stem of 32 filters") plain = true;
    // The one shortcut of an identity would be none.
    if (n === 1 && change === "a block less in one stage") change = "a block more in one stage";
  }
  const style: Style = {
    zeroChannels: draw.pick(["append", "split"]),
    often: draw.pick([0, 0.2, 0.5, 1]),
    names: draw.pick([
      (_, place) => `node_${place}`,
      (kind, place) => `${kind}_${place}`,
      (kind, place) => `/layers/${place}/${kind}`,
      (_, place) => `t${(place * 7919) % 100_003}`,
    ]),
  };
  const depth = 6 * n + 2;
  const said = change === "the name of another depth" ? depth + draw.pick([-6, -2, 1, 6]) : depth;
  const form = plain ? "plain" : "resnet";
  const silent = ["net", "torch-jit-export", "main_graph", "model_32x32", "v2", ""];
  // A name that says nothing says nothing wrong.
  const spoken = [
    `${form}${said}`,
    `cifar10-${form}${said}`,
    `${form}_v1_${said}`,
    `${plain ? "Plain" : "ResNet"}-${said}`,
    `my_${form}-${said}.best`,
  ];
  const speaks = change === "the name of another depth" ||
    change === "one shortcut less" || change === "a shortcut in a plain net";
  const name = draw.pick(speaks ? spoken : [...spoken, ...silent]) || "graph";
  const graph = writeNet(draw, { n, plain, style, change, name });
  const what = change ??
    `${plain ? "plain" : "residual"}, rewritten ${
      style.often === 0 ? "in its order alone" : "at places"
    }`;
  return { what, subject: { graph }, by: change ? CHANGES[change] : [] };
}

function writeNet(
  draw: Draw,
  { n, plain, style, change, name }: {
    n: number;
    plain: boolean;
    style: Style;
    change?: Change;
    name: string;
  },
): Graph {
  const nodes: NodeSpec[] = [];
  const channels = new Map<string, number>();
  const put = (spec: Record<string, unknown> & { kind: NodeSpec["kind"] }, filters: number) => {
    const own = style.names(spec.kind, nodes.length);
    nodes.push({ ...spec, name: own } as NodeSpec);
    channels.set(own, filters);
    return own;
  };
  const width = (input: string) => channels.get(input)!;
  const now = () => draw.chance(style.often);
  const convolution = (input: string, filters: number, stride = 1, kernel = 3) =>
    put({
      ...{ kind: "convolution", input, filters, stride, kernel },
      ...{ padding: (kernel - 1) / 2, bias: false },
    }, filters);
  const norm = (input: string) => put({ kind: "batch-norm", input }, width(input));
  const relu = (input: string) => {
    let output = put({ kind: "relu", input }, width(input));
    while (now() && draw.chance(0.5)) output = put({ kind: "relu", input: output }, width(input));
    return output;
  };
  const window = (input: string, stride: number) =>
    put({ kind: "max-pool", input, kernel: 1, stride, padding: 0 }, width(input));
  const zeros = (input: string, filters: number, stride: number) =>
    put({
      ...{ kind: "shortcut-a", input, filters, stride, zeroChannels: style.zeroChannels },
    }, filters);
  const add = (a: string, b: string) =>
    put({ kind: "add", inputs: draw.chance(0.5) ? [a, b] : [b, a] }, width(a));
  /** Hands on what it gets, which is the output of a ReLU. */
  const idle = (input: string): string => {
    let output = input;
    while (now() && draw.chance(0.6)) {
      output = draw.pick([
        () => window(output, 1),
        () => zeros(output, width(output), 1),
        () => put({ kind: "relu", input: output }, width(output)),
      ])();
    }
    return output;
  };
  /** Option A, in one step or in two. */
  const optionA = (input: string, filters: number) => {
    if (!now()) return zeros(input, filters, 2);
    return draw.pick([
      () => zeros(window(input, 2), filters, 1),
      () => window(zeros(input, filters, 1), 2),
      () => idle(zeros(idle(input), filters, 2)),
    ])();
  };

  // The block before must have the same shape.
  const block = change === "a shortcut from the block before"
    ? draw.pick(
      [...Array(3 * n).keys()].filter((at) => at % n > 1 || (at < n && at > 0)),
    )
    : draw.below(3 * n);
  const stageOf = Math.floor(block / n);
  const inner = draw.chance(0.5);
  /** Whether the change is made in this block. */
  const here = (at: number, ...changes: Change[]) =>
    at === block && change !== undefined && changes.includes(change);
  const kernel = change === "a 1x1 layer" ? 1 : change === "a 5x5 layer" ? 5 : 3;

  let x: string = INPUT;
  channels.set(INPUT, 3);
  x = convolution(
    x,
    change === "a stem of 32 filters" ? 32 : 16,
    change === "a strided stem" ? 2 : 1,
    change === "a 7x7 stem" ? 7 : 3,
  );
  x = norm(x);
  if (change !== "no ReLU behind the stem") x = relu(x);
  if (change === "max pooling") {
    x = put({ kind: "max-pool", input: x, kernel: 3, stride: 2, padding: 1 }, 16);
  }
  if (change === "max pooling of the same size") {
    x = put({ kind: "max-pool", input: x, kernel: 3, stride: 1, padding: 1 }, 16);
  }
  let before = x, at = 0;
  for (let stage = 0; stage < 3; stage++) {
    const filters = [16, 32, 64][stage];
    let blocks = n;
    if (stage === stageOf && change === "a block more in one stage") blocks++;
    if (stage === stageOf && change === "a block less in one stage") blocks--;
    for (let b = 0; b < blocks; b++, at++) {
      const source = x;
      const strided = b === 0 && stage > 0;
      const stride = strided ? change === "subsampling by 4" && stage === 2 ? 4 : 2 : 1;
      const odd = here(at, "a 1x1 layer", "a 5x5 layer") ? kernel : 3;
      const wide = here(at, "a wider inner layer") ? filters + 8 : filters;
      x = convolution(x, wide, stride, inner ? odd : 3);
      if (here(at, "a bias in a convolution")) {
        nodes[nodes.length - 1] = { ...nodes[nodes.length - 1], bias: true } as NodeSpec;
      }
      if (here(at, "batch normalisation behind the ReLU")) x = norm(relu(x));
      else {
        if (!(inner && here(at, "no batch normalisation behind a layer"))) x = norm(x);
        if (here(at, "batch normalisation twice")) x = norm(x);
        if (!here(at, "no ReLU within a block")) x = relu(x);
      }
      if (here(at, "a layer more")) x = relu(norm(convolution(x, filters)));
      if (here(at, "a shortcut around one layer")) {
        const kept = x;
        x = norm(convolution(x, filters));
        x = relu(add(x, kept));
      }
      x = convolution(x, filters, 1, inner ? 3 : odd);
      if (inner || !here(at, "no batch normalisation behind a layer")) x = norm(x);
      const joined = plain ? here(at, "a shortcut in a plain net") : !here(at, "one shortcut less");
      if (joined) {
        const from = here(at, "a shortcut from the block before") ? before : source;
        let shortcut: string;
        const changes = width(from) !== filters || strided;
        if (here(at, "a projection of an identity") || (changes && change === "a projection")) {
          shortcut = norm(convolution(from, filters, stride, 1));
        } else if (changes && change === "a shortcut that pools") {
          shortcut = zeros(
            put({ kind: "max-pool", input: from, kernel: 2, stride: 2, padding: 0 }, width(from)),
            filters,
            1,
          );
        } else if (changes && stride === 4) shortcut = zeros(from, filters, 4);
        else if (strided) shortcut = optionA(from, filters);
        else if (changes) shortcut = zeros(from, filters, 1);
        else shortcut = idle(from);
        if (here(at, "batch normalisation on a shortcut")) shortcut = norm(shortcut);
        if (here(at, "ReLU before the addition")) x = relu(x);
        x = add(x, shortcut);
        if (here(at, "a shortcut added twice")) x = add(x, shortcut);
      }
      if (!here(at, "no ReLU behind a block", "ReLU before the addition")) x = relu(x);
      before = source;
    }
  }
  if (change === "batch normalisation before the pooling") x = norm(x);
  x = put({ kind: "global-average-pool", input: x }, 64);
  if (change === "a hidden layer") x = put({ kind: "dense", input: x, units: 64 }, 64);
  x = put({ kind: "dense", input: x, units: change === "100 outputs" ? 100 : 10 }, 10);
  if (change === "ReLU behind the last layer") x = put({ kind: "relu", input: x }, 10);
  const size = change === "smaller images" ? 28 : 32;
  return buildGraph(name, [size, size, change === "one channel" ? 1 : 3], ordered(draw, nodes, x));
}

/** The nodes in a random order in which each comes behind what it takes, the output last. */
function ordered(draw: Draw, nodes: readonly NodeSpec[], output: string): NodeSpec[] {
  const random = draw.chance(0.7);
  const left = [...nodes], done = new Set<string>([INPUT]), order: NodeSpec[] = [];
  while (left.length > 0) {
    const ready = left.filter((node) =>
      inputsOf(node).every((input) => done.has(input)) &&
      (left.length === 1 || node.name !== output)
    );
    const node = random ? draw.pick(ready) : ready[0];
    left.splice(left.indexOf(node), 1);
    order.push(node);
    done.add(node.name);
  }
  return order;
}
