import { type Graph, parametersOf, shapeOf, sizeOf } from "../../resnet/graph.ts";
import type { Weights } from "../../resnet/weights.ts";
import { checkData, checkIndices, checkPlan, checkProbe, checkState, checkStep } from "../_arguments.ts";
import { score } from "../_stored.ts";
import {
  type BatchPlan,
  type DeviceDescription,
  type Engine,
  type EngineData,
  EngineError,
  type EngineOptions,
  type Evaluation,
  type Probe,
  type ProbeResult,
  type StepMetrics,
  type TrainingState,
} from "../engine.ts";
import type { Backend } from "./_backend.ts";
import { DeviceImages } from "./_images.ts";
import { Network, type Pass } from "./_network.ts";
import { type Attribute, type Handle, Operations } from "./_operations.ts";
import { gather, type Place, placesOf, scatter } from "./_parameters.ts";

/** Tells the variables of a process's engines apart: TensorFlow knows them by name. */
let engines = 0;

/** A step whose logits still are on the device. */
interface QueuedStep {
  readonly iteration: number;
  readonly learningRate: number;
  readonly labels: Uint8Array;
  /** [N, classes]. */
  readonly logits: Handle;
}

/** A training on libtensorflow: data, state and every operation of a step are on its device. */
export class TensorFlowEngine implements Engine {
  readonly name: string;
  readonly device: DeviceDescription;
  readonly #tf: Operations;
  readonly #options: EngineOptions;
  readonly #network: Network;
  readonly #places: readonly Place[];
  /** TensorFlow's variables: the trainable parameters, and their momentum. */
  readonly #weights: Variable;
  readonly #momentum: Variable;
  /** Running statistics by name. */
  readonly #running = new Map<string, Handle>();
  /** Weight decay of each element of the parameters; undefined where nothing decays. */
  readonly #decay: Handle | undefined;
  readonly #attributes: Readonly<Record<"float" | "split" | "reshape" | "concat" | "update", readonly Attribute[]>>;
  readonly #classes: number;
  #iteration = 0;
  #queue: QueuedStep[] = [];
  #data: { train: DeviceImages; test: DeviceImages } | undefined;
  /** For the checks of arguments: sizes alone, no pixels. */
  #given: EngineData | undefined;
  #disposed = false;

  constructor(name: string, backend: Backend, options: EngineOptions) {
    const { graph, sgd, batchNorm } = options;
    this.name = name;
    this.device = describe(backend);
    this.#options = options;
    const tf = this.#tf = new Operations(backend.binding);
    this.#network = new Network(tf, graph, batchNorm);
    this.#places = placesOf(graph);
    this.#classes = sizeOf(shapeOf(graph, graph.output));

    const parameters = this.#places.reduce((sum, { size }) => sum + size, 0);
    const id = engines++;
    this.#weights = new Variable(tf, `weights ${id}`, parameters);
    this.#momentum = new Variable(tf, `momentum ${id}`, parameters);
    for (const { name, shape, trainable } of parametersOf(graph)) {
      if (!trainable) this.#setRunning(name, tf.floats(shape, new Float32Array(sizeOf(shape))));
    }
    this.#decay = sgd.weightDecay === 0 ? undefined : this.#decayVector(parameters);
    const float = tf.typeFloat();
    this.#attributes = {
      float: [float],
      split: [float, tf.typeInteger("Tlen"), tf.attributeInteger("num_split", this.#places.length)],
      reshape: [float, tf.typeInteger("Tshape")],
      concat: [float, tf.typeInteger("Tidx"), tf.attributeInteger("N", this.#places.length)],
      update: [float, tf.attributeFlag("use_nesterov", sgd.nesterov)],
    };
  }
