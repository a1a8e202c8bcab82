/**
 * From the operations of an ONNX file to the nodes of our graph.
 *
 * Exporters write one layer as several operations: a padding before the
 * convolution, a bias behind it, option A's shortcut as a slice and a pad. So a
 * value may carry a change that is no node yet, until an operation takes it.
 */
import { calculate } from "./_onnx_constants.ts";
import { HANDLERS } from "./_onnx_operators.ts";
import type { OnnxFile, OnnxNode } from "./_onnx_format.ts";
import {
  Activation,
  type AffineChange,
  type Averaged,
  type Axis,
  CHANNELS_FIRST,
  CHANNELS_LAST,
  DEFAULT_EPSILON,
  describe,
  type InputTransform,
  isConstant,
  type OneSided,
  type OnnxDeparture,
  type OnnxDepartureId,
  type OnnxNote,
  type OnnxNoteId,
  type Operation,
  Unmappable,
  type Value,
  VECTOR,
  vector,
  type WithoutName,
} from "./_onnx_values.ts";
import { widen } from "./permute.ts";
import { quote } from "../text/mod.ts";
import {
  buildGraph,
  type Graph,
  GraphError,
  INPUT,
  inputsOf,
  isWeighted,
  type Node,
  type NodeSpec,
  parametersOf,
  type Shape,
  sizeOf,
  type Tensor,
  truncate,
  WeightFileError,
  withInputs,
} from "../resnet/mod.ts";
import type { NamedNetwork } from "./naming.ts";

/** Where a file leaves the size of the images open. */
const OPEN_SIZE = 32;
/** ResNet-34's weights, each in another order, take 85 MB. */
const MOST_BYTES = 160 * 1024 * 1024;

/** What came of a file: a network under names of its own, or what could not be mapped. */
export type Mapped = { readonly problems: readonly string[] } | {
  readonly network: NamedNetwork;
  /** See `OnnxModel.executable`. */
  readonly executable?: NamedNetwork;
  readonly notes: readonly OnnxNote[];
  readonly departures: readonly OnnxDeparture[];
  readonly inputTransform?: InputTransform;
  readonly epsilon?: number;
};

/**
 * Maps an output of a file and all that it needs: of several that of the last dense layer, else the
 * deepest.
 *
 * @throws {WeightFileError} If the file refers to values that it does not have.
 */
export function mapOnnx(file: OnnxFile): Mapped {
  return new Mapper(file).map();
}

class Mapper {
  readonly #file: OnnxFile;
  readonly #outputs: ReadonlySet<string>;
  readonly #values = new Map<string, Value>();
  readonly #specs = new Map<string, NodeSpec>();
  readonly #weights = new Map<string, Tensor>();
  readonly #shapes = new Map<string, Shape>();
  readonly #depths = new Map<string, number>([[INPUT, 0]]);
  readonly #fileData = new Set<Float32Array>();
  readonly #uses = new Map<string, number>();
  readonly #settled = new Map<Activation, Activation>();
  readonly #oneSided = new Map<string, OneSided>();
  readonly #withoutBias = new Set<string>();
  readonly #standIns = new Map<string, "activation" | "norm">();
  readonly #averaged = new Map<string, Averaged>();
  readonly #departures = new Map<OnnxDepartureId, string[]>();
  readonly #notes = new Map<OnnxNoteId, string[]>();
  readonly #problems: string[] = [];
  #inputShape: Shape = [];
  #inputTransform?: InputTransform;
  #epsilon?: number;
  #bytes = 0;

  constructor(file: OnnxFile) {
    this.#file = file;
    this.#outputs = new Set(file.outputs);
  }

  map(): Mapped {
    const { tensors, nodes, outputs } = this.#file;
    for (const tensor of tensors) this.#values.set(tensor.name, undefined);
    const stored = new Map(tensors.map((tensor) => [tensor.name, tensor]));
    this.#takeInput();
    for (const { inputs } of nodes) {
      for (const name of inputs) this.#uses.set(name, (this.#uses.get(name) ?? 0) + 1);
    }
    for (const node of nodes) {
      for (const name of node.inputs) {
        const tensor = stored.get(name);
        if (!tensor || this.#values.get(name) !== undefined) continue;
        const constant = tensor.read();
        if (constant.data instanceof Float32Array) this.#fileData.add(constant.data);
        this.#values.set(name, constant);
      }
      this.#mapNode(node);
    }
    if (outputs.length === 0) throw new WeightFileError("the ONNX graph has no output");
    const chosen = this.#chooseOutput(outputs);
    if (outputs.length > 1) {
      this.#note(
        "several-outputs",
        `${quote(chosen)} of ${outputs.slice(0, 8).map(quote).join(", ")}${
          outputs.length > 8 ? `, and ${outputs.length - 8} more,` : ""
        } is taken for the network's`,
      );
    }
    const output = this.#values.get(chosen);
    if (this.#problems.length === 0 && !(output instanceof Activation)) {
      this.#problems.push(`the output ${quote(chosen)} does not depend on the input`);
    }
    if (this.#problems.length > 0 || !(output instanceof Activation)) {
      return { problems: this.#problems };
    }
    return this.#finish(output);
  }

  /** Of several outputs the last dense layer's, else the deepest. */
  #chooseOutput(outputs: readonly string[]): string {
    const rank = (name: string) => {
      const value = this.#values.get(name);
      if (!(value instanceof Activation)) return -1;
      const { kind } = this.#specs.get(value.node) ?? {};
      return (this.#depths.get(value.node) ?? 0) + (kind === "dense" ? 0.5 : 0);
    };
    return outputs.reduce((best, name) => rank(name) > rank(best) ? name : best);
  }

  #finish(output: Activation): Mapped {
    try {
      const last = this.#settle(output);
      if (last.node === INPUT) throw new Unmappable("the output is the input itself");
      const network = this.#network("an ONNX file", last.node, [...this.#specs.values()]);
      this.#noteOnLayers(network.graph);
      this.#classifyAverages(network.graph);
      const executable = this.#departures.size > 0
        ? undefined
        : this.#oneSided.size > 0
        ? this.#network(
          "an ONNX file",
          last.node,
          [...this.#specs.values()].map((spec) => {
            const larger = this.#oneSided.get(spec.name);
            return larger && spec.kind === "convolution"
              ? { ...spec, kernel: larger.kernel, padding: larger.padding }
              : spec;
          }),
        )
        : network;
      return {
        network,
        executable,
        notes: [...this.#notes].map(([id, evidence]) => ({ id, evidence: summary(evidence) })),
        departures: [...this.#departures]
          .map(([id, evidence]) => ({ id, evidence: summary(evidence) })),
        inputTransform: this.#inputTransform,
        epsilon: network.graph.nodes.some((node) => node.kind === "batch-norm")
          ? this.#epsilon ?? DEFAULT_EPSILON
          : undefined,
      };
    } catch (error) {
      if (!(error instanceof Unmappable || error instanceof GraphError)) throw error;
      return { problems: [error.message] };
    }
  }

  #network(name: string, output: string, specs: readonly NodeSpec[]): NamedNetwork {
    const graph = truncate(buildGraph(name, this.#inputShape, specs), output);
    const weights = parametersOf(graph).map(({ name, shape }): [string, Tensor] => {
      const tensor = this.#weights.get(name)!;
      const larger = this.#oneSided.get(name.slice(0, -".weight".length));
      if (larger && shape[3] > tensor.shape[3]) this.#charge(4 * sizeOf(shape));
      const enlarged = larger && shape[3] > tensor.shape[3]
        ? widen(tensor, larger.kernel, larger.offset)
        : tensor;
      if (enlarged.shape.join() !== shape.join()) {
        throw new Unmappable(
          `an array of ${name} has the shape [${tensor.shape.join(", ")}] where [${
            shape.join(", ")
          }] is needed`,
        );
      }
      return [name, enlarged];
    });
    return { graph: { ...graph, name }, weights: new Map(weights) };
  }

  #noteOnLayers(graph: Graph): void {
    const normalised = new Set(
      graph.nodes.flatMap((node) => node.kind === "batch-norm" ? [node.input] : []),
    );
    const convolutions = graph.nodes.filter((node) => node.kind === "convolution");
    const folded = convolutions.filter(({ name, bias }) => bias && !normalised.has(name));
    if (folded.length > 0) {
      this.#note(
        "batch-norm-folded",
        `${folded.length} of ${convolutions.length} convolutions have a bias and no batch norm: the exporter folded it into them, or there was none`,
      );
    }
    for (const name of this.#withoutBias) {
      this.#note("dense-without-bias", `${name} has no bias, or one of zeros that was left out`);
    }
  }

  #takeInput(): void {
    // Older files list the weights among the inputs.
    const input = this.#file.inputs.find(({ name }) => !this.#values.has(name));
    if (!input) throw new WeightFileError("the ONNX graph has no input; export the whole model");
    const { name, shape } = input;
    if (shape.length !== 4) {
      throw new WeightFileError(
        `the input ${quote(name)} must be a batch of images with 4 axes, it has ${shape.length}`,
      );
    }
    const isChannels = (extent: number | undefined) => extent === 1 || extent === 3;
    const axes = !isChannels(shape[1]) && isChannels(shape[3]) ? CHANNELS_LAST : CHANNELS_FIRST;
    const extent = (axis: Axis) => shape[axes.indexOf(axis)];
    if (extent("H") === undefined || extent("W") === undefined) {
      this.#note(
        "input-size-open",
        `the file leaves the size of the images open; ${OPEN_SIZE}x${OPEN_SIZE} is taken`,
      );
    }
    this.#inputShape = [
      extent("H") ?? OPEN_SIZE,
      extent("W") ?? OPEN_SIZE,
      extent("C") ?? 3,
    ];
    // Larger images than any data set's would only take memory.
    if (sizeOf(this.#inputShape) > 2 ** 20) {
      throw new WeightFileError(`images of [${this.#inputShape.join(", ")}] are too large`);
    }
    this.#values.set(name, new Activation(INPUT, this.#inputShape, axes));
  }

  #mapNode(node: OnnxNode): void {
    const [output] = node.outputs;
    for (const name of node.outputs) this.#values.set(name, undefined);
    const inputs = node.inputs.map((name) => {
      if (name !== "" && !this.#values.has(name)) {
        throw new WeightFileError(
          `${describe(node)} takes ${quote(name)}, which no earlier operation of the file gives`,
        );
      }
      return this.#values.get(name);
    });
    try {
      const constants = inputs.map((value) => isConstant(value) ? value : undefined);
      const constant = node.domain === "" && (inputs.length === 0 || isConstant(inputs[0]))
        ? calculate(node, constants)
        : undefined;
      if (constant) {
        if (!constants.some((input) => input?.data === constant.data)) {
          this.#charge(8 * constant.data.length);
        }
        this.#values.set(output, constant);
        return;
      }
      const handler = node.domain === "" ? HANDLERS.get(node.operator) : undefined;
      if (!handler) throw new Unmappable("is no operation of a residual net");
      const known = node.inputs.every((name, i) => name === "" || inputs[i] !== undefined);
      if (!known) return;
      const value = handler(this.#operation(node, inputs));
      if (value instanceof Activation && value.change?.kind === "affine") {
        this.#charge(8 * value.change.scale.length);
      }
      this.#values.set(output, value);
    } catch (error) {
      if (!(error instanceof Unmappable || error instanceof GraphError)) throw error;
      this.#problems.push(`${describe(node)} ${error.message}`);
    }
  }

  #operation(node: OnnxNode, inputs: readonly Value[]): Operation {
    return {
      node,
      inputs,
      isLast: this.#outputs.has(node.outputs[0]),
      settle: (value) => this.#settle(value),
      emit: (spec, arrays) => this.#emit(spec, arrays),
      addBias: (value, shift) => this.#addBias(node.inputs[value], shift),
      depth: (name) => this.#depths.get(name)!,
      note: (id, evidence) => this.#note(id, evidence),
      departs: (id, evidence) => this.#depart(id, evidence),
      standIn: (name, as) => this.#standIns.set(name, as),
      standsFor: (name) => this.#standIns.get(name),
      inputOf: (name) => {
        const spec = this.#specs.get(name);
        return spec && spec.kind !== "add" ? spec.input : undefined;
      },
      kindOf: (name) => this.#specs.get(name)?.kind,
      epsilon: (epsilon) => this.#takeEpsilon(epsilon),
      oneSided: (name, window) => this.#oneSided.set(name, window),
      withoutBias: (name) => this.#withoutBias.add(name),
    };
  }

  /** Counts what is kept beside the file's own arrays: copies in another order, and results. */
  #charge(bytes: number): void {
    this.#bytes += bytes;
    if (this.#bytes > MOST_BYTES) {
      throw new WeightFileError(
        `an ONNX graph may compute ${MOST_BYTES} bytes from constants, and this one needs more; export the model with constant folding`,
      );
    }
  }

  #note(id: OnnxNoteId, evidence: string): void {
    const found = this.#notes.get(id);
    if (found) found.push(evidence);
    else this.#notes.set(id, [evidence]);
  }

  #depart(id: OnnxDepartureId, evidence: string): void {
    const found = this.#departures.get(id);
    if (found) found.push(evidence);
    else this.#departures.set(id, [evidence]);
  }

  /** Means of windows: on a shortcut, before the last layer, or within the network. */
  #classifyAverages(graph: Graph): void {
    const consumers = new Map<string, Node[]>();
    for (const node of graph.nodes) {
      for (const input of inputsOf(node)) {
        const others = consumers.get(input);
        if (others) others.push(node);
        else consumers.set(input, [node]);
      }
    }
    const names = new Set(graph.nodes.map(({ name }) => name));
    for (const [name, { evidence }] of this.#averaged) {
      if (!names.has(name)) continue;
      const next = consumers.get(name) ?? [];
      const onShortcut = next.every((node) =>
        (node.kind === "add" && node.inputs[1] === name) ||
        (node.kind === "convolution" && node.kernel === 1)
      );
      if (onShortcut) this.#depart("average-pooled-shortcut", evidence);
      else if (next.some(({ kind }) => kind === "global-average-pool")) {
        this.#depart("flattened-head", evidence);
      } else this.#depart("max-pooled-stages", evidence);
    }
  }

  #takeEpsilon(epsilon: number): void {
    // 1e-5 as a 32-bit float is not 1e-5.
    const rounded = Number(epsilon.toPrecision(6));
    this.#epsilon ??= rounded;
    if (this.#epsilon !== rounded) {
      throw new Unmappable(
        `has epsilon ${rounded} and others have ${this.#epsilon}; the graph has one for all`,
      );
    }
  }

  /** Turns what is still to be done to a value into a node. */
  #settle(value: Activation): Activation {
    if (!value.change) return value;
    const known = this.#settled.get(value);
    if (known) return known;
    const { node: input, axes, change } = value;
    let settled: Activation;
    switch (change.kind) {
      case "pad":
        throw new Unmappable("takes a padded image, which only a convolution may");
      case "pick": {
        if (change.rows !== change.columns) {
          throw new Unmappable("takes every second pixel along one axis alone");
        }
        const filters = value.shape[2] + change.before + change.after;
        const zeroChannels = change.before === 0 ? "append" : "split";
        settled = this.#emit(
          { kind: "shortcut-a", input, filters, stride: change.rows, zeroChannels },
          {},
        ).with({ axes });
        if (change.averaged) this.#averaged.set(settled.node, change.averaged);
        break;
      }
      case "affine":
        if (input === INPUT) {
          this.#takeInputTransform(change);
          settled = value.with({});
        } else settled = this.#affineNode(value, change).with({ axes });
    }
    this.#settled.set(value, settled);
    return settled;
  }

  #takeInputTransform({ scale, shift }: AffineChange): void {
    if (this.#inputTransform) {
      throw new Unmappable("takes the input after a second change of its values");
    }
    const size = sizeOf(this.#inputShape);
    const channels = this.#inputShape[2];
    const expand = (values: Float32Array) =>
      Float32Array.from(
        { length: size },
        (_, i) => values[values.length === 1 ? 0 : values.length === channels ? i % channels : i],
      );
    this.#inputTransform = { scale: expand(scale), shift: expand(shift) };
    this.#note(
      "preprocessing-inside",
      `the model multiplies its input by ${someOf(scale)} and adds ${someOf(shift)}`,
    );
  }

  #affineNode({ node: input, shape }: Activation, change: AffineChange): Activation {
    const channels = shape[shape.length - 1];
    const perChannel = (values: Float32Array) => {
      if (values.length !== 1 && values.length !== channels) {
        throw new Unmappable("changes each pixel by a number of its own");
      }
      return vector(
        Float32Array.from({ length: channels }, (_, i) => values[values.length === 1 ? 0 : i]),
      );
    };
    this.#note("affine-as-batch-norm", `a scale and a shift a channel behind ${input}`);
    return this.#emit({ kind: "batch-norm", input }, {
      weight: perChannel(change.scale),
      bias: perChannel(change.shift),
      running_mean: vector(new Float32Array(channels)),
      // With epsilon added this is 1.
      running_var: vector(
        new Float32Array(channels).fill(1 - (this.#epsilon ?? DEFAULT_EPSILON)),
      ),
    });
  }

  #emit(spec: WithoutName<NodeSpec>, arrays: Readonly<Record<string, Tensor>>): Activation {
    const name = `${spec.kind}${this.#specs.size}`;
    const named = { ...spec, name } as NodeSpec;
    const inputs = inputsOf(named);
    const input = this.#shapeOf(inputs[0]);
    // The addition's shapes were compared where it was met.
    const alone = withInputs(named, () => INPUT);
    const [{ shape }] = buildGraph(name, input, [alone]).nodes;
    this.#specs.set(name, named);
    this.#shapes.set(name, shape);
    const before = Math.max(...inputs.map((input) => this.#depths.get(input)!));
    this.#depths.set(name, before + (isWeighted(named) ? 1 : 0));
    for (const [suffix, tensor] of Object.entries(arrays)) {
      // Where the file's own array is taken as it is, nothing is added to it.
      if (!this.#fileData.has(tensor.data)) this.#charge(4 * tensor.data.length);
      this.#weights.set(`${name}.${suffix}`, tensor);
    }
    return new Activation(name, shape, shape.length === 3 ? CHANNELS_FIRST : VECTOR);
  }

  #shapeOf(name: string): Shape {
    return name === INPUT ? this.#inputShape : this.#shapes.get(name)!;
  }

  /** Whether a shift of all channels became the bias of the layer that gives the value. */
  #addBias(valueName: string, shift: Float32Array): boolean {
    const value = this.#values.get(valueName);
    if (!(value instanceof Activation) || value.change || this.#uses.get(valueName) !== 1) {
      return false;
    }
    const spec = this.#specs.get(value.node);
    const channels = value.shape[value.shape.length - 1];
    if (shift.length !== channels) return false;
    if (spec?.kind === "dense" && this.#withoutBias.delete(spec.name)) {
      this.#weights.set(`${spec.name}.bias`, vector(shift));
      return true;
    }
    if (spec?.kind !== "convolution" || spec.bias) return false;
    this.#specs.set(spec.name, { ...spec, bias: true });
    this.#weights.set(`${spec.name}.bias`, vector(shift));
    return true;
  }
}

function someOf(values: ArrayLike<number>): string {
  const shown = Array.from(
    { length: Math.min(3, values.length) },
    (_, i) => Number(values[i].toPrecision(4)),
  );
  return shown.join(", ") + (values.length > 3 ? ` and ${values.length - 3} more` : "");
}

function summary(evidence: readonly string[]): string {
  return evidence.length === 1
    ? evidence[0]
    : `${evidence[0]} and ${evidence.length - 1} more like it`;
}
