/** Which arrays of a file belong to which layer of a Keras model, and what it was compiled with. */
import type { KerasLayer } from "./_keras_topology.ts";
import { isRecord } from "./_json.ts";
import type { SavedTraining, Scalar } from "./saved_training.ts";
import type { Tensor, Weights } from "../resnet/mod.ts";

/** Where an array stands: its layer, and its name or number within it. */
export interface Place {
  readonly layer: string;
  readonly role: string;
}

/** `conv2d/kernel`, and Keras 2's `conv2d/conv2d/kernel:0`. */
export function named(name: string): Place {
  const parts = name.replace(/:\d+$/, "").split("/");
  const role = parts.pop()!;
  return { layer: parts.filter((part, i) => part !== parts[i - 1]).join("/"), role };
}

/**
 * The arrays of each layer, told by the places that their names give.
 *
 * @param tensors All of the file.
 * @param placeOf Undefined for arrays of no layer, such as an optimiser's.
 * @param namesOf What a layer may be called there, the likeliest first.
 */
export function layerOf(
  tensors: Weights,
  placeOf: (name: string) => Place | undefined,
  // Keras 2 names arrays of models within models by the inner layer alone.
  namesOf = ({ path }: KerasLayer): readonly string[] => [path, path.split("/").at(-1)!],
): (layer: KerasLayer) => Weights {
  const layers = new Map<string, Map<string, Tensor>>();
  for (const [name, tensor] of tensors) {
    const place = placeOf(name);
    if (!place) continue;
    const arrays = layers.get(place.layer) ?? new Map<string, Tensor>();
    layers.set(place.layer, arrays);
    arrays.set(place.role, tensor);
  }
  const none: Weights = new Map();
  return (layer) => {
    const name = namesOf(layer).find((name) => layers.has(name));
    return withRoles(name === undefined ? none : layers.get(name)!, layer);
  };
}

/** Arrays that are numbered, as Keras 3 keeps them, by the names of what their layer makes. */
export function withRoles(
  arrays: Weights,
  { className, config }: Pick<KerasLayer, "className" | "config">,
): Weights {
  if (!arrays.has("0")) return arrays;
  const roles = className === "BatchNormalization"
    ? [
      ...(config.scale === false ? [] : ["gamma"]),
      ...(config.center === false ? [] : ["beta"]),
      ...["moving_mean", "moving_variance"],
    ]
    : className === "Normalization"
    ? ["mean", "variance", "count"]
    : ["kernel", "bias"];
  return new Map(
    roles.flatMap((role, i) => {
      const tensor = arrays.get(String(i));
      return tensor ? [[role, tensor] as const] : [];
    }),
  );
}

/** Arrays without those of layers that prepare images, which no layer of a residual net has. */
export function withoutPreparation(tensors: Weights): Weights {
  const groups = Map.groupBy(tensors.keys(), (name) => named(name).layer);
  const prepared = new Set(
    groups.values().filter((names) =>
      names.map((name) => named(name).role).toSorted().join() === "count,mean,variance"
    ).flatMap((names) => names),
  );
  return new Map([...tensors].filter(([name]) => !prepared.has(name)));
}

const PYTORCH_NAMES: ReadonlyMap<string, string> = new Map([
  ["learning_rate", "lr"],
  ["beta_1", "betas.0"],
  ["beta_2", "betas.1"],
]);

/** What `compile` was told of the optimiser, as a checkpoint of PyTorch would say it. */
export function compiledTraining(compiled: unknown): SavedTraining | undefined {
  if (!isRecord(compiled)) return undefined;
  const optimiser = compiled.optimizer ?? compiled.optimizer_config;
  if (!isRecord(optimiser) || !isRecord(optimiser.config)) return undefined;
  const settings: Record<string, Scalar> = {};
  for (const [name, value] of Object.entries(optimiser.config).slice(0, 100)) {
    if (["number", "boolean", "string"].includes(typeof value)) {
      settings[PYTORCH_NAMES.get(name) ?? name] = value as Scalar;
    }
  }
  return {
    optimisers: new Map([["optimizer", { groups: [{ settings, parameters: 0 }], slots: [] }]]),
    schedulers: new Map(),
    values: new Map(),
  };
}
