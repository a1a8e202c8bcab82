/**
 * A graph as TensorFlow's native operations, forward and, written out by hand, backward.
 *
 * Forward, by node: Conv2D; FusedBatchNormV3, which also moves the running statistics; Relu;
 * AddV2; StridedSlice and PadV2 (option A); MaxPool; Mean; MatMul and BiasAdd. Backward, with dy
 * the gradient of a node's output:
 *
 *   convolution  dx = Conv2DBackpropInput(w, dy), dw = Conv2DBackpropFilter(x, dy)
 *   batch norm   dx, dscale, dshift = FusedBatchNormGradV3(dy, x, scale, saved statistics);
 *                with running statistics, which only probes do, from elementary operations
 *   ReLU         dx = dy where y > 0 (ReluGrad)
 *   addition     both inputs get dy
 *   option A     the added channels' gradient is dropped, the skipped pixels' is 0
 *   max pool     dy goes to the first largest value of each window (MaxPoolGrad)
 *   average      dx = dy / (H W) for each pixel
 *   dense        dx = dy w, dw = dy^T x, db = sum of dy over the batch
 *   loss         dlogits = (Softmax(logits) - one hot) / N
 *
 * A node whose output several others take gets the sum of their gradients. Tensors are [N, H, W, C];
 * each activation lives until its own backward step and each gradient until it was used.
 */
import {
  type BatchNormSpec,
  type ConvolutionSpec,
  type DenseSpec,
  type GlobalAveragePoolSpec,
  type Graph,
  type Inferred,
  INPUT,
  inputsOf,
  type MaxPoolSpec,
  type Node,
  shapeOf,
  type ShortcutASpec,
} from "../../resnet/mod.ts";
import type { BatchNormSettings, Probe } from "../engine.ts";
import type { Labels } from "../labels.ts";
import type { Attribute, Handle, Operations } from "./_operations.ts";

/** One pass of a batch through the network. */
export interface Pass {
  readonly images: number;
  readonly mode: Probe["mode"];
  /** A trainable parameter or a running statistic. */
  parameter(name: string): Handle;
  /** Takes a layer's running statistics after the batch; in training mode alone. */
  onStatistics(layer: string, mean: Handle, variance: Handle): void;
}

/** What a backward pass gives. */
export interface Gradients {
  /** Of the network's input, if it was asked for. */
  readonly input?: Handle;
  /** Of each trainable parameter, by name, in the shape of the parameter. */
  readonly parameters: ReadonlyMap<string, Handle>;
}

/** The gradients of one node's inputs, and of its parameters by their suffix. */
export interface NodeGradients {
  /** Undefined where it was not asked for. */
  readonly inputs: readonly (Handle | undefined)[];
  readonly parameters?: Readonly<Record<string, Handle>>;
}

/** What a node's forward step leaves to its backward step. */
export interface Step {
  readonly output: Handle;
  /** @param wanted Whether the gradient of the (only) input is asked for. */
  backward(gradient: Handle, wanted: boolean): NodeGradients;
}

/** A node, ready to run: what stays the same from step to step is made once. */
export type Layer = (inputs: readonly Handle[], pass: Pass) => Step;

/** Makes a batch norm's layer. */
export type BatchNormLayer = (
  tf: Operations,
  node: BatchNormSpec & Inferred,
  settings: BatchNormSettings,
) => Layer;

/** StridedSlice's masks, each without a bit: its ranges are taken as they stand. */
const MASKS = ["begin_mask", "end_mask", "ellipsis_mask", "new_axis_mask", "shrink_axis_mask"];

/** A graph whose nodes are ready to run. */
export class Network {
  readonly #graph: Graph;
  readonly #tf: Operations;
  readonly #layers: readonly (readonly [Node, Layer])[];
  readonly #float: Attribute;

  /** @param makeBatchNorm By the fused operations, or composed for comparison. */
  constructor(
    tf: Operations,
    graph: Graph,
    batchNorm: BatchNormSettings,
    makeBatchNorm: BatchNormLayer,
  ) {
    this.#tf = tf;
    this.#graph = graph;
    this.#float = tf.typeFloat();
    this.#layers = graph.nodes.map((node) =>
      [node, this.#layer(node, batchNorm, makeBatchNorm)] as const
    );
  }

  /** The network's output for an input [N, H, W, C]. */
  forward(input: Handle, pass: Pass): Handle {
    return this.#forward(input, pass).output;
  }

  /**
   * A forward pass, and the backward pass of the output's gradient.
   *
   * @param gradientOf Makes dL/d(output) from the output.
   * @param wantsInput Whether the input's gradient is asked for.
   */
  differentiate(
    input: Handle,
    pass: Pass,
    gradientOf: (output: Handle) => Handle,
    wantsInput: boolean,
  ): { output: Handle; gradients: Gradients } {
    const { output, steps } = this.#forward(input, pass);
    const pending = new Map<string, Handle>([[this.#graph.output, gradientOf(output)]]);
    const parameters = new Map<string, Handle>();
    for (const [node] of this.#layers.toReversed()) {
      const gradient = pending.get(node.name);
      if (gradient === undefined) continue; // nothing that leads to the output takes it
      pending.delete(node.name);
      const inputs = inputsOf(node);
      const wanted = wantsInput || inputs[0] !== INPUT;
      const found = steps.get(node.name)!.backward(gradient, wanted);
      for (const [suffix, handle] of Object.entries(found.parameters ?? {})) {
        parameters.set(`${node.name}.${suffix}`, handle);
      }
      const used = [gradient];
      inputs.forEach((name, i) => {
        const part = found.inputs[i];
        if (part === undefined) return;
        const other = pending.get(name);
        pending.set(name, other === undefined ? part : this.#sum(other, part));
        if (other !== undefined) used.push(other, part);
      });
      // An addition hands one gradient to both its inputs: it ends with the last of them.
      const needed = [...pending.values()];
      for (const handle of used) if (!needed.includes(handle)) this.#tf.release(handle);
      if (node.name !== this.#graph.output) this.#tf.release(steps.get(node.name)!.output);
    }
    return { output, gradients: { input: pending.get(INPUT), parameters } };
  }

  /**
   * The gradient of the mean softmax cross entropy of logits [N, classes]. Not by the fused
   * SparseSoftmaxCrossEntropyWithLogits: its GPU kernel is not deterministic, and TensorFlow
   * refuses to run it where determinism is asked for. One operation is all that it would save.
   */
  lossGradient(logits: Handle, labels: Labels, images = labels.length): Handle {
    const tf = this.#tf;
    const [classes] = shapeOf(this.#graph, this.#graph.output);
    const targets = new Float32Array(labels.length * classes);
    labels.forEach((label, n) => targets[n * classes + label] = 1);
    const probabilities = tf.run("Softmax", [logits], [this.#float]);
    const difference = tf.run(
      "Sub",
      [probabilities, tf.floats([labels.length, classes], targets)],
      [this.#float],
    );
    return tf.run("Mul", [difference, tf.float(1 / images)], [this.#float]);
  }

  #forward(input: Handle, pass: Pass): { output: Handle; steps: Map<string, Step> } {
    const values = new Map<string, Handle>([[INPUT, input]]);
    const steps = new Map<string, Step>();
    for (const [node, layer] of this.#layers) {
      const step = layer(inputsOf(node).map((name) => values.get(name)!), pass);
      steps.set(node.name, step);
      values.set(node.name, step.output);
    }
    return { output: values.get(this.#graph.output)!, steps };
  }

  #sum(a: Handle, b: Handle): Handle {
    return this.#tf.run("AddV2", [a, b], [this.#float]);
  }

  #layer(node: Node, batchNorm: BatchNormSettings, makeBatchNorm: BatchNormLayer): Layer {
    switch (node.kind) {
      case "convolution":
        return this.#convolution(node);
      case "batch-norm":
        return makeBatchNorm(this.#tf, node, batchNorm);
      case "relu":
        return ([x]) => {
          const y = this.#tf.run("Relu", [x], [this.#float]);
          return {
            output: y,
            backward: (dy) => ({ inputs: [this.#tf.run("ReluGrad", [dy, y], [this.#float])] }),
          };
        };
      case "add":
        return ([a, b]) => ({
          output: this.#sum(a, b),
          backward: (dy) => ({ inputs: [dy, dy] }),
        });
      case "shortcut-a":
        return this.#shortcut(node);
      case "max-pool":
        return this.#maxPool(node);
      case "global-average-pool":
        return this.#averagePool(node);
      case "dense":
        return this.#dense(node);
    }
  }

  #convolution(node: ConvolutionSpec & Inferred): Layer {
    const tf = this.#tf;
    const { name, kernel, stride, filters, bias } = node;
    const [height, width, channels] = shapeOf(this.#graph, node.input);
    const attributes = [
      this.#float,
      tf.attributeInteger("strides", [1, stride, stride, 1]),
      tf.attributeText("data_format", "NHWC"),
      ...this.#padding(node),
    ];
    const kernelShape = [kernel, kernel, channels, filters];
    return ([x], pass) => {
      const w = pass.parameter(`${name}.weight`);
      const product = tf.run("Conv2D", [x, w], attributes);
      return {
        output: bias ? this.#addBias(product, pass.parameter(`${name}.bias`)) : product,
        backward: (dy, wanted) => {
          const sizes = tf.vector(pass.images, height, width, channels);
          return {
            inputs: [
              wanted ? tf.run("Conv2DBackpropInput", [sizes, w, dy], attributes) : undefined,
            ],
            parameters: {
              weight: tf.run(
                "Conv2DBackpropFilter",
                [x, tf.vector(...kernelShape), dy],
                attributes,
              ),
              ...(bias ? { bias: this.#biasGradient(dy) } : {}),
            },
          };
        },
      };
    };
  }

  /**
   * Zeros on all four sides, as PyTorch pads. "SAME" does so at stride 1 alone; explicit numbers do
   * always, and on the CPU take twice as long, since oneDNN's kernels are not used for them.
   */
  #padding({ kernel, stride, padding }: ConvolutionSpec): Attribute[] {
    const tf = this.#tf;
    if (padding === 0) return [tf.attributeText("padding", "VALID")];
    if (stride === 1 && 2 * padding === kernel - 1) return [tf.attributeText("padding", "SAME")];
    const sides = [0, 0, padding, padding, padding, padding, 0, 0];
    return [
      tf.attributeText("padding", "EXPLICIT"),
      tf.attributeInteger("explicit_paddings", sides),
    ];
  }

  #shortcut(node: ShortcutASpec & Inferred): Layer {
    const tf = this.#tf;
    const [height, width, channels] = shapeOf(this.#graph, node.input);
    const { stride, filters, zeroChannels, shape: [outHeight, outWidth] } = node;
    const added = filters - channels;
    const before = zeroChannels === "append" ? 0 : Math.floor(added / 2);
    const slicing = [
      this.#float,
      tf.typeInteger("Index"),
      ...MASKS.map((mask) => tf.attributeInteger(mask, 0)),
    ];
    const padding = [this.#float, tf.typeInteger("Tpaddings")];
    const cutting = [this.#float, tf.typeInteger("Index")];
    const paddings = [0, 0, 0, 0, 0, 0, before, added - before];
    return ([x], { images }) => {
      const range = [
        tf.vector(0, 0, 0, 0),
        tf.vector(images, height, width, channels),
        tf.vector(1, stride, stride, 1),
      ];
      const picked = tf.run("StridedSlice", [x, ...range], slicing);
      const output = tf.run("PadV2", [picked, tf.matrix(4, 2, paddings), tf.float(0)], padding);
      tf.release(picked);
      return {
        output,
        backward: (dy) => {
          const begin = tf.vector(0, 0, 0, before);
          const size = tf.vector(images, outHeight, outWidth, channels);
          const kept = tf.run("Slice", [dy, begin, size], cutting);
          const shape = tf.vector(images, height, width, channels);
          const dx = tf.run("StridedSliceGrad", [shape, ...range, kept], slicing);
          tf.release(kept);
          return { inputs: [dx] };
        },
      };
    };
  }

  /** A padded maximum is one over -infinity around the image, which no window takes. */
  #maxPool(node: MaxPoolSpec): Layer {
    const tf = this.#tf;
    const { kernel, stride, padding } = node;
    const [height, width, channels] = shapeOf(this.#graph, node.input);
    const attributes = [
      this.#float,
      tf.attributeInteger("ksize", [1, kernel, kernel, 1]),
      tf.attributeInteger("strides", [1, stride, stride, 1]),
      tf.attributeText("padding", "VALID"),
      tf.attributeText("data_format", "NHWC"),
    ];
    const padded = [this.#float, tf.typeInteger("Tpaddings")];
    const cutting = [this.#float, tf.typeInteger("Index")];
    const paddings = [0, 0, padding, padding, padding, padding, 0, 0];
    return ([x], { images }) => {
      const wide = padding === 0
        ? x
        : tf.run("PadV2", [x, tf.matrix(4, 2, paddings), tf.float(-Infinity)], padded);
      const y = tf.run("MaxPool", [wide], attributes);
      return {
        output: y,
        backward: (dy) => {
          const gradient = tf.run("MaxPoolGrad", [wide, y, dy], attributes);
          if (padding === 0) return { inputs: [gradient] };
          const begin = tf.vector(0, padding, padding, 0);
          const size = tf.vector(images, height, width, channels);
          const dx = tf.run("Slice", [gradient, begin, size], cutting);
          tf.release(gradient);
          tf.release(wide);
          return { inputs: [dx] };
        },
      };
    };
  }

  #averagePool(node: GlobalAveragePoolSpec): Layer {
    const tf = this.#tf;
    const [height, width, channels] = shapeOf(this.#graph, node.input);
    const averaging = [
      this.#float,
      tf.typeInteger("Tidx"),
      tf.attributeFlag("keep_dims", false),
    ];
    const shaping = [this.#float, tf.typeInteger("Tshape")];
    const broadcasting = [this.#float, tf.typeInteger("Tidx")];
    return ([x], { images }) => ({
      output: tf.run("Mean", [x, tf.vector(1, 2)], averaging),
      backward: (dy) => {
        const share = tf.run("Mul", [dy, tf.float(1 / (height * width))], [this.#float]);
        const pixel = tf.run("Reshape", [share, tf.vector(images, 1, 1, channels)], shaping);
        const whole = tf.vector(images, height, width, channels);
        const dx = tf.run("BroadcastTo", [pixel, whole], broadcasting);
        tf.release(share);
        tf.release(pixel);
        return { inputs: [dx] };
      },
    });
  }

  /** y = x W^T + b with W [units, in]. */
  #dense({ name }: DenseSpec): Layer {
    const tf = this.#tf;
    const product = (a: Handle, b: Handle, transposed: "a" | "b" | "none") =>
      tf.run("MatMul", [a, b], [
        this.#float,
        tf.attributeFlag("transpose_a", transposed === "a"),
        tf.attributeFlag("transpose_b", transposed === "b"),
      ]);
    return ([x], pass) => {
      const w = pass.parameter(`${name}.weight`);
      return {
        output: this.#addBias(product(x, w, "b"), pass.parameter(`${name}.bias`)),
        backward: (dy, wanted) => ({
          inputs: [wanted ? product(dy, w, "none") : undefined],
          parameters: { weight: product(dy, x, "a"), bias: this.#biasGradient(dy) },
        }),
      };
    };
  }

  #addBias(x: Handle, bias: Handle): Handle {
    const y = this.#tf.run("BiasAdd", [x, bias], [this.#float]);
    this.#tf.release(x);
    return y;
  }

  #biasGradient(dy: Handle): Handle {
    return this.#tf.run("BiasAddGrad", [dy], [this.#float]);
  }
}
