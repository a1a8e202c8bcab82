/**
 * What a Keras model's description says of its layers: which there are, in which
 * order they are called, and on what. Keras 2 and 3 and TensorFlow.js write the
 * same thing in three ways.
 *
 * Source: keras/src/models/functional.py and sequential.py of Keras 3.15, and
 * tfjs-layers/src/engine/container.ts of TensorFlow.js 4.22.
 */
import { isRecord } from "./_json.ts";
import { quote } from "../text/mod.ts";
import { WeightFileError } from "../resnet/mod.ts";

/** ResNet-1202 has 4,800 layers. */
const MOST_LAYERS = 20_000;
const DEEPEST = 8;

/** One layer of a model. */
export interface KerasLayer {
  readonly className: string;
  readonly config: Readonly<Record<string, unknown>>;
  /** Whether it is Keras's own; the code of others is not in the file. */
  readonly isOwn: boolean;
  /** Names of the models that it is in and its own, with slashes. */
  readonly path: string;
  /** Where Keras 3 keeps its arrays: named after its class, `layers/conv2d_1`. */
  readonly group: string;
}

/** A layer that is called: on which values, and which it gives. */
export interface KerasCall {
  readonly layer: KerasLayer;
  readonly inputs: readonly string[];
  readonly output: string;
  /** What else the call has, by position. */
  readonly parameters: readonly unknown[];
}

/** Layers in the order in which they are called. */
export interface KerasTopology {
  readonly calls: readonly KerasCall[];
  /** The values that are given. */
  readonly inputs: readonly {
    readonly name: string;
    readonly shape: readonly (number | undefined)[];
  }[];
  readonly outputs: readonly string[];
}

/**
 * Reads the description of a model.
 *
 * @param description With `class_name` and `config`.
 * @returns Undefined where it is a class of somebody's own, whose layers are not listed.
 * @throws {WeightFileError} If it is malformed.
 */
export function readTopology(description: unknown): KerasTopology | undefined {
  if (!isModelOf(description)) return undefined;
  return new Topology().read(description);
}

interface Description {
  readonly class_name: string;
  readonly config: Readonly<Record<string, unknown>>;
  readonly inbound_nodes?: unknown;
  readonly registered_name?: unknown;
  readonly module?: unknown;
  readonly name?: unknown;
}

function isDescription(value: unknown): value is Description {
  return isRecord(value) && typeof value.class_name === "string" &&
    (isRecord(value.config) || Array.isArray(value.config));
}

const MODELS = /^(Model|Functional|Sequential)$/;

function isModelOf(value: unknown): value is Description {
  return isDescription(value) && MODELS.test(value.class_name) && layersOf(value) !== undefined;
}

/** Before version 2.2 a Sequential's config was the list itself. */
function layersOf({ config }: Description): readonly unknown[] | undefined {
  const layers = Array.isArray(config) ? config : config.layers;
  return Array.isArray(layers) ? layers : undefined;
}

/** A value as a description refers to it: the layer's name, and which call of it. */
interface Reference {
  readonly layer: string;
  readonly call: number;
}

/** A call before it is known where its inputs come from. */
interface Pending {
  readonly layer: KerasLayer;
  readonly description: Description;
  readonly key: string;
  readonly inputs: readonly Reference[];
  readonly parameters: readonly unknown[];
}

class Topology {
  readonly #calls: KerasCall[] = [];
  readonly #inputs: KerasTopology["inputs"][number][] = [];
  #listed = 0;

  read(description: Description): KerasTopology {
    const outputs = this.#model(description, "", "", "", undefined, 0);
    return { calls: this.#calls, inputs: this.#inputs, outputs };
  }

  /** Calls a model on values, or on inputs of its own; returns what it gives. */
  #model(
    model: Description,
    path: string,
    group: string,
    prefix: string,
    given: readonly string[] | undefined,
    depth: number,
  ): readonly string[] {
    if (depth > DEEPEST) throw malformed(`models stand in each other more than ${DEEPEST} deep`);
    const listed = layersOf(model)!;
    // A model within may be called again and again.
    this.#listed += listed.length;
    if (this.#listed > 4 * MOST_LAYERS) throw malformed(`it has more than ${MOST_LAYERS} layers`);
    const layers = listed.map((layer): Description => {
      if (isDescription(layer)) return layer;
      throw malformed("a layer has no class or no settings");
    });
    const counts = new Map<string, number>();
    const known = layers.map((description) => {
      const { class_name: className, config } = description;
      const name = String(description.name ?? config.name ?? className);
      const snake = snakeCase(className);
      const count = counts.get(snake) ?? 0;
      counts.set(snake, count + 1);
      return {
        description,
        name,
        layer: {
          className,
          config,
          isOwn: isOwn(description),
          path: path === "" ? name : `${path}/${name}`,
          group: `${group}layers/${snake}${count > 0 ? `_${count}` : ""}`,
        },
      };
    });
    if (model.class_name === "Sequential") {
      return this.#chain(known, prefix, given, depth);
    }
    const values = new Map<string, string>();
    const inputs = referencesIn(model.config.input_layers).map(keyOf);
    if (given && given.length !== inputs.length) {
      throw malformed(`a model of ${inputs.length} inputs is called on ${given.length} values`);
    }
    inputs.forEach((key, i) => {
      if (given) values.set(key, given[i]);
    });
    const pending: Pending[] = [];
    for (const { description, name, layer } of known) {
      if (layer.className === "InputLayer") {
        const key = keyOf({ layer: name, call: 0 });
        if (!values.has(key)) values.set(key, this.#input(layer, prefix));
        continue;
      }
      callsOf(description).forEach((call, i) =>
        pending.push({ layer, description, key: keyOf({ layer: name, call: i }), ...call })
      );
      if (pending.length > MOST_LAYERS) {
        throw malformed(`it has more than ${MOST_LAYERS} layers`);
      }
    }
    for (const { key, layer, description, inputs, parameters } of inOrder(pending, values)) {
      const from = inputs.map((reference) => values.get(keyOf(reference))!);
      const outputs = this.#call(layer, description, from, parameters, `${prefix}${key}`, depth);
      values.set(key, outputs[0]);
    }
    return referencesIn(model.config.output_layers).map((reference) => {
      const value = values.get(keyOf(reference));
      if (value === undefined) {
        throw malformed(`no layer gives the output ${quote(reference.layer)}`);
      }
      return value;
    });
  }

  #chain(
    layers: readonly { description: Description; name: string; layer: KerasLayer }[],
    prefix: string,
    given: readonly string[] | undefined,
    depth: number,
  ): readonly string[] {
    let value = given?.[0];
    layers.forEach(({ layer, description, name }, i) => {
      if (layer.className === "InputLayer") {
        value ??= this.#input(layer, prefix);
        return;
      }
      value ??= this.#input(layer, prefix);
      const key = `${prefix}${name}:${i}`;
      [value] = this.#call(layer, description, [value], [], key, depth);
    });
    if (value === undefined) throw malformed("a model has no layers");
    return [value];
  }

  #call(
    layer: KerasLayer,
    description: Description,
    inputs: readonly string[],
    parameters: readonly unknown[],
    output: string,
    depth: number,
  ): readonly string[] {
    if (isModelOf(description)) {
      const { path, group } = layer;
      return this.#model(description, path, `${group}/`, `${output}/`, inputs, depth + 1);
    }
    this.#calls.push({ layer, inputs, output, parameters });
    if (this.#calls.length > MOST_LAYERS) {
      throw malformed(`it has more than ${MOST_LAYERS} layers`);
    }
    return [output];
  }

  /** What stands at a model's beginning: a first layer of a Sequential may say its input's shape. */
  #input({ path, config }: KerasLayer, prefix: string): string {
    const shape = config.batch_shape ?? config.batch_input_shape;
    if (!Array.isArray(shape) || shape.length > 8) {
      throw malformed(`the shape of the images is missing where ${quote(path)} takes them`);
    }
    const name = `${prefix}${path} (input)`;
    this.#inputs.push({
      name,
      shape: shape.map((extent) =>
        Number.isSafeInteger(extent) && extent > 0 ? extent as number : undefined
      ),
    });
    return name;
  }
}

/** Each after those that give what it takes. */
function inOrder(
  pending: readonly Pending[],
  given: ReadonlyMap<string, string>,
): readonly Pending[] {
  const waiting = new Map<string, Pending[]>();
  const missing = new Map<Pending, number>();
  const ready: Pending[] = [];
  for (const call of pending) {
    const open = new Set(call.inputs.map(keyOf).filter((key) => !given.has(key)));
    missing.set(call, open.size);
    if (open.size === 0) ready.push(call);
    for (const key of open) {
      const others = waiting.get(key);
      if (others) others.push(call);
      else waiting.set(key, [call]);
    }
  }
  const done: Pending[] = [];
  // The list grows while it is walked.
  for (const call of ready) {
    done.push(call);
    for (const next of waiting.get(call.key) ?? []) {
      const left = missing.get(next)! - 1;
      missing.set(next, left);
      if (left === 0) ready.push(next);
    }
  }
  if (done.length < pending.length) {
    const stuck = pending.find((call) => missing.get(call)! > 0)!;
    throw malformed(`${quote(stuck.layer.path)} takes what no layer gives`);
  }
  return done;
}

const keyOf = ({ layer, call }: Reference): string => `${layer}:${call}`;

/** The calls of a layer, as any of the three writes them. */
function callsOf(
  { inbound_nodes: nodes = [] }: Description,
): { inputs: Reference[]; parameters: readonly unknown[] }[] {
  if (!Array.isArray(nodes)) throw malformed("the calls of a layer are no list");
  return nodes.map((node) => {
    if (isRecord(node)) {
      const parameters = Array.isArray(node.args) ? node.args : [];
      return { inputs: tensorsIn(parameters), parameters };
    }
    const inputs = referencesIn(node);
    const [first] = Array.isArray(node) ? node : [];
    return { inputs, parameters: Array.isArray(first) ? [first[3]] : [] };
  });
}

/** Keras 3 has its tensors anywhere in the arguments. */
function tensorsIn(value: unknown, depth = 0): Reference[] {
  if (depth > DEEPEST) return [];
  if (Array.isArray(value)) return value.flatMap((item) => tensorsIn(item, depth + 1));
  if (!isRecord(value) || value.class_name !== "__keras_tensor__" || !isRecord(value.config)) {
    return [];
  }
  return referencesIn(value.config.keras_history);
}

/** `["conv", 0, 0]`, or a list of such, or a dict of such. */
function referencesIn(value: unknown, depth = 0): Reference[] {
  if (depth > DEEPEST) return [];
  if (isRecord(value)) return Object.values(value).flatMap((item) => referencesIn(item, depth + 1));
  if (!Array.isArray(value)) return [];
  const [layer, call] = value;
  return typeof layer === "string" && typeof call === "number"
    ? [{ layer, call }]
    : value.flatMap((item) => Array.isArray(item) ? referencesIn(item, depth + 1) : []);
}

/** Keras 3 says where a class is from; before, nothing but its name does. */
function isOwn(
  { class_name: name, module, registered_name: registered }: Description,
): boolean {
  if (typeof registered === "string" && registered.includes(">")) return false;
  return typeof module === "string"
    ? /^(keras|tensorflow|tf_keras)\b/.test(module)
    : LAYERS.has(name) || MODELS.test(name);
}

/** The classes of keras.layers for images and vectors, and those of TensorFlow.js. */
const LAYERS: ReadonlySet<string> = new Set(
  [
    "InputLayer Conv1D Conv2D Conv3D Conv2DTranspose SeparableConv1D SeparableConv2D",
    "DepthwiseConv1D DepthwiseConv2D LocallyConnected2D Dense EinsumDense Embedding",
    "BatchNormalization LayerNormalization GroupNormalization UnitNormalization",
    "SpectralNormalization RMSNormalization Normalization Rescaling Resizing CenterCrop",
    "Activation ReLU LeakyReLU PReLU ELU Softmax ThresholdedReLU Identity Masking",
    "Add Subtract Multiply Average Maximum Minimum Concatenate Dot",
    "MaxPooling1D MaxPooling2D AveragePooling1D AveragePooling2D GlobalMaxPooling1D",
    "GlobalMaxPooling2D GlobalAveragePooling1D GlobalAveragePooling2D AdaptiveAveragePooling2D",
    "Flatten Reshape Permute RepeatVector ZeroPadding1D ZeroPadding2D Cropping1D Cropping2D",
    "UpSampling1D UpSampling2D Dropout SpatialDropout1D SpatialDropout2D AlphaDropout",
    "GaussianDropout GaussianNoise ActivityRegularization Attention MultiHeadAttention",
    // Operations that Keras 3 makes of x[...], x + y and the like.
    "GetItem Pad Relu",
    "LSTM GRU SimpleRNN Bidirectional TimeDistributed RandomFlip RandomCrop RandomRotation",
    "RandomTranslation RandomZoom RandomContrast RandomBrightness RandomHeight RandomWidth",
  ].flatMap((line) => line.split(" ")),
);

/** As keras/src/utils/naming.py: BatchNormalization is batch_normalization, Conv2D conv2d. */
export function snakeCase(name: string): string {
  return name.replace(/\W+/g, "").replace(/(.)([A-Z][a-z]+)/g, "$1_$2")
    .replace(/([a-z])([A-Z])/g, "$1_$2").toLowerCase();
}

function malformed(reason: string): WeightFileError {
  return new WeightFileError(
    `not a well-formed description of a Keras model: ${reason}; save the model again`,
  );
}
