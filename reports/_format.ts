/** Names as a report prints them. */
import { datasetNamed, PHOTOGRAPHS, type SetName } from "../data/mod.ts";

/** "resnet32" to "ResNet-32", "plain20" to "Plain-20"; other names stay. */
export function networkName(name: string): string {
  return name.replace(/^resnet(?=\d)/, "ResNet-").replace(/^plain(?=\d)/, "Plain-");
}

/** A data set, so that built-in images are never taken for CIFAR. */
export function setName(set: SetName): string {
  if (set === PHOTOGRAPHS) return "a folder of photographs";
  const { builtIn, title } = datasetNamed(set);
  return builtIn ? "built-in images (not CIFAR-10)" : title;
}
