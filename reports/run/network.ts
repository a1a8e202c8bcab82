/** What was trained, as a picture. */
import { architecture, inputsOf } from "../../resnet/mod.ts";
import { number } from "../../text/mod.ts";
import { type Block, heading } from "../page/blocks.ts";
import type { Subject } from "./subject.ts";

/** The section. */
export function network({ run: { start } }: Subject): Block[] {
  const { name, ...options } = start.recipe.architecture;
  const { photographs } = start.recipe.data;
  const { nodes } = architecture(name, {
    ...options,
    classes: start.classes.length,
    ...(photographs ? { inputShape: [photographs.size, photographs.size, 3] } : {}),
  });
  return [heading(2, "Network"), {
    kind: "network",
    title: "Every layer",
    nodes: nodes.map((node) => {
      const { name, kind, shape } = node;
      return { name, kind, inputs: inputsOf(node), shape };
    }),
    summary: `${number(nodes.length)} layers in the order of their depth, a row for each size of ` +
      `the maps.`,
  }];
}
