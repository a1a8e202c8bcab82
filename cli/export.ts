/**
 * Writes a network in another program's form.
 *
 * `deno task export --weights resnet20.th --shortcut-padding split --to onnx`
 */
import { writeWhole } from "../files/mod.ts";
import { number } from "../text/mod.ts";
import { encodeOnnx, encodeSafetensors } from "../weights/mod.ts";
import { fitWeights, type Graph, type Weights } from "../resnet/mod.ts";
import { choice, COMMON, type FlagValues, text, UsageError } from "./_flags.ts";
import { main, type Outcome } from "./_main.ts";
import { PADDING_FLAG } from "./_training_flags.ts";
import { networkOf, readModel } from "./_weights.ts";

/** What is written for each form, by the ending of its files. */
const FORMS = {
  onnx: {
    ending: "onnx",
    encode: (graph: Graph, weights: Weights, epsilon?: number) =>
      encodeOnnx(graph, weights, epsilon === undefined ? {} : { epsilon }),
  },
  safetensors: {
    ending: "safetensors",
    encode: (_: Graph, weights: Weights) => encodeSafetensors(weights),
  },
} as const;

const FLAGS = {
  weights: text("FILE", "the network: any file that audit reads, or a run's weights.safetensors"),
  to: choice(Object.keys(FORMS) as (keyof typeof FORMS)[], "the form"),
  out: text("FILE", "where it goes; beside the weights by default"),
  ...PADDING_FLAG,
  ...COMMON,
} as const;

const command = {
  usage: "deno task export",
  summary:
    "Writes a network in another program's form: ONNX for ONNX Runtime and browsers, safetensors\n" +
    "with PyTorch's names for PyTorch. What the weights were trained on is not part of such a\n" +
    "file: prepare images as the run's model card, or its author, says.",
  flags: FLAGS,
} as const;

async function exportModel(flags: FlagValues<typeof FLAGS>): Promise<Outcome> {
  const { weights: path, to } = flags;
  if (path === undefined || to === undefined) {
    throw new UsageError(
      `${command.usage} needs --weights FILE and --to ${
        Object.keys(FORMS).join("|")
      }. See ${command.usage} --help`,
    );
  }
  const model = await readModel(path);
  const recorded = model.identity?.recipe.architecture.zeroChannels;
  // A net without option A has no zero channels; where it has, they are appended unless said.
  const zeroChannels = flags["shortcut-padding"] ??
    (recorded === undefined || recorded === "none" ? "append" : recorded);
  const { graph, weights, epsilon } = networkOf(model, zeroChannels).network;
  const { ending, encode } = FORMS[to];
  const out = flags.out ?? `${path.replace(/\.\w+$/, "")}.${ending}`;
  if (out === path) {
    throw new UsageError(`"${path}" would be written over itself; choose another --out`);
  }
  const bytes = encode(graph, fitWeights(graph, weights, path), epsilon);
  await writeWhole(out, bytes);
  return {
    text: `${graph.name} in ${out} (${number(bytes.length)} bytes)`,
    json: { network: graph.name, out, bytes: bytes.length, to, zeroChannels },
  };
}

if (import.meta.main) await main(command, exportModel);
