/** The weights within an unpickled object: a state dict, a module, or a checkpoint around them. */
import { entriesOf, isModule } from "./saved_training.ts";
import { InertObject } from "./_pickle.ts";
import { StoredTensor } from "./_stored_tensor.ts";
import { numpyArray } from "./_torch_globals.ts";
import { quote } from "../text/mod.ts";
import { WeightFileError } from "../resnet/mod.ts";

/** Tensors by name. */
export interface StateDict {
  /** Keys on the way to it, with dots between them; empty for the file's own object. */
  readonly path: string;
  /** In the file's order. */
  readonly tensors: ReadonlyMap<string, StoredTensor>;
  /** What stands among them and is no tensor: name and class. */
  readonly others: ReadonlyMap<string, string>;
}

/** The model's weights, and whatever else the object holds. */
export interface FoundWeights extends StateDict {
  /** Further dicts: of the same arrays, such as a running average, or another model's. */
  readonly further: readonly StateDict[];
}

/** Keys under which training scripts put the model beside epoch, optimiser and so on. */
const STATE_DICT_KEYS = ["state_dict", "model", "model_state_dict", "net"];
/** Words for what is not the model that was trained, but was made of it. */
export const COPY =
  /(^|[._])(ema|swa|avg|averaged?|shadow|teacher|t|target|momentum|slow|best)($|[._])|ema$/i;

const DEEPEST = 32;
/** ResNet-1202's state dict has 7,219; a pickle may refer to one dict any number of times. */
const MOST_NAMES = 100_000;
/** A line of Python that saves what is read here. */
const SAVE =
  'torch.save(torch.load(FILE, map_location="cpu", weights_only=False).state_dict(), OUT)';

/**
 * Finds the model's weights.
 *
 * @throws {WeightFileError} If there are none, or several models among which nothing chooses.
 */
export function findWeights(root: unknown): FoundWeights {
  const dicts = dictsIn(root);
  if (dicts.length === 0) throw new WeightFileError(nothingIn(root));
  const last = ({ path }: StateDict) => path.split(".").at(-1)!;
  const own = dicts.filter(({ path }) => !COPY.test(path));
  const named = STATE_DICT_KEYS.flatMap((key) => own.filter((dict) => last(dict) === key));
  const [first] = named.length > 0 ? named : own.length > 0 ? own : dicts;
  const rest = dicts.filter((dict) => dict !== first);
  const isCopy = (dict: StateDict) => formOf(dict) === formOf(first);
  // Beside a teacher, a student is the one that was trained.
  const isTold = named.length > 0 || (isNet(first) && (own.length === 1 || rest.every(isCopy)));
  if (!isTold && rest.length > 0) {
    throw new WeightFileError(
      `the file must hold one dict of tensors, or one called ${
        STATE_DICT_KEYS.join(", ")
      }; it has ${dicts.length}, under the keys ${
        dicts.slice(0, 8).map(({ path }) => quote(path)).join(", ")
      }. Save the model's state_dict() alone`,
    );
  }
  return { ...first, further: isNet(first) ? rest : [] };
}

/** The dicts of tensors in an object; of those that are whole nets, if any is, these alone. */
function dictsIn(root: unknown): readonly StateDict[] {
  const search = new Search();
  const found = search.under(root);
  const nets = found.filter(isNet);
  if (nets.length > 0) return nets;
  // A dict a layer: together they may be a net.
  const together = search.flattened(root);
  return together && found.length > 1 && isNet(together) ? [together] : found;
}

/** Whether there are a convolution's kernel and a dense layer's. */
function isNet({ tensors }: StateDict): boolean {
  const rank = (axes: number) =>
    tensors.values().some(({ layout }) => layout.shape.length === axes);
  return rank(4) && rank(2);
}

const hasKernel = ({ layout }: StoredTensor) => layout.shape.length > 1;

/** What copies of one model share: the shapes of its arrays with two axes or more. */
function formOf({ tensors }: StateDict): string {
  return tensors.values().filter(hasKernel)
    .map(({ layout }) => layout.shape.join()).toArray().sort().join(" ");
}

/** One walk through an object. */
class Search {
  readonly #seen = new Set<unknown>();
  #names = 0;

  under(value: unknown, path = "", depth = 0): StateDict[] {
    if (depth > DEEPEST || this.#seen.has(value)) return [];
    this.#seen.add(value);
    if (Array.isArray(value)) {
      return value.slice(0, 64).flatMap((item, i) => this.under(item, join(path, i), depth + 1));
    }
    const entries = entriesOf(value);
    // An optimiser's momentum is shaped as the weights are.
    if (!entries || entries.has("param_groups")) return [];
    if (isModule(value)) {
      const tensors = new Map<string, StoredTensor>();
      const others = new Map<string, string>();
      this.#module(value, "", tensors, others, 0);
      return tensors.size + others.size > 0 ? [{ path, tensors, others }] : [];
    }
    const inside = [...entries].flatMap(([key, item]) =>
      typeof key === "string" ? this.under(item, join(path, key), depth + 1) : []
    );
    const own = entries.values().some((item) => tensorOf(item) || isQuantised(item));
    if (!own || inside.length === 1 || inside.some(isNet)) return inside;
    const { tensors, others } = this.flattened(value)!;
    return [{ path, tensors, others }];
  }

  /** All tensors of a dict and of the dicts in it, as one. */
  flattened(value: unknown): StateDict | undefined {
    const entries = entriesOf(value);
    if (!entries) return undefined;
    const tensors = new Map<string, StoredTensor>();
    const others = new Map<string, string>();
    this.#dict(entries, "", tensors, others, 0);
    return { path: "", tensors, others };
  }

  /** Tensors of a dict, and of the dicts in it. */
  #dict(
    entries: ReadonlyMap<unknown, unknown>,
    prefix: string,
    tensors: Map<string, StoredTensor>,
    others: Map<string, string>,
    depth: number,
  ): void {
    for (const [key, item] of entries) {
      if (typeof key !== "string") continue;
      const name = prefix + key;
      this.#count();
      const tensor = tensorOf(item);
      if (tensor) tensors.set(name, tensor);
      else if (item instanceof Map && !item.has("param_groups") && depth < DEEPEST) {
        this.#dict(item, `${name}.`, tensors, others, depth + 1);
      } else if (item instanceof InertObject) others.set(name, item.name);
    }
  }

  /** The tensors of a pickled module, in the order of its `state_dict()`. */
  #module(
    module: InertObject,
    prefix: string,
    tensors: Map<string, StoredTensor>,
    others: Map<string, string>,
    depth: number,
  ): void {
    this.#count();
    const state = entriesOf(module)!;
    const unsaved = state.get("_non_persistent_buffers_set");
    for (const kind of ["_parameters", "_buffers"]) {
      const arrays = state.get(kind);
      if (!(arrays instanceof Map)) continue;
      for (const [key, item] of arrays) {
        if (Array.isArray(unsaved) && unsaved.includes(key)) continue;
        this.#count();
        const tensor = tensorOf(item);
        if (tensor) tensors.set(`${prefix}${key}`, tensor);
        else if (item instanceof InertObject) others.set(`${prefix}${key}`, item.name);
      }
    }
    const modules = state.get("_modules");
    // TorchScript has neither: its parts are attributes like any other.
    const parts = modules instanceof Map ? modules : state.has("_parameters") ? [] : state;
    for (const [key, item] of parts) {
      const tensor = modules instanceof Map ? undefined : tensorOf(item);
      if (tensor) tensors.set(`${prefix}${key}`, tensor);
      else if (item instanceof InertObject && entriesOf(item) && depth < DEEPEST) {
        this.#module(item, `${prefix}${key}.`, tensors, others, depth + 1);
      }
    }
  }

  #count(): void {
    if (++this.#names > MOST_NAMES) {
      throw new WeightFileError(`a pickle of at most ${MOST_NAMES} names of tensors is read`);
    }
  }
}

function tensorOf(value: unknown): StoredTensor | undefined {
  return value instanceof StoredTensor ? value : numpyArray(value);
}

const QUANTISED = /_rebuild_qtensor|quantized|_packed_params|QU?Int\d+Storage/;

function isQuantised(value: unknown): boolean {
  return value instanceof InertObject && QUANTISED.test(value.name);
}

/**
 * Refuses weights that need more than tensors.
 *
 * @throws {WeightFileError} If one has a class of its own, or is quantised.
 */
export function expectTensors({ tensors, others }: StateDict): void {
  for (const [name, type] of others) {
    if (QUANTISED.test(type)) {
      throw new WeightFileError(
        `the model is quantised: ${
          quote(name)
        } is stored as whole numbers with a scale, which are not the weights that were trained; give the file of the float model`,
      );
    }
    // What stands among tensors under another name may be anything.
    if (/(^|\.)(weight|bias|kernel|running_mean|running_var)$/.test(name)) {
      throw new WeightFileError(
        `${quote(name)} of the state dict is an object of ${
          quote(type)
        }, and weights need nothing but tensors; save the model's state_dict() of plain float tensors`,
      );
    }
  }
  if (tensors.size === 0) throw new WeightFileError("the file holds no tensors");
}

function nothingIn(root: unknown): string {
  if (root instanceof InertObject) {
    return `the file holds an object of ${
      quote(root.name)
    } whose weights need its class; where that class is at hand, save its weights alone: ${SAVE}`;
  }
  if (!(root instanceof Map)) {
    return "the file holds no dict; save the model's state_dict()";
  }
  const keys = [...root.keys()].filter((key) => typeof key === "string").slice(0, 8);
  return `the file must hold a dict of tensors; it has 0, and the keys ${
    keys.map(quote).join(", ") || "of no text"
  }. Save the model's state_dict() alone`;
}

function join(path: string, key: string | number): string {
  return path === "" ? String(key) : `${path}.${key}`;
}
