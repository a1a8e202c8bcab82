/** Files that hold several models: weights and their running average, a student and its teacher. */
import { COPY } from "./_state_dict.ts";
import { quote } from "../text/mod.ts";
import type { Tensor, Weights } from "../resnet/mod.ts";

/** One of the copies, and what is to be said of the others. */
export interface ChosenCopy {
  /** Under the file's own names, its prefix included. */
  readonly tensors: Weights;
  /** Where there are others: what they are called, and which was chosen. */
  readonly notes: readonly string[];
}

/** What wrappers put before every name. */
const WRAPPERS = /^((module|_orig_mod|model|ema|ema_model|averaged_model|net|backbone)[./])+/;

/**
 * Chooses among copies of one model, or models, that stand under prefixes of one file.
 *
 * @param tensors Under the file's own names.
 * @returns All arrays where there is one.
 *
 * @example
 * ```ts
 * import { chooseCopy } from "./copies.ts";
 * import { assertEquals } from "@std/assert";
 *
 * const kernel = { shape: [16, 3, 3, 3], data: new Float32Array(432) };
 * const dense = { shape: [10, 64], data: new Float32Array(640) };
 * const { tensors, notes } = chooseCopy(new Map([
 *   ["ema.conv.weight", kernel], ["ema.fc.weight", dense],
 *   ["model.conv.weight", kernel], ["model.fc.weight", dense],
 * ]));
 * assertEquals([...tensors.keys()], ["model.conv.weight", "model.fc.weight"]);
 * assertEquals(notes.length, 1);
 * ```
 */
export function chooseCopy(tensors: Weights): ChosenCopy {
  const common = commonPrefix([...tensors.keys()]);
  const prefixOf = (name: string) => common + /^[^./]*/.exec(name.slice(common.length))![0];
  const groups = [...Map.groupBy(tensors, ([name]) => prefixOf(name))]
    .map(([prefix, arrays]): Group => ({ prefix, arrays }));
  const nets = groups.filter(isNet);
  const several = [...Map.groupBy(nets, formOf).values()].filter((same) => same.length > 1);
  // A net whose stages have equal arrays is no set of copies: each copy has its own last layer.
  if (several.length === 1) return chosenOf(several[0], "copies of the weights");
  const whole = nets.filter(takesImages);
  const rest = {
    prefix: "",
    arrays: groups.filter((group) => !whole.includes(group)).flatMap(({ arrays }) => arrays),
  };
  // What has its own layers at the top may hold another net.
  const different = isNet(rest) && takesImages(rest) ? [rest, ...whole] : whole;
  if (different.length < 2) return { tensors, notes: [] };
  return chosenOf(different, "networks' weights");
}

/** Arrays whose names begin alike. */
interface Group {
  readonly prefix: string;
  readonly arrays: readonly (readonly [string, Tensor])[];
}

/** The one that is not made of another by its name, or the first. */
function chosenOf(groups: readonly Group[], what: string): ChosenCopy {
  const chosen = groups.find(({ prefix }) => !COPY.test(prefix)) ?? groups[0];
  const others = groups.filter((group) => group !== chosen).map(placeOf);
  return {
    tensors: new Map(chosen.arrays),
    notes: [
      `the file holds ${groups.length} ${what}; those ${placeOf(chosen)} are judged, not ${
        others.join(", ")
      }`,
    ],
  };
}

const placeOf = ({ prefix }: Group) => prefix === "" ? "at the top" : `under ${quote(prefix)}`;

/** What all names begin with, up to a separator. */
function commonPrefix(names: readonly string[]): string {
  let common = "";
  while (names.length > 1) {
    const [next] = /^[^./]*[./]/.exec(names[0].slice(common.length)) ?? [];
    if (next === undefined || !names.every((name) => name.startsWith(common + next))) break;
    common += next;
  }
  return common;
}

/** Whether there are a convolution's kernel and a dense layer's. */
function isNet({ arrays }: Group): boolean {
  const rank = (axes: number) => arrays.some(([, { shape }]) => shape.length === axes);
  return rank(4) && rank(2);
}

/** Whether a kernel takes three channels, [O, I, H, W] or [H, W, I, O]. */
function takesImages({ arrays }: Group): boolean {
  return arrays.some(([, { shape: [a, b, c, d, ...more] }]) =>
    d !== undefined && more.length === 0 &&
    ((b === 3 && c === d && c <= LARGEST_WINDOW) || (a === b && c === 3 && a <= LARGEST_WINDOW))
  );
}

const LARGEST_WINDOW = 11;

/** Names and shapes without prefixes. */
function formOf({ prefix, arrays }: Group): string {
  return arrays.flatMap(([name, { shape }]) => {
    const own = name.slice(prefix.length + 1).replace(WRAPPERS, "");
    return shape.length > 0 ? [`${own} ${shape}`] : [];
  }).sort().join("\n");
}
