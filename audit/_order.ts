/** Orders in which the layers of a file can be read. */
import type { Layer } from "./_layers.ts";

/** Words that stand at a net's beginning and end, wherever the alphabet puts them. */
const FIRST = /^(stem|init\w*|input\w*|first\w*|pre\w*|root|conv_?in)$/;
const LAST =
  /^(linear|fc|classifier|head|dense|logits|output|predictions|final\w*|post\w*|norm|bn)$/;

const collator = new Intl.Collator("en", { numeric: true });

/** In the order of names, with numbers in them as numbers. */
export function byNames(layers: readonly Layer[]): readonly Layer[] {
  const place = (part: string | undefined) =>
    part === undefined ? 0 : FIRST.test(part) ? -1 : LAST.test(part) ? 1 : 0;
  return layers.map((layer) => ({ layer, first: place(layer.path.split(".")[0]) }))
    .sort((a, b) => a.first - b.first || collator.compare(a.layer.path, b.layer.path))
    .map(({ layer }) => layer);
}

/**
 * In the order in which each convolution takes what the one before it gives,
 * from the image to the last layer; among equals the given order stays.
 *
 * @param onShortcut Whether a layer of that name stands beside the way.
 * @returns Undefined where the shapes make no such chain.
 */
export function chained(
  layers: readonly Layer[],
  onShortcut: (path: string) => boolean,
): readonly Layer[] | undefined {
  const convolutions = layers.filter(({ kind }) => kind === "convolution");
  const inputsOf = ({ weight }: Layer) => weight!.shape[1];
  const filtersOf = ({ weight }: Layer) => weight!.shape[0];
  const fewest = Math.min(...convolutions.map(inputsOf));
  const stems = convolutions.filter((layer) => inputsOf(layer) === fewest);
  if (stems.length !== 1 || fewest > 4) return undefined;
  const [stem] = stems;
  const aside = convolutions.filter((layer) =>
    layer !== stem && (onShortcut(layer.path) || layer.weight!.shape[2] === 1)
  );
  let left = convolutions.filter((layer) => layer !== stem && !aside.includes(layer));
  const chain = [stem];
  let width = filtersOf(stem);
  while (left.length > 0) {
    const fitting = left.filter((layer) => inputsOf(layer) === width);
    const next = fitting.find((layer) => filtersOf(layer) === width) ?? fitting[0];
    if (!next) return undefined;
    chain.push(next);
    left = left.filter((layer) => layer !== next);
    width = filtersOf(next);
  }
  aside.sort((a, b) => inputsOf(a) - inputsOf(b));
  return [...chain, ...aside, ...layers.filter(({ kind }) => kind !== "convolution")];
}
