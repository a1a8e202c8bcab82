/** Files that hold a model twice, such as the weights and their running average. */
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
 * Chooses among copies of one model that stand under prefixes of one file.
 *
 * @param tensors Under the file's own names.
 * @returns All arrays where there is one copy.
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
  const groups = Map.groupBy(tensors, ([name]) => /^[^./]*/.exec(name)![0]);
  const nets = [...groups].flatMap(([prefix, arrays]) => {
    const form = formOf(prefix, arrays);
    return form === undefined ? [] : [{ prefix, arrays, form }];
  });
  const several = [...Map.groupBy(nets, ({ form }) => form).values()].filter((same) =>
    same.length > 1
  );
  // A net whose stages have equal arrays is no set of copies: each copy has its own last layer.
  if (several.length !== 1) return { tensors, notes: [] };
  const [copies] = several;
  const chosen = copies.find(({ prefix }) => !COPY.test(prefix)) ?? copies[0];
  const others = copies.filter((copy) => copy !== chosen).map(({ prefix }) => quote(prefix));
  return {
    tensors: new Map(chosen.arrays),
    notes: [
      `the file holds ${copies.length} copies of the weights; those under ${
        quote(chosen.prefix)
      } are judged, not ${others.join(", ")}`,
    ],
  };
}

/** Names and shapes without prefixes; undefined for what is no whole net. */
function formOf(
  prefix: string,
  arrays: readonly (readonly [string, Tensor])[],
): string | undefined {
  const rank = (axes: number) => arrays.some(([, { shape }]) => shape.length === axes);
  if (!rank(4) || !rank(2)) return undefined;
  return arrays.flatMap(([name, { shape }]) => {
    const own = name.slice(prefix.length + 1).replace(WRAPPERS, "");
    return shape.length > 0 ? [`${own} ${shape}`] : [];
  }).sort().join("\n");
}
