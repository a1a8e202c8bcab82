/** Causes that a graph shows: what is known to go wrong with networks, by its name. */
import { consumersOf, type Graph, type Node, nodeOf, ofKind, shapeOf } from "../resnet/mod.ts";
import type { Cause } from "./causes.ts";

/**
 * Names what leaves the paper in a network whose operations are known.
 *
 * @param graph Under any names.
 * @returns What was seen, in no order.
 */
export function causesIn(graph: Graph): Cause[] {
  return [
    ...headCauses(graph),
    ...orderCauses(graph),
    ...shortcutCauses(graph),
    ...formCauses(graph),
  ];
}

const some = (names: readonly string[]) =>
  names.slice(0, 3).join(", ") + (names.length > 3 ? ` and ${names.length - 3} more` : "");

function headCauses(graph: Graph): Cause[] {
  const causes: Cause[] = [];
  const last = nodeOf(graph, graph.output);
  if (last?.kind === "relu") {
    causes.push({ id: "relu-at-end", evidence: `${last.name} follows ${last.input}` });
  }
  const dense = ofKind(graph, "dense");
  const units = dense.at(-1)?.units;
  if (units !== undefined && units !== 10) {
    causes.push({ id: "classes", evidence: `the last layer has ${units} outputs, not 10` });
  }
  if (dense.length > 1) {
    causes.push({
      id: "hidden-dense",
      evidence: `${dense.length} dense layers follow each other: ${
        some(dense.map(({ name }) => name))
      }`,
    });
  }
  return causes;
}

/** Where batch norm and ReLU stand to the convolutions and additions. */
function orderCauses(graph: Graph): Cause[] {
  const causes: Cause[] = [];
  const add = (nodes: readonly Node[], id: Cause["id"], what: (names: string) => string) => {
    if (nodes.length > 0) causes.push({ id, evidence: what(some(nodes.map(({ name }) => name))) });
  };
  const kindOf = (name: string) => nodeOf(graph, name)?.kind;
  const convolutions = ofKind(graph, "convolution");
  const norms = ofKind(graph, "batch-norm");
  const adds = ofKind(graph, "add");
  const next = (name: string) => consumersOf(graph, name);

  const before = convolutions.filter(({ input }) =>
    kindOf(input) === "relu" && kindOf(inputOf(graph, input)) === "batch-norm" &&
    kindOf(inputOf(graph, inputOf(graph, input))) === "add" &&
    // The sum itself goes on as the next shortcut; behind a batch norm of sums it would not.
    next(inputOf(graph, inputOf(graph, input))).length > 1
  );
  // Behind an addition: batch norm, ReLU, and then the convolution.
  if (adds.length > 1 && before.length >= adds.length - 1 && before.length > 0) {
    return [{
      id: "pre-activation",
      evidence: `batch norm and ReLU stand before the convolutions: ${
        some(before.map(({ name }) => name))
      }`,
    }];
  }

  add(
    norms.filter(({ input }) => kindOf(input) === "add"),
    "batch-norm-after-addition",
    (names) => `${names} normalise the sum`,
  );
  add(
    norms.filter(({ input }) => kindOf(input) === "relu"),
    "batch-norm-after-relu",
    (names) => `${names} normalise the output of a ReLU`,
  );
  const late = adds.filter(({ name }) => {
    const consumers = next(name);
    const behind = consumers.length === 1 && consumers[0].kind === "batch-norm"
      ? next(consumers[0].name)
      : consumers;
    return !(behind.length === 1 && behind[0].kind === "relu");
  });
  const early = adds.filter(({ inputs }) => kindOf(inputs[0]) === "relu");
  add(early, "relu-before-addition", (names) => `the branch to ${names} ends with a ReLU`);
  if (early.length === 0) {
    add(
      late,
      "relu-missing-after-addition",
      (names) =>
        `no ReLU follows ${names}${
          late.length === adds.length
            ? ", which is every addition"
            : ` (of ${adds.length} additions)`
        }`,
    );
  }
  const bare = convolutions.filter(({ name }) => {
    if (next(name).some(({ kind }) => kind === "batch-norm")) return false;
    // What is normalised later is said above.
    return !next(name).flatMap((node) => next(node.name))
      .some(({ kind }) => kind === "batch-norm");
  });
  const projections = bare.filter(({ kernel }) => kernel === 1);
  const layers = bare.filter(({ kernel }) => kernel > 1);
  if (layers.length > 0 || norms.length > 0) {
    add(
      layers,
      "batch-norm-missing",
      (names) =>
        `no batch norm follows ${names} (${layers.length} of ${convolutions.length} convolutions)`,
    );
    add(
      projections,
      "projection-without-batch-norm",
      (names) => `no batch norm follows ${names}`,
    );
  }
  const linear = convolutions.filter(({ name }) => {
    const [consumer] = next(name);
    const behind = consumer?.kind === "batch-norm" ? next(consumer.name) : next(name);
    return behind.length > 0 && behind.every(({ kind }) => kind === "convolution");
  });
  const [stem] = convolutions;
  const ofStem = convolutions.length > 0 ? behindNorm(graph, stem.name) : [];
  const stemIsLinear = ofStem.length > 0 && ofStem.every(({ kind }) => kind !== "relu") &&
    !ofStem.some(({ kind }) => kind === "max-pool");
  if (stemIsLinear) {
    add([stem], "relu-missing-stem", (names) => `no ReLU follows ${names}`);
  }
  add(
    linear.filter((node) => !(stemIsLinear && node === stem)),
    "relu-missing",
    (names) => `no ReLU stands behind ${names}`,
  );
  return causes;
}

/** What takes a convolution's output, or its batch norm's. */
function behindNorm(graph: Graph, name: string): readonly Node[] {
  const consumers = consumersOf(graph, name);
  return consumers.length === 1 && consumers[0].kind === "batch-norm"
    ? consumersOf(graph, consumers[0].name)
    : consumers;
}

function inputOf(graph: Graph, name: string): string {
  const node = nodeOf(graph, name);
  return node && node.kind !== "add" ? node.input : "";
}

/** An addition with what leads to it: both ways from where they part, the last node first. */
interface Sum {
  readonly add: string;
  readonly branch: readonly Node[];
  readonly shortcut: readonly Node[];
}

function sumsOf(graph: Graph): Sum[] {
  const wayTo = (name: string) => {
    const nodes: Node[] = [];
    for (let node = nodeOf(graph, name); node; node = nodeOf(graph, inputOf(graph, node.name))) {
      nodes.push(node);
    }
    return nodes;
  };
  return ofKind(graph, "add").map(({ name: add, inputs }) => {
    const [branch, shortcut] = inputs.map(wayTo);
    return {
      add,
      branch: branch.filter((node) => !shortcut.includes(node)),
      shortcut: shortcut.filter((node) => !branch.includes(node)),
    };
  });
}

function shortcutCauses(graph: Graph): Cause[] {
  const causes: Cause[] = [];
  const cause = (found: readonly string[], id: Cause["id"], what: (names: string) => string) => {
    if (found.length > 0) causes.push({ id, evidence: what(some(found)) });
  };
  const sums = sumsOf(graph);
  const layersOf = (nodes: readonly Node[]) =>
    nodes.filter((node) => node.kind === "convolution").toReversed();
  const onShortcut = (kind: Node["kind"]) =>
    sums.flatMap(({ shortcut }) => shortcut.filter((node) => node.kind === kind));
  const projections = onShortcut("convolution").map(({ name }) => name);
  cause(
    projections,
    "projection",
    (names) => `${projections.length} shortcuts have a convolution: ${names}`,
  );
  const pools = onShortcut("max-pool").map(({ name }) => name);
  cause(pools, "max-pooled-shortcut", (names) => `${names} pool the shortcut`);
  cause(
    sums.filter(({ branch }) => layersOf(branch).length === 1).map(({ add }) => add),
    "shortcut-around-one",
    (names) => `the branch to ${names} has a single layer`,
  );
  cause(
    sums.flatMap(({ branch }) => {
      const [first, second, ...more] = layersOf(branch);
      return second && more.length === 0 && first.stride === 1 && second.stride > 1
        ? [second.name]
        : [];
    }),
    "stride-at-second",
    (names) => `${names} have stride 2, and the convolutions before them stride 1`,
  );
  const covered = new Set(
    sums.flatMap(({ branch, shortcut }) => [...branch, ...shortcut].map(({ name }) => name)),
  );
  const [stem, ...layers] = ofKind(graph, "convolution");
  cause(
    sums.length === 0
      ? []
      : layers.filter((node) =>
        !covered.has(node.name) && node.filters !== channelsInto(graph, node.input)
      ).map(({ name }) => name),
    "shortcut-missing",
    (names) => `no shortcut leads around ${names}, where the shape changes`,
  );
  const ofStem = stem === undefined
    ? []
    : [...behindNorm(graph, stem.name)].flatMap((node) => [node, ...consumersOf(graph, node.name)]);
  cause(
    ofKind(graph, "max-pool").filter((node) => !covered.has(node.name) && !ofStem.includes(node))
      .map(({ name }) => name),
    "max-pooled-stages",
    (names) => `${names} pool within the net`,
  );
  return causes;
}

/** The channels of a node's output, or of the image. */
function channelsInto(graph: Graph, name: string): number | undefined {
  return shapeOf(graph, name).at(-1);
}

function formCauses(graph: Graph): Cause[] {
  const causes: Cause[] = [];
  const convolutions = ofKind(graph, "convolution");
  const [stem] = convolutions;
  const small = convolutions.filter(({ kernel }) => kernel === 1).length;
  const large = convolutions.filter(({ kernel }) => kernel > 1).length;
  if (small >= 1.5 * (large - 1) && large > 1) {
    causes.push({
      id: "bottleneck",
      evidence: `${small} of ${convolutions.length} convolutions are 1x1`,
    });
  }
  if (!stem) return causes;
  const pool = behindNorm(graph, stem.name).flatMap(({ name }) => consumersOf(graph, name))
    .concat(behindNorm(graph, stem.name))
    .find(({ kind }) => kind === "max-pool");
  if (stem.kernel === 7) {
    causes.push({
      id: "stem-7x7",
      evidence: `${stem.name} is 7x7, stride ${stem.stride}${
        pool ? `, and ${pool.name} pools behind it` : ""
      }: ${shapeOf(graph, pool?.name ?? stem.name).slice(0, 2).join("x")} pixels remain`,
    });
  } else if (pool) {
    causes.push({ id: "pooled-stem", evidence: `${pool.name} pools behind ${stem.name}` });
  } else if (stem.kernel !== 3) {
    causes.push({
      id: "stem-kernel",
      evidence: `${stem.name} is ${stem.kernel}x${stem.kernel}, stride ${stem.stride}`,
    });
  } else if (stem.padding !== 1) {
    causes.push({
      id: "stem-padding",
      evidence: `${stem.name} is padded by ${stem.padding}: its maps are ${
        stem.shape.slice(0, 2).join("x")
      }`,
    });
  }
  const [height, width] = graph.inputShape;
  if (height !== 32 || width !== 32) {
    causes.push({ id: "image-size", evidence: `the images are ${height}x${width}` });
  }
  const widths: { filters: number; layers: number }[] = [];
  for (const node of convolutions) {
    if (node.kernel === 1 || node === stem) continue;
    const last = widths.at(-1);
    if (last?.filters === node.filters) last.layers++;
    else widths.push({ filters: node.filters, layers: 1 });
  }
  const filters = widths.map((stage) => stage.filters);
  const layers = widths.map((stage) => stage.layers);
  const seen = `${filters.join(", ")} filters in ${layers.join(", ")} layers`;
  if (filters.length !== 3) causes.push({ id: "stages", evidence: seen });
  else if (filters.join() !== "16,32,64") causes.push({ id: "widths", evidence: seen });
  else if (new Set(layers).size > 1) causes.push({ id: "blocks-per-stage", evidence: seen });
  if (stem.filters !== 16) {
    causes.push({ id: "stem-filters", evidence: `${stem.name} has ${stem.filters} filters` });
  }
  const channels = graph.inputShape[2];
  if (channels !== 3) {
    causes.push({ id: "image-channels", evidence: `the images have ${channels} channels, not 3` });
  }
  return causes;
}
