/** Names as a report prints them. */
import { type DatasetName, datasetNamed } from "../data/mod.ts";
import { number } from "../text/mod.ts";

/** A recipe's value with its long numbers grouped: "[32000,48000]" to "[32,000; 48,000]". */
export function recipeValue(text: string): string {
  return text.replace(/(?<=\d),(?=\d)/g, "; ").replace(
    /(?<![\w.])\d{4,}(?![\w.])/g,
    (digits) => number(Number(digits)),
  );
}

/** "resnet32" to "ResNet-32", "plain20" to "Plain-20"; other names stay. */
export function networkName(name: string): string {
  return name.replace(/^resnet(?=\d)/, "ResNet-").replace(/^plain(?=\d)/, "Plain-");
}

/** A data set, so that built-in images are never taken for CIFAR. */
export function setName(set: DatasetName): string {
  const { builtIn, title } = datasetNamed(set);
  return builtIn ? "built-in images (not CIFAR-10)" : title;
}
