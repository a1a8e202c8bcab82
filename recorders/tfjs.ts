/**
 * Records a training with TensorFlow.js, beside it: what reached the network,
 * and what was done. TensorFlow.js itself is not imported: the recorder sits on
 * the model, on its optimiser and on the engine that all copies of it share.
 *
 * @module
 */
import { base64, hashImages, RecordingFolder, type WrittenArray } from "./_folder.ts";
import {
  channelsFirst,
  type EngineLike,
  KernelTrace,
  type TensorLike,
  transposed,
} from "./_kernels.ts";

/** A model of TensorFlow.js's layers, as `tf.sequential` and `tf.model` make it. */
export interface RecordableModel {
  /** Its layers. */
  readonly layers: readonly object[];
}

/** What a recording is told besides the model. */
export interface RecordOptions {
  /** Of a custom loop: the optimiser. One that the model is compiled with is known. */
  readonly optimizer?: object;
  /** Ends `fit` and the recording after so many training steps; in a custom loop the recording. */
  readonly steps?: number;
  /** What the folder may grow to, in MB: 100 where nothing is said. */
  readonly limit?: number;
}

/** A recording that is being written. */
export interface ModelRecording {
  /** Writes the weights and the last line, and takes the recorder off the model. */
  end(): void;
}

/** A variable of a layer. */
interface VariableLike {
  readonly originalName: string;
  readonly trainable: boolean;
  readonly shape: readonly number[];
  read(): TensorLike & { readonly name: string };
}

interface LayerLike {
  readonly name: string;
  readonly weights: readonly VariableLike[];
  readonly kernelRegularizer?: { readonly l2?: unknown };
  getClassName(): string;
  getConfig(): Readonly<Record<string, unknown>>;
  apply(inputs: unknown, keywords?: { readonly training?: boolean }): unknown;
}

type Compute = (data: TensorLike[]) => TensorLike[];

/** What a compiled or plain model has inside. */
interface ModelInside {
  readonly name: string;
  readonly inputs: readonly { readonly shape: readonly (number | null)[] }[];
  readonly outputLayers: readonly LayerLike[];
  readonly layers: readonly LayerLike[];
  readonly weights: readonly VariableLike[];
  readonly model?: ModelInside;
  readonly optimizer?: OptimizerLike;
  readonly loss?: unknown;
  stopTraining?: boolean;
  testFunction?: Compute;
  getClassName(): string;
  makeTrainFunction(): Compute;
  makeTestFunction(): void;
  call(inputs: unknown, keywords: unknown): unknown;
  predict(inputs: unknown, settings?: unknown): unknown;
  fit(x: unknown, y: unknown, settings?: FitSettings): Promise<unknown>;
  fitDataset(dataset: DatasetLike, settings?: unknown): Promise<unknown>;
}

interface FitSettings {
  readonly batchSize?: number;
  readonly shuffle?: unknown;
  readonly validationSplit?: number;
}

interface DatasetLike {
  iterator(): Promise<unknown>;
}

interface OptimizerLike {
  readonly learningRate?: number;
  getClassName?(): string;
  getConfig(): Readonly<Record<string, unknown>>;
  applyGradients(gradients: unknown): void;
  readonly accumulations?: readonly { originalName: string; variable: TensorLike }[];
}

type Gradients = readonly { readonly name: string; readonly tensor: TensorLike }[];

/** Which passes get a line each, and which batches a file; `FORMAT.md` states these. */
const DETAILED_EPOCHS = 3, DETAILED_BATCHES = 8, DETAILED_EVALUATIONS = 2, LOOSE_PASSES = 2_000;
const KEPT_IMAGES = 1_024, KEPT_TEST_IMAGES = 512;
const CHECKED_FIRST = 10, CHECKED_EVERY = 25, SAMPLED = 16_384;
const MEGABYTE = 1_000_000;

/** A pass: what entered, what came out, and what is known of its labels. */
interface Pass {
  readonly images: number;
  readonly training: boolean;
  readonly labels?: Int32Array;
  readonly errors?: number;
  readonly loss?: number;
}

/**
 * Records the training of a model from now on, into a new folder.
 *
 * `fit`, `fitDataset`, `trainOnBatch`, `evaluate` and `evaluateDataset` are
 * seen as they are called. A loop of one's own is seen where the model is
 * called (`model.apply`, `model.predict`) and the given optimiser makes its
 * steps (`minimize`, `applyGradients`). Nothing that is computed is changed; if
 * the recorder fails it says so on standard error, and the training goes on.
 * `recorders/FORMAT.md` describes what is written; `readRecording` reads it.
 *
 * @param model A model of layers that takes images of [H, W, C], and is built.
 * @param folder A new folder for the recording.
 * @param options See {@linkcode RecordOptions}.
 * @returns The recording, to be ended after the training.
 *
 * @example Where nothing can be written, the training goes on.
 * ```ts
 * import { record } from "./tfjs.ts";
 *
 * const recording = record({ layers: [] }, "deno.json/recording"); // says why it records nothing
 * recording.end();
 * ```
 */
export function record(
  model: RecordableModel,
  folder: string,
  options: RecordOptions = {},
): ModelRecording {
  const recorder = new Recorder(model as unknown as ModelInside, folder, options);
  return { end: () => recorder.end("finished") };
}

class Recorder {
  readonly #model: ModelInside;
  readonly #options: RecordOptions;
  readonly #restore: (() => void)[] = [];
  readonly #names = new Map<string, string>();
  readonly #counts = { evaluation: 0, files: 0, loose: 0 };
  readonly #kept = new Map<string, number>();
  readonly #said = new Set<string>();
  #folder: RecordingFolder | undefined;
  #engine!: EngineLike;
  #optimizer: OptimizerLike | undefined;
  #iteration = 0;
  #trace: KernelTrace | undefined;
  #layer: LayerLike | undefined;
  #started = false;
  #described = false;
  #lossDescribed = false;
  #loss: number | undefined;
  #backwards = 0;
  #inside = 0;
  #logits:
    | { readonly id: number; readonly shape: readonly number[]; readonly values: Float32Array }
    | undefined;
  #mode: boolean | undefined;
  #targets: Float32Array | undefined;
  #exponential = false;
  #open: { readonly images: Float32Array; readonly shape: readonly number[] } | undefined;
  #passes: Pass[] = [];
  #evaluation: Pass[] = [];
  #epoch:
    | { loader: number; number: number; size?: number; images: number; batches: number }
    | undefined;
  #loaders = 0;
  #last = performance.now();
  #previous = new Map<string, Float32Array>();

  constructor(model: ModelInside, folder: string, options: RecordOptions) {
    this.#model = model.model ?? model;
    this.#options = options;
    try {
      const { _tfengine } = globalThis as unknown as { _tfengine?: EngineLike };
      if (_tfengine === undefined || this.#model.inputs === undefined) {
        throw new Error("a model of TensorFlow.js that is built (its input shape known) is needed");
      }
      this.#engine = _tfengine;
      this.#folder = new RecordingFolder(folder, (options.limit ?? 100) * MEGABYTE);
      this.#install();
    } catch (error) {
      const used = (error as { code?: string }).code === "EEXIST";
      const why = used ? "it holds a recording already; give another" : (error as Error).message;
      this.#stop();
      console.error(
        `tfjs recorder: can't record in ${folder}: ${why}; the training goes on unrecorded`,
      );
    }
  }

  /** Takes the place of a method, once, until the recording ends. */
  #wrap<Owner extends object>(
    owner: Owner,
    name: string,
    make: (original: never) => unknown,
  ): void {
    const methods = owner as Record<string, unknown>;
    const own = Object.hasOwn(owner, name) ? methods[name] : undefined;
    const original = (methods[name] as (...given: unknown[]) => unknown).bind(owner);
    methods[name] = make(original as never);
    this.#restore.push(() => {
      if (own === undefined) delete methods[name];
      else methods[name] = own;
    });
  }

  /** Runs a part of the recorder: what goes wrong in it never reaches the training. */
  #careful(what: string, run: () => void): void {
    if (this.#folder === undefined) return;
    try {
      run();
    } catch (error) {
      if (error instanceof Error && "code" in error && "syscall" in error) {
        this.#stop();
        console.error(`tfjs recorder: ${error.message}; the training goes on unrecorded`);
      } else if (!this.#said.has(what)) {
        this.#said.add(what);
        this.#emit("warning", { message: `recorder, ${what}: ${error}` });
      }
    }
  }

  #stop(): void {
    for (const restore of this.#restore.splice(0).toReversed()) restore();
    try {
      this.#folder?.close();
    } catch {
      // What the disk refused has been said, or is a sync alone: nothing is left to be done.
    }
    this.#folder = undefined;
  }

  #emit(type: string, fields: Readonly<Record<string, unknown>>): void {
    const time = new Date().toISOString();
    this.#folder?.line({ type, time, iteration: this.#iteration, ...fields });
  }

  #install(): void {
    const model = this.#model;
    for (
      const { originalName, read } of model.weights.map((one) => ({
        originalName: one.originalName,
        read: () => one.read(),
      }))
    ) this.#names.set(read().name, originalName);
    this.#wrap(
      this.#engine,
      "runKernel",
      (original: EngineLike["runKernel"]) =>
      (
        name: string,
        inputs: object,
        attributes: object = {},
      ) => {
        const result = original(name, inputs, attributes);
        if (this.#trace !== undefined) {
          this.#careful("kernel", () => this.#trace!.note(name, inputs, attributes, result));
        } else if (name === "Exp" && this.#logits !== undefined) {
          this.#exponential = true; // a softmax of the loss's own, on the scores
        } else if (name === "Multiply" && this.#open !== undefined) {
          this.#careful("labels", () => this.#findTargets(inputs));
        }
        return result;
      },
    );
    this.#wrap(
      this.#engine,
      "gradients",
      (original: EngineLike["gradients"]) => (...given: unknown[]) => {
        const result = original(...given);
        this.#careful("loss", () => {
          this.#backwards++;
          this.#loss = result.value.dataSync()[0];
        });
        return result;
      },
    );
    this.#wrap(model, "makeTrainFunction", (original: ModelInside["makeTrainFunction"]) => () => {
      const train = original();
      return (data: TensorLike[]) => this.#compute(train, data, true);
    });
    this.#wrap(model, "makeTestFunction", (original: ModelInside["makeTestFunction"]) => () => {
      original();
      const test = model.testFunction!;
      model.testFunction = (data) => this.#compute(test, data, false);
    });
    this.#wrap(
      model,
      "call",
      (original: ModelInside["call"]) => (inputs: unknown, keywords: unknown) => {
        const [images] = (Array.isArray(inputs) ? inputs : [inputs]) as TensorLike[];
        if (this.#inside > 0 || images?.shape?.length !== 4 || !("dataSync" in images)) {
          return original(inputs, keywords);
        }
        this.#careful("pass", () => this.#passBegins(images));
        const result = original(inputs, keywords);
        this.#careful("pass", () => this.#passGoesOn(images));
        return result;
      },
    );
    this.#wrap(
      model,
      "predict",
      (original: ModelInside["predict"]) => (inputs: unknown, settings: unknown) => {
        const images = inputs as TensorLike;
        if (images.shape?.length === 4) this.#careful("pass", () => this.#passBegins(images));
        this.#inside++;
        try {
          return original(inputs, settings);
        } finally {
          this.#inside--;
          if (images.shape?.length === 4) {
            // Without its labels: who predicts compares by themselves.
            this.#careful("pass", () => this.#passEnds(images, undefined, undefined, false));
          }
        }
      },
    );
    this.#wrap(
      model,
      "fit",
      (original: ModelInside["fit"]) =>
      async (
        x: unknown,
        y: unknown,
        settings: FitSettings = {},
      ) => {
        this.#careful("loader", () => this.#fitBegins(x as TensorLike, settings));
        try {
          return await original(x, y, settings);
        } finally {
          this.#careful("loader", () => this.#epochEnds());
          this.#next = undefined;
          this.#careful("evaluation", () => this.#evaluationEnds());
        }
      },
    );
    this.#wrap(
      model,
      "fitDataset",
      (original: ModelInside["fitDataset"]) => async (dataset: DatasetLike, settings: unknown) => {
        const loader = ++this.#loaders;
        this.#careful("loader", () => this.#describeLoader(loader, "tf.data.Dataset", {}));
        const iterator = dataset.iterator.bind(dataset);
        let number = 0;
        dataset.iterator = () => {
          this.#careful("epoch", () => {
            // TensorFlow.js asks for an iterator before the first epoch asks for its own.
            if (this.#epoch?.loader === loader && this.#epoch.batches === 0) return;
            this.#epochEnds();
            this.#epochBegins(loader, ++number);
          });
          return iterator();
        };
        try {
          return await original(dataset, settings);
        } finally {
          Reflect.deleteProperty(dataset, "iterator");
          this.#careful("epoch", () => this.#epochEnds());
          this.#careful("evaluation", () => this.#evaluationEnds());
        }
      },
    );
    for (const layer of model.layers) {
      const isOutput = model.outputLayers.includes(layer);
      this.#wrap(
        layer,
        "apply",
        (original: LayerLike["apply"]) =>
        (inputs: unknown, keywords?: { readonly training?: boolean }) => {
          const before = this.#layer;
          this.#layer = layer;
          const output = original(inputs, keywords) as TensorLike;
          this.#layer = before;
          if (isOutput && this.#trace === undefined) {
            this.#mode = keywords?.training === true;
            this.#careful("scores", () => this.#takeScores(output));
          }
          return output;
        },
      );
    }
  }

  /** A copy of what the last layer gives, which does not live longer than the pass. */
  #takeScores(output: TensorLike): void {
    if (this.#open === undefined) return;
    const values = Float32Array.from(output.dataSync());
    this.#logits = { id: output.id, shape: output.shape, values };
  }

  /** Wraps the optimiser when it is first there: a model may be compiled after `record`. */
  #watchOptimizer(): void {
    const given = this.#options.optimizer ?? this.#model.optimizer;
    if (given === undefined || given === this.#optimizer) return;
    const optimizer = this.#optimizer = given as OptimizerLike;
    this.#wrap(
      optimizer,
      "applyGradients",
      (original: OptimizerLike["applyGradients"]) => (gradients: unknown) => {
        let step: (() => void) | undefined;
        this.#careful("step", () => step = this.#stepBegins(optimizer, asList(gradients)));
        original(gradients);
        this.#careful("step", () => step?.());
      },
    );
  }

  // Passes

  #start(shape: readonly number[]): void {
    if (this.#started) return;
    this.#started = true;
    const model = this.#model as unknown as { toJSON?(unused: null, text: false): unknown };
    const { keras_version: version = "unknown" } = (model.toJSON?.(null, false) ?? {}) as {
      keras_version?: string;
    };
    const run = globalThis as unknown as {
      Deno?: { version: { deno: string } };
      process?: { version?: string };
    };
    const runtime = run.Deno === undefined
      ? { node: String(run.process?.version) }
      : { deno: run.Deno.version.deno };
    this.#folder?.line({
      ...{ type: "start", time: new Date().toISOString(), version: 1 },
      recorder: { name: "tfjs", version: "1.0.0" },
      framework: { name: "tensorflow.js", version: version.replace("tfjs-layers ", "") },
      ...{ versions: runtime, platform: "JavaScript", command: [], devices: [], mode: "import" },
      ...{ cpuOnly: false, rank: 0, worldSize: 1, threads: 1, seed: "", precision: {} },
      ...(this.#options.steps === undefined ? {} : { stopAfter: this.#options.steps }),
    });
    this.#describeNetwork(shape);
    this.#writeWeights("weights-start");
    this.#flush();
    if (this.#epoch !== undefined) this.#epochBegins(this.#epoch.loader, this.#epoch.number);
  }

  #compute(run: Compute, data: TensorLike[], training: boolean): TensorLike[] {
    const images = data[0];
    if (images.shape.length !== 4) return run(data);
    this.#careful("pass", () => this.#passBegins(images));
    this.#inside++;
    let result: TensorLike[] | undefined;
    try {
      result = run(data);
    } finally {
      this.#inside--;
    }
    this.#careful("pass", () => {
      if (training) return;
      const loss = result![0].dataSync()[0];
      this.#passEnds(images, data[this.#model.inputs.length], loss, false);
    });
    return result;
  }

  #passBegins(images: TensorLike): void {
    this.#watchOptimizer();
    this.#start(images.shape);
    this.#open = undefined;
    [this.#logits, this.#targets, this.#loss] = [undefined, undefined, undefined];
    this.#open = { images: Float32Array.from(images.dataSync()), shape: images.shape };
    // A loop of one's own: whether the pass before was for training is known by now.
  }

  /** A pass of a loop of one's own: the loss, and perhaps a step, are still to come. */
  #passGoesOn(images: TensorLike): void {
    if (this.#mode !== true) this.#passEnds(images, undefined, undefined, false);
  }

  /** The labels as they are multiplied with the scores: one-hot rows of the scores' shape. */
  #findTargets(inputs: object): void {
    const logits = this.#logits;
    if (logits === undefined || this.#targets !== undefined) return;
    for (const one of Object.values(inputs) as TensorLike[]) {
      if (one.id === logits.id || one.shape.join() !== logits.shape.join()) continue;
      const values = Float32Array.from(one.dataSync());
      const classes = one.shape[1];
      let whole = classes > 1;
      for (let row = 0; row < values.length && whole; row += classes) {
        const part = values.subarray(row, row + classes);
        whole = part.every((value) => value >= 0) &&
          Math.abs(part.reduce((sum, value) => sum + value, 0) - 1) < 1e-4;
      }
      if (whole) this.#targets = values;
    }
  }

  #passEnds(
    _images: unknown,
    targets: TensorLike | undefined,
    loss: number | undefined,
    training: boolean,
  ): void {
    const open = this.#open;
    if (open === undefined) return;
    const count = open.shape[0];
    const given = targets === undefined ? this.#targets : Float32Array.from(targets.dataSync());
    const labels = given && labelsOf(given, count);
    const logits = this.#logits?.shape[0] === count ? this.#logits.values : undefined;
    const errors = labels && logits && errorsOf(logits, labels);
    const pass: Pass = {
      ...{ images: count, training },
      ...(labels === undefined ? {} : { labels }),
      ...(errors === undefined ? {} : { errors }),
      ...(loss === undefined || !Number.isFinite(loss) ? {} : { loss }),
    };
    if (training) {
      this.#evaluationEnds();
      this.#next?.();
      this.#next = undefined;
    }
    this.#writePass(pass, open.images, open.shape, logits);
    (training ? this.#passes : this.#evaluation).push(pass);
    if (training && this.#epoch !== undefined) {
      this.#epoch.images += count;
      this.#epoch.batches++;
    }
    this.#open = undefined;
  }

  #writePass(
    pass: Pass,
    images: Float32Array,
    shape: readonly number[],
    logits: ArrayLike<number> | undefined,
  ): void {
    const [count, height, width, channels] = shape;
    const phase = pass.training ? "training" : "evaluation";
    const epoch = pass.training ? this.#epoch : undefined;
    const number = pass.training ? epoch?.number ?? 1 : this.#counts.evaluation + 1;
    const detailed = pass.training
      ? epoch === undefined
        ? ++this.#counts.loose <= LOOSE_PASSES
        : number <= DETAILED_EPOCHS || epoch.batches < DETAILED_BATCHES
      : number <= DETAILED_EVALUATIONS;
    if (!detailed) return;
    const most = pass.training ? (number <= DETAILED_EPOCHS ? KEPT_IMAGES : 0) : KEPT_TEST_IMAGES;
    const key = `${phase} ${epoch?.loader ?? 0} ${number}`;
    const before = this.#kept.get(key) ?? 0;
    const kept = Math.min(count, most - before);
    const size = height * width * channels;
    let file;
    if (kept > 0 && this.#folder?.hasRoom(4 * kept * size)) {
      this.#kept.set(key, before + kept);
      const arrays = new Map<string, WrittenArray>([["images", {
        shape: [kept, channels, height, width],
        values: transposed(images.subarray(0, kept * size), [kept, height * width, channels]),
      }]]);
      if (logits !== undefined) {
        const classes = logits.length / count;
        const values = Float32Array.from(logits).subarray(0, kept * classes);
        arrays.set("logits", { shape: [kept, classes], values });
      }
      if (pass.labels !== undefined) {
        const values = BigInt64Array.from(pass.labels.subarray(0, kept), BigInt);
        arrays.set("labels", { shape: [kept], values });
      }
      const name = `batches-${String(++this.#counts.files).padStart(4, "0")}`;
      file = this.#folder.file(name, arrays, { phase, iteration: `${this.#iteration}` });
    }
    this.#emit("batch", {
      ...{ phase, network: 1, images: count, ...this.#modes() },
      ...(epoch === undefined
        ? {}
        : { loader: epoch.loader, epoch: epoch.number, batch: epoch.batches }),
      range: rangeOf(images),
      hashes: base64(hashImages(images, count)),
      ...(pass.labels === undefined ? {} : { labels: base64(pass.labels) }),
      ...(pass.loss === undefined ? {} : { loss: pass.loss }),
      ...(pass.errors === undefined ? {} : { errors: pass.errors }),
      ...(file === undefined ? {} : { file }),
    });
  }

  /** Of the pass that ran last. */
  #modes(): Readonly<Record<string, unknown>> {
    const count =
      this.#model.layers.filter((one) => one.getClassName().startsWith("BatchNorm")).length;
    const training = this.#mode === true;
    return {
      mode: training ? "training" : "evaluation",
      ...(count === 0 ? {} : {
        norms: { training: training ? count : 0, evaluation: training ? 0 : count },
      }),
    };
  }

  #evaluationEnds(): void {
    const passes = this.#evaluation.splice(0);
    if (passes.length === 0) return;
    const images = sum(passes.map((one) => one.images));
    const known = passes.every(({ errors }) => errors !== undefined);
    this.#emit("evaluation", {
      ...{ network: 1, number: ++this.#counts.evaluation, images, ...this.#modes() },
      ...(known ? { errors: sum(passes.map((one) => one.errors!)) } : {}),
      batchImages: passes.map((one) => one.images).slice(0, 512),
      ...(known ? { batchErrors: passes.map((one) => one.errors!).slice(0, 512) } : {}),
    });
  }

  // Steps

  /** Before an optimiser's step; what is returned is to be called after it. */
  #stepBegins(optimizer: OptimizerLike, gradients: Gradients): () => void {
    const step = this.#iteration + 1;
    if (this.#open !== undefined) this.#passEnds(undefined, undefined, this.#loss, true);
    if (!this.#described) this.#describeOptimizer(optimizer, gradients);
    if (!this.#lossDescribed && this.#passes.length > 0) this.#describeLoss();
    const checked = step <= CHECKED_FIRST || step % CHECKED_EVERY === 0;
    const samples = checked ? this.#samples(optimizer, gradients) : [];
    const norm = checked
      ? Math.sqrt(sum(gradients.map(({ tensor }) => squares(tensor.dataSync()))))
      : undefined;
    const learningRate = rateOf(optimizer);
    return () => {
      this.#iteration = step;
      const passes = this.#passes.splice(0);
      const images = sum(passes.map((one) => one.images));
      const losses = passes.flatMap(({ loss }) => loss ?? []);
      const known = passes.length > 0 && passes.every(({ errors }) => errors !== undefined);
      const now = performance.now();
      const seconds = (now - this.#last) / 1000;
      this.#last = now;
      this.#emit("step", {
        ...{ steps: 1, optimizer: 1, images, passes: passes.length, learningRate, seconds },
        ...(losses.length > 0 ? { loss: sum(losses) / losses.length } : {}),
        ...(known ? { error: sum(passes.map((one) => one.errors!)) / images } : {}),
        ...this.#modes(),
        ...(this.#epoch && { loader: this.#epoch.loader, epoch: this.#epoch.number }),
        // Each call of the framework's `gradients` computes them anew.
        ...{ backwards: this.#backwards, cleared: true },
        ...(checked
          ? {
            checked: {
              gradientNorm: norm,
              withoutGradient: 0,
              nonFinite: Number.isFinite(norm) ? 0 : 1,
              replay: samples.map((sample) => sample()),
            },
          }
          : {}),
      });
      this.#backwards = 0;
      const { loader, number, size } = this.#epoch ?? {};
      if (loader !== undefined && size !== undefined && this.#epoch!.images >= size) {
        this.#epochEnds();
        this.#next = () => this.#epochBegins(loader, number! + 1, size);
      }
      if (step === 1 || step === 20) this.#parametersNow();
      if (this.#options.steps !== undefined && step >= this.#options.steps) {
        this.#model.stopTraining = true;
      }
    };
  }

  /** Up to six parameters before a step; each gives its entry of `replay` after it. */
  #samples(optimizer: OptimizerLike, gradients: Gradients): (() => Record<string, unknown>)[] {
    const last = gradients.length - 1;
    const places = new Set([0, 1, last >> 1, (last >> 1) + 1, last - 1, last]);
    const { momentum = 0, useNesterov = false } = optimizer.getConfig() as {
      momentum?: number;
      useNesterov?: boolean;
    };
    const rate = rateOf(optimizer);
    const isSgd = /^(SGD|Momentum)$/.test(classOf(optimizer));
    return [...places].filter((place) => gradients[place] !== undefined).map((place) => {
      const { name, tensor } = gradients[place];
      const own = this.#names.get(name) ?? name;
      const variable = this.#model.weights.find((one) => one.read().name === name);
      const take = (values: ArrayLike<number>) => Float64Array.from(values).subarray(0, SAMPLED);
      const weight = variable && take(variable.read().dataSync());
      const gradient = take(tensor.dataSync());
      const decay = this.#decayOf(own);
      if (weight) gradient.forEach((value, i) => gradient[i] = value - decay * weight[i]);
      const kept = optimizer.accumulations?.[place]?.variable;
      const buffer = kept ? take(kept.dataSync()) : new Float64Array(gradient.length);
      return () => {
        const after = take(variable!.read().dataSync());
        const update = after.map((value, i) => value - weight![i]);
        const expected = update.map((_, i) => {
          const slope = gradient[i] + decay * weight![i];
          const velocity = momentum * buffer[i] + slope;
          return -rate * (useNesterov ? slope + momentum * velocity : velocity);
        });
        const off = Math.sqrt(squares(update.map((value, i) => value - expected[i])));
        const size = Math.sqrt(squares(expected));
        const vectors = [update, gradient, buffer, weight!];
        return {
          ...{ parameter: own, group: 0, elements: update.length },
          updateNorm: Math.sqrt(squares(update)),
          ...(isSgd && size > 0 ? { predicted: off / size } : {}),
          gram: vectors.flatMap((a, i) =>
            vectors.slice(i).map((b) => a.reduce((total, value, j) => total + value * b[j], 0))
          ),
        };
      };
    });
  }

  /** Of a layer's L2 penalty l2 ‖w‖², whose gradient is 2 l2 w. */
  #decayOf(parameter: string): number {
    const layer = this.#model.layers.find(({ weights }) =>
      weights.some(({ originalName }) => originalName === parameter)
    );
    const penalty = layer?.kernelRegularizer?.l2;
    if (penalty === undefined || penalty === null || !parameter.endsWith("kernel")) return 0;
    return 2 *
      Number(typeof penalty === "number" ? penalty : (penalty as TensorLike).dataSync()[0]);
  }

  #describeOptimizer(optimizer: OptimizerLike, gradients: Gradients): void {
    this.#described = true;
    const { momentum = 0, useNesterov = false, ...rest } = optimizer.getConfig() as Record<
      string,
      unknown
    >;
    const kind = classOf(optimizer);
    const names = gradients.flatMap(({ name }) => this.#names.get(name) ?? []);
    const groups = groupBy(names, (name) => this.#decayOf(name));
    const sgd = /^(SGD|Momentum)$/.test(kind)
      ? { momentum, dampening: 0, nesterov: useNesterov }
      : rest;
    this.#emit("optimizer", {
      id: 1,
      // Its class with momentum is another; the formula is that of SGD.
      class: `tf.train.${kind === "Momentum" ? "SGD" : kind}`,
      defaults: {},
      groups: [...groups].map(([decay, of]) => ({
        ...{ learningRate: rateOf(optimizer), count: of.length, names: of },
        ...{ ...sgd, weight_decay: decay },
      })),
      foreign: gradients.length - names.length,
    });
  }

  #describeLoss(): void {
    this.#lossDescribed = true;
    const { loss } = this.#model;
    const name = typeof loss === "string" ? loss : (loss as { name?: string })?.name ?? "";
    const output = this.#model.outputLayers[0];
    const isSoftmax = output.getConfig().activation === "softmax" ||
      output.getClassName() === "Softmax";
    // By its name, or because it multiplies the labels with what it makes of the scores.
    const known = /crossentropy/i.test(name) || this.#targets !== undefined;
    this.#emit("loss", {
      id: 1,
      ...(known ? { function: "cross_entropy", reduction: "mean", targets: "probabilities" } : {}),
      ...{ calls: 1, chain: [], inNetwork: false },
      softmaxBelow: isSoftmax && this.#exponential,
    });
  }

  #parametersNow(): void {
    const changed = (one: VariableLike) => {
      const before = this.#previous.get(one.originalName);
      const now = one.read().dataSync();
      return before === undefined || before.some((value, i) => value !== now[i]);
    };
    const { weights } = this.#model;
    const names = (of: readonly VariableLike[]) => of.map(({ originalName }) => originalName);
    const same = weights.filter((one) => !changed(one));
    const trainable = weights.filter((one) => one.trainable);
    this.#emit("parameters", {
      ...{ network: 1, unheld: [], withoutGradient: [], schedulerCalls: {}, foreign: 0 },
      frozen: names(weights.filter((one) => !one.trainable && !isBuffer(one))),
      unchanged: names(same.filter((one) => trainable.includes(one))),
      buffersUnchanged: names(same.filter(isBuffer)),
    });
  }

  // Loaders and epochs

  #fitBegins(x: TensorLike, settings: FitSettings): void {
    const samples = Math.floor(x.shape[0] * (1 - (settings.validationSplit ?? 0)));
    const batchSize = settings.batchSize ?? 32;
    const loader = ++this.#loaders;
    this.#start(x.shape);
    this.#describeLoader(loader, "tf.Tensor", {
      ...{ size: samples, batches: Math.ceil(samples / batchSize), batchSize },
      shuffle: settings.shuffle !== false,
    });
    this.#epochBegins(loader, 1, samples);
  }

  #describeLoader(
    id: number,
    kind: string,
    fields: { readonly size?: number } & Readonly<Record<string, unknown>>,
  ): void {
    const dataset = {
      id,
      class: kind,
      attributes: {},
      ...(fields.size ? { size: fields.size } : {}),
    };
    this.#pending = () =>
      this.#emit("loader", {
        ...{
          id,
          datasets: [dataset],
          dropLast: false,
          sampler: kind,
          workers: 0,
        },
        ...{ workerInit: false, composed: false, ...fields },
      });
    if (this.#started) this.#flush();
  }

  #pending: (() => void) | undefined;
  /** Begins the epoch after one that is whole, where one follows. */
  #next: (() => void) | undefined;

  /** A loader is described after the first line, which is written at the first pass. */
  #flush(): void {
    this.#pending?.();
    this.#pending = undefined;
  }

  #epochBegins(loader: number, number: number, size?: number): void {
    this.#epoch = {
      loader,
      number,
      images: 0,
      batches: 0,
      ...(size === undefined ? {} : { size }),
    };
    if (this.#started) this.#emit("epoch", { border: "begin", loader, epoch: number });
  }

  #epochEnds(): void {
    const epoch = this.#epoch;
    this.#epoch = undefined;
    if (epoch === undefined || epoch.batches === 0) return;
    const { loader, number, batches, images, size } = epoch;
    const cut = this.#options.steps !== undefined && this.#iteration >= this.#options.steps;
    this.#emit("epoch", {
      ...{ border: "end", loader, epoch: number, batches, images },
      exhausted: size === undefined ? !cut : images >= size,
      ...(cut ? { cut: true } : {}),
    });
  }

  // The network

  #describeNetwork(shape: readonly number[]): void {
    const { layers, weights } = this.#model;
    const parameters = weights.filter((one) => !isBuffer(one));
    const size = ({ shape }: VariableLike) =>
      shape.reduce((product, extent) => product * extent, 1);
    const norms = layers.filter((one) => one.getClassName().startsWith("BatchNorm"));
    const drops = layers.filter((one) => one.getClassName().endsWith("Dropout"));
    const config = (one: LayerLike) => one.getConfig() as Record<string, number>;
    const { operations, inputs, outputs, output } = this.#traced(shape);
    this.#emit("network", {
      ...{ id: 1, class: `tf.${this.#model.getClassName()}`, wrappers: [] },
      parameters: parameters.map((one) => ({
        name: one.originalName,
        shape: layout(one).shape,
        trainable: one.trainable,
        dtype: "float32",
      })),
      trainable: sum(parameters.filter((one) => one.trainable).map(size)),
      frozen: sum(parameters.filter((one) => !one.trainable).map(size)),
      norms: norms.map((one) => ({
        class: "tf.BatchNormalization",
        eps: config(one).epsilon,
        // The share of the newest batch, where TensorFlow states that of what was.
        momentum: 1 - config(one).momentum,
        ...{ tracked: true, names: [one.name] },
      })),
      ...(drops.length === 0 ? {} : {
        dropouts: drops.map((one) => ({
          ...{ class: `tf.${one.getClassName()}`, p: config(one).rate, names: [one.name] },
        })),
      }),
      input: { shape: channelsFirst(shape), dtype: "float32" },
      output: { shape: [shape[0], ...output.slice(1)], dtype: "float32" },
    });
    this.#emit("graph", {
      ...{ network: 1, phase: "evaluation", mode: "evaluation", traced: "copy", images: 1 },
      ...{ inputs, outputs, nodes: operations },
    });
  }

  /** The kernels of a pass of one image of zeros, in evaluation mode: it leaves nothing behind. */
  #traced(shape: readonly number[]) {
    const parameters = new Map<number, string>();
    for (const one of this.#model.weights) parameters.set(one.read().id, one.originalName);
    const trace = new KernelTrace(
      parameters,
      () => this.#layer && { name: this.#layer.name, class: this.#layer.getClassName() },
    );
    let inputs: number[] = [], outputs: number[] = [], output: readonly number[] = [];
    this.#inside++;
    try {
      this.#engine.tidy(() => {
        const one = [1, ...shape.slice(1)];
        const zeros = new Float32Array(one.reduce((product, extent) => product * extent, 1));
        const images = this.#engine.makeTensor(zeros, one, "float32");
        inputs = [trace.value(images)];
        this.#trace = trace;
        const result = this.#model.call(images, {});
        const [scores] = (Array.isArray(result) ? result : [result]) as TensorLike[];
        output = scores.shape;
        outputs = [trace.numberOf(scores)].filter((number) => number !== undefined);
      });
    } finally {
      this.#trace = undefined;
      this.#inside--;
    }
    return { operations: trace.operations, inputs, outputs, output };
  }

  #writeWeights(kind: "weights-start" | "weights-end"): void {
    const arrays = new Map(
      this.#model.weights.map((one) => [one.originalName, layout(one)] as const),
    );
    if (kind === "weights-start") {
      for (const one of this.#model.weights) {
        this.#previous.set(one.originalName, Float32Array.from(one.read().dataSync()));
      }
    }
    const bytes = sum([...arrays.values()].map(({ values }) => values.byteLength));
    if (!this.#folder?.hasRoom(2 * bytes)) return;
    this.#emit("file", {
      kind,
      network: 1,
      file: this.#folder.file(kind, arrays, { network: "1" }),
    });
  }

  end(reason: string): void {
    this.#careful("end", () => {
      this.#evaluationEnds();
      if (this.#started) {
        this.#parametersNow();
        this.#writeWeights("weights-end");
      }
      const { steps } = this.#options;
      const stopped = steps !== undefined && this.#iteration >= steps;
      if (stopped) this.#emit("stop", { reason: `after ${steps} steps, as was asked` });
      this.#emit("end", {
        ...{ reason: stopped ? "steps" : reason, optimizerSteps: { 1: this.#iteration } },
        ...{ schedulerCalls: {}, evaluations: this.#counts.evaluation },
        logSha256: this.#folder!.logSha256,
      });
    });
    this.#stop();
  }
}

/** Kernels as [out, in, rows, columns], dense ones as [out, in], as every recorder writes them. */
function layout(variable: VariableLike): { shape: number[]; values: Float32Array } {
  const values = variable.read().dataSync();
  const { shape } = variable;
  if (shape.length === 4) {
    const [rows, columns, inputs, outputs] = shape;
    return {
      shape: [outputs, inputs, rows, columns],
      // [R C, I, O] to [O, R C I] to [O, I, R C].
      values: transposed(
        transposed(values, [1, rows * columns * inputs, outputs]),
        [outputs, rows * columns, inputs],
      ),
    };
  }
  if (shape.length === 2) {
    const [inputs, outputs] = shape;
    return { shape: [outputs, inputs], values: transposed(values, [1, inputs, outputs]) };
  }
  return { shape: [...shape], values: Float32Array.from(values) };
}

function isBuffer({ originalName }: VariableLike): boolean {
  return /moving_(mean|variance)$/.test(originalName);
}

function classOf(optimizer: OptimizerLike): string {
  return optimizer.getClassName?.() ??
    (optimizer.constructor as { className?: string }).className ?? optimizer.constructor.name;
}

function rateOf(optimizer: OptimizerLike): number {
  return optimizer.learningRate ?? Number(optimizer.getConfig().learningRate);
}

function asList(gradients: unknown): Gradients {
  if (Array.isArray(gradients)) return gradients;
  return Object.entries(gradients as Record<string, TensorLike>)
    .map(([name, tensor]) => ({ name, tensor }));
}

/** Whole labels of one-hot rows, or of labels as they are. */
function labelsOf(targets: Float32Array, count: number): Int32Array {
  const classes = targets.length / count;
  if (classes === 1) return Int32Array.from(targets);
  return Int32Array.from({ length: count }, (_, row) => argmax(targets, row, classes));
}

function errorsOf(logits: ArrayLike<number>, labels: Int32Array): number {
  const classes = logits.length / labels.length;
  return labels.reduce(
    (total, label, row) => total + Number(argmax(logits, row, classes) !== label),
    0,
  );
}

function argmax(values: ArrayLike<number>, row: number, classes: number): number {
  let best = 0;
  for (let i = 1; i < classes; i++) {
    if (values[row * classes + i] > values[row * classes + best]) best = i;
  }
  return best;
}

/** Smallest value, largest, and mean. */
function rangeOf(values: Float32Array): number[] {
  let [least, most, total] = [Infinity, -Infinity, 0];
  for (const value of values) {
    if (value < least) least = value;
    if (value > most) most = value;
    total += value;
  }
  return [least, most, total / values.length];
}

/** As `Map.groupBy`, which Node 20 does not have. */
function groupBy<Item, Key>(items: readonly Item[], keyOf: (item: Item) => Key): Map<Key, Item[]> {
  const groups = new Map<Key, Item[]>();
  for (const item of items) {
    const key = keyOf(item), group = groups.get(key);
    if (group === undefined) groups.set(key, [item]);
    else group.push(item);
  }
  return groups;
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}

function squares(values: ArrayLike<number>): number {
  let total = 0;
  for (let i = 0; i < values.length; i++) total += values[i] ** 2;
  return total;
}
