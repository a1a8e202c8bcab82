/**
 * Writes a network in another program's form.
 *
 * `deno task export --weights resnet20.th --shortcut-padding split --to onnx`
 */
import { attempt, writeWhole } from "../files/mod.ts";
import { number } from "../text/mod.ts";
import {
  encodeKeras,
  encodeOnnx,
  encodeSafetensors,
  encodeTensorflowJs,
  torchFile,
} from "../weights/mod.ts";
import { fitWeights, type Graph, type Weights } from "../resnet/mod.ts";
import { choice, COMMON, type FlagValues, text, UsageError } from "./_flags.ts";
import { main, type Outcome } from "./_main.ts";
import { PADDING_FLAG } from "./_training_flags.ts";
import { networkOf, readModel } from "./_weights.ts";

/** One form: the ending of its file, or of its folder, and what is written. */
interface Form {
  readonly ending: string;
  /** Of a folder, its files by name. */
  readonly encode: (
    graph: Graph,
    weights: Weights,
    options: { readonly epsilon?: number },
  ) => Uint8Array | ReadonlyMap<string, Uint8Array>;
}

const FORMS = {
  onnx: { ending: "onnx", encode: encodeOnnx },
  keras: { ending: "keras", encode: encodeKeras },
  tfjs: { ending: "tfjs", encode: encodeTensorflowJs },
  pytorch: { ending: "pth", encode: (_, weights) => torchFile(weights) },
  safetensors: { ending: "safetensors", encode: (_, weights) => encodeSafetensors(weights) },
} as const satisfies Record<string, Form>;

const FLAGS = {
  weights: text("FILE", "the network: any file that audit reads, or a run's weights.safetensors"),
  to: choice(Object.keys(FORMS) as (keyof typeof FORMS)[], "the form"),
  out: text("PATH", "where it goes, for tfjs a folder; beside the weights by default"),
  ...PADDING_FLAG,
  ...COMMON,
} as const;

const command = {
  usage: "deno task export",
  summary:
    "Writes a network in another program's form: for ONNX Runtime and browsers, Keras (.keras),\n" +
    "TensorFlow.js (a folder with model.json), PyTorch (a state dict) and whoever reads safetensors.\n" +
    "What the weights were trained on is not part of such a file: prepare images as the run's\n" +
    "model card, or its author, says.",
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
  const options = epsilon === undefined ? {} : { epsilon };
  const written = encode(graph, fitWeights(graph, weights, path), options);
  const files: (readonly [string, Uint8Array])[] = written instanceof Uint8Array
    ? [[out, written]]
    : [...written].map(([name, bytes]) => [`${out}/${name}`, bytes]);
  await attempt("write", out, async () => {
    if (!(written instanceof Uint8Array)) await Deno.mkdir(out, { recursive: true });
    for (const [file, bytes] of files) await writeWhole(file, bytes);
  });
  const bytes = files.reduce((sum, [, { length }]) => sum + length, 0);
  return {
    text: `${graph.name} in ${out} (${number(bytes)} bytes)`,
    json: { network: graph.name, out, bytes, to, zeroChannels },
  };
}

if (import.meta.main) await main(command, exportModel);
