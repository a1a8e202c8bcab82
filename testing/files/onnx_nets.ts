/** Residual nets as ONNX files, with each thing that is known to go wrong as an option. */
import { type OnnxFileOptions, OnnxWriter } from "./onnx_files.ts";

/** What the net does otherwise than the paper's; nothing of it by default. */
export interface OnnxNet {
  /** Whether each batch norm is folded into its convolution, as exporters do. */
  readonly folded?: boolean;
  /** Blocks a stage; 1 by default. */
  readonly blocks?: number;
  /** Filters of the stages. */
  readonly widths?: readonly number[];
  /** Height and width of the images. */
  readonly size?: number;
  /** The first layer. */
  readonly stem?: {
    readonly kernel?: number;
    readonly stride?: number;
    readonly padding?: number;
    readonly relu?: false;
    readonly pooled?: true;
  };
  /** The operator in place of ReLU. */
  readonly activation?: string;
  /** Batch norm behind its ReLU. */
  readonly lateNorm?: true;
  /** Blocks, from 0, without the ReLU behind the addition. */
  readonly linearSums?: (block: number) => boolean;
  /** The block's second ReLU on its branch. */
  readonly reluOnBranch?: true;
  /** The block's second batch norm behind the addition. */
  readonly normedSums?: true;
  /** The convolution of a block, 0 or 1, that has the stride. */
  readonly strided?: 0 | 1;
  /** Convolutions, from 0, without batch norm. */
  readonly bare?: (convolution: number) => boolean;
  /** The shortcut where the shape changes. */
  readonly shortcut?:
    | "append"
    | "split"
    | "sliced"
    | "average"
    | "max"
    | "copied"
    | "none"
    | "projection"
    | "projection-bare";
  /** Shortcuts around single convolutions. */
  readonly around?: "one";
  /** No shortcuts at all where false. */
  readonly residual?: false;
  /** The shortcut as the addition's first input. */
  readonly swapped?: true;
  /** Groups of the blocks' convolutions. */
  readonly groups?: number;
  /** Norms over groups of channels in place of batch norm. */
  readonly groupNorm?: true;
  /** Batch norms in training mode, as an opset before 14 or since has it. */
  readonly trainingMode?: "old" | "new";
  /** Batch norm's constant. */
  readonly epsilon?: number;
  /** Dropout before the last layer. */
  readonly dropout?: true;
  /** Batch norm and ReLU before each convolution. */
  readonly preActivation?: true;
  /** How the last maps become a vector. */
  readonly head?: "average" | "mean" | "flatten" | "4x4";
  /** Outputs of a hidden dense layer. */
  readonly hidden?: number;
  /** Whether the last layer has a bias. */
  readonly bias?: false;
  /** An operator behind the last layer. */
  readonly end?: string;
  /** Whether the pooled features are an output too, the first. */
  readonly features?: true;
  /** What the file says of itself and of its input. */
  readonly file?: Partial<OnnxFileOptions>;
}

/**
 * A ResNet-8 as an ONNX file, but for what the options say.
 *
 * @param net Its differences from the paper's form.
 */
export function onnxNet(net: OnnxNet): Uint8Array {
  return new NetWriter(net).finish();
}

/**
 * The same with its arrays in a file beside it.
 *
 * @param net Its differences from the paper's form.
 * @param name Of the file beside it.
 */
export function onnxNetBeside(
  net: OnnxNet,
  name: string,
): { readonly file: Uint8Array; readonly data: Uint8Array } {
  const writer = new OnnxWriter(name);
  return { file: new NetWriter(net, writer).finish(), data: writer.outside };
}

class NetWriter {
  readonly #net: OnnxNet;
  readonly #file: OnnxWriter;
  #convolutions = 0;

  constructor(net: OnnxNet, file = new OnnxWriter()) {
    this.#net = net;
    this.#file = file;
  }

  finish(): Uint8Array {
    const { widths = [16, 32, 64], blocks = 1, stem = {}, preActivation, end, features } =
      this.#net;
    const { kernel = 3, stride = 1, padding = (kernel - 1) / 2 } = stem;
    let x = this.#convolution("input", 3, widths[0], { kernel, stride, padding });
    if (!preActivation) x = this.#behind(x, widths[0], stem.relu !== false);
    if (stem.pooled) x = this.#pool("MaxPool", x, 3, 2, 1);
    let width = widths[0];
    widths.forEach((filters, stage) => {
      for (let i = 0; i < blocks; i++) {
        const strides = stage > 0 && i === 0 ? 2 : 1;
        x = preActivation
          ? this.#preActivated(x, width, filters, strides)
          : this.#block(x, width, filters, strides, stage * blocks + i);
        width = filters;
      }
    });
    if (preActivation) x = this.#activated(this.#norm(x, width));
    const pooled = this.#head(x);
    let y = this.#last(pooled, width);
    if (end) y = this.#file.node(end, [y], end === "Softmax" ? { axis: 1 } : {});
    const { size = 32, file } = this.#net;
    return this.#file.finish({
      input: ["N", 3, size, size],
      outputs: features ? [pooled, y] : [y],
      ...file,
    });
  }

  #block(input: string, inputs: number, filters: number, stride: number, block: number): string {
    const { strided = 0, reluOnBranch, normedSums, linearSums, around, residual } = this.#net;
    const strides = strided === 0 ? [stride, 1] : [1, stride];
    let x = this.#layer(input, inputs, filters, strides[0], true);
    if (around === "one" && inputs === filters) x = this.#file.node("Add", [x, input]);
    const middle = x;
    x = this.#convolution(x, filters, filters, { stride: strides[1], groups: this.#net.groups });
    if (!normedSums) x = this.#behind(x, filters, reluOnBranch === true || residual === false);
    if (residual === false) return x;
    if (around === "one") x = this.#file.node("Add", [x, middle]);
    else {
      const way = inputs === filters ? input : this.#shortcut(input, inputs, filters, stride);
      if (way) x = this.#file.node("Add", this.#net.swapped ? [way, x] : [x, way]);
    }
    if (normedSums) x = this.#visibleNorm(x, filters);
    return reluOnBranch || linearSums?.(block) ? x : this.#activated(x);
  }

  #preActivated(input: string, inputs: number, filters: number, stride: number): string {
    let x = this.#activated(this.#norm(input, inputs));
    x = this.#convolution(x, inputs, filters, { stride });
    x = this.#activated(this.#norm(x, filters));
    x = this.#convolution(x, filters, filters, {});
    const way = inputs === filters ? input : this.#shortcut(input, inputs, filters, stride)!;
    return this.#file.node("Add", [x, way]);
  }

  /** Undefined where there is none. */
  #shortcut(input: string, inputs: number, filters: number, stride: number): string | undefined {
    const { shortcut = "append" } = this.#net;
    const file = this.#file;
    const padded = (x: string, before: number) =>
      file.node("Pad", [
        x,
        file.integers([0, before, 0, 0, 0, filters - inputs - before, 0, 0]),
      ]);
    const sliced = () =>
      file.node("Slice", [
        ...[input, file.integers([0, 0]), file.integers([2 ** 31 - 1, 2 ** 31 - 1])],
        ...[file.integers([2, 3]), file.integers([stride, stride])],
      ]);
    switch (shortcut) {
      case "append":
        return padded(sliced(), 0);
      case "split":
        return padded(sliced(), (filters - inputs) / 2);
      case "sliced": {
        // As old files have it, one axis after the other.
        const rows = file.node("Slice", [
          ...[input, file.integers([0]), file.integers([2 ** 31 - 1])],
          ...[file.integers([2]), file.integers([stride])],
        ]);
        return padded(
          file.node("Slice", [
            ...[rows, file.integers([0]), file.integers([2 ** 31 - 1])],
            ...[file.integers([3]), file.integers([stride])],
          ]),
          0,
        );
      }
      case "average":
        return padded(this.#pool("AveragePool", input, 2, stride, 0), 0);
      case "max":
        return padded(this.#pool("MaxPool", input, 2, stride, 0), 0);
      case "copied": {
        const x = sliced();
        return file.node("Concat", [x, x], { axis: 1 });
      }
      case "none":
        return undefined;
      case "projection":
      case "projection-bare": {
        const x = this.#convolution(input, inputs, filters, { kernel: 1, stride, padding: 0 });
        return shortcut === "projection" ? this.#norm(x, filters) : x;
      }
    }
  }

  #layer(x: string, inputs: number, filters: number, stride: number, relu: boolean): string {
    const { groups } = this.#net;
    return this.#behind(this.#convolution(x, inputs, filters, { stride, groups }), filters, relu);
  }

  /** Batch norm and ReLU. */
  #behind(x: string, channels: number, relu: boolean): string {
    const { lateNorm, bare } = this.#net;
    const normed = (x: string) =>
      bare?.(this.#convolutions - 1) ? x : lateNorm ? this.#visibleNorm(x, channels) : this.#norm(
        x,
        channels,
      );
    if (lateNorm) return normed(relu ? this.#activated(x) : x);
    return relu ? this.#activated(normed(x)) : normed(x);
  }

  #activated(x: string): string {
    return this.#file.node(this.#net.activation ?? "Relu", [x]);
  }

  #norm(x: string, channels: number): string {
    return this.#net.folded ? x : this.#visibleNorm(x, channels);
  }

  /** One that no exporter can fold, or is told not to. */
  #visibleNorm(x: string, channels: number): string {
    const { groupNorm, trainingMode, epsilon = 1e-5 } = this.#net;
    const file = this.#file;
    if (groupNorm) {
      const groups = 8;
      const grouped = file.node("Reshape", [x, file.integers([0, groups, -1])]);
      const ones = file.tensor([groups], new Float32Array(groups).fill(1));
      const zeros = file.tensor([groups], new Float32Array(groups));
      const normed = file.node("InstanceNormalization", [grouped, ones, zeros]);
      const shape = file.node("Shape", [x]);
      const apart = file.node("Reshape", [normed, shape]);
      const scaled = file.node("Mul", [apart, file.tensor([channels, 1, 1])]);
      return file.node("Add", [scaled, file.tensor([channels, 1, 1])]);
    }
    const arrays = [1, 2, 3, 4].map(() => file.tensor([channels]));
    return file.node("BatchNormalization", [x, ...arrays], {
      epsilon: { fraction: epsilon },
      ...(trainingMode === "new" ? { training_mode: 1 } : {}),
    }, trainingMode === "old" ? 5 : trainingMode === "new" ? 3 : 1);
  }

  #convolution(
    x: string,
    inputs: number,
    filters: number,
    { kernel = 3, stride = 1, padding = 1, groups = 1 }: {
      readonly kernel?: number;
      readonly stride?: number;
      readonly padding?: number;
      readonly groups?: number;
    },
  ): string {
    this.#convolutions++;
    const weight = this.#file.tensor([filters, inputs / groups, kernel, kernel]);
    const bias = this.#net.folded ? [this.#file.tensor([filters])] : [];
    return this.#file.node("Conv", [x, weight, ...bias], {
      kernel_shape: [kernel, kernel],
      strides: [stride, stride],
      pads: [padding, padding, padding, padding],
      ...(groups > 1 ? { group: groups } : {}),
    });
  }

  #pool(operator: string, x: string, size: number, stride: number, padding: number): string {
    return this.#file.node(operator, [x], {
      kernel_shape: [size, size],
      strides: [stride, stride],
      pads: [padding, padding, padding, padding],
    });
  }

  #head(x: string): string {
    const { head = "average", dropout } = this.#net;
    const pooled = head === "average"
      ? this.#file.node("GlobalAveragePool", [x])
      : head === "mean"
      ? this.#file.node("ReduceMean", [x], { axes: [2, 3], keepdims: 1 })
      : head === "4x4"
      ? this.#pool("AveragePool", x, 4, 4, 0)
      : x;
    const flat = this.#file.node("Flatten", [pooled], { axis: 1 });
    return dropout ? this.#file.node("Dropout", [flat]) : flat;
  }

  #last(x: string, width: number): string {
    const { hidden, bias, head, size = 32 } = this.#net;
    const pixels = head === "flatten" ? (size / 4) ** 2 : head === "4x4" ? (size / 16) ** 2 : 1;
    let inputs = width * pixels;
    let flat = x;
    if (hidden) {
      flat = this.#activated(this.#dense(flat, inputs, hidden, true));
      inputs = hidden;
    }
    return this.#dense(flat, inputs, 10, bias !== false);
  }

  #dense(x: string, inputs: number, units: number, bias: boolean): string {
    const arrays = [
      this.#file.tensor([units, inputs]),
      ...bias ? [this.#file.tensor([units])] : [],
    ];
    return this.#file.node("Gemm", [x, ...arrays], { transB: 1 });
  }
}
