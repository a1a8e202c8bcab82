/**
 * Writes a network in another program's form.
 *
 * `deno task export --weights resnet20.th --shortcut-padding split --to onnx`
 */
import { atOwnSize, isOneSided, networkOf, paddingOf, readModel } from "../audit/mod.ts";
import { basename, resolve } from "node:path";
import { readRun } from "../log/mod.ts";
import { tensorboardEvents } from "../reports/mod.ts";
import { attempt, isFolder, writeWhole } from "../files/mod.ts";
import { number } from "../text/mod.ts";
import {
  encodeKeras,
  encodeOnnx,
  encodeSafetensors,
  encodeTensorflowJs,
  torchFile,
} from "../weights/mod.ts";
import {
  fitWeights,
  type Graph,
  parametersOf,
  underTorchvisionsNames,
  type Weights,
} from "../resnet/mod.ts";
import { choice, COMMON, type FlagValues, text, UsageError } from "./_flags.ts";
import { main, type Outcome } from "./_main.ts";
import { requireApart } from "./_place.ts";
import { PADDING_FLAG } from "./_training_flags.ts";

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
  pytorch: {
    ending: "pth",
    encode: (graph, weights, { epsilon }) =>
      torchFile(underTorchvisionsNames(graph, atPyTorchsEpsilon(graph, weights, epsilon))),
  },
  safetensors: {
    ending: "safetensors",
    encode: (graph, weights, { epsilon }) =>
      encodeSafetensors(underTorchvisionsNames(graph, atPyTorchsEpsilon(graph, weights, epsilon))),
  },
} as const satisfies Record<string, Form>;

/** What PyTorch's batch norm adds to the variance where nothing else is said. */
const PYTORCHS_EPSILON = 1e-5;

/** Arrays that with PyTorch's constant give what they gave with their own. */
function atPyTorchsEpsilon(graph: Graph, weights: Weights, epsilon = PYTORCHS_EPSILON): Weights {
  const more = epsilon - PYTORCHS_EPSILON;
  const variances = new Set(
    parametersOf(graph).flatMap(({ name, role }) => role === "bn-variance" ? [name] : []),
  );
  return new Map([...weights].map(([name, { shape, data }]) => [
    name,
    { shape, data: variances.has(name) ? data.map((variance) => variance + more) : data },
  ]));
}

/** Those that hold the network's operations, and not its arrays alone. */
const WITH_GRAPH: readonly (keyof typeof FORMS)[] = ["onnx", "keras", "tfjs"];

/** Curves of a run in place of a network. */
const CURVES = "tensorboard";

const FLAGS = {
  weights: text("FILE", "the network: any file that audit reads, or a run's weights.safetensors"),
  to: choice([...Object.keys(FORMS) as (keyof typeof FORMS)[], CURVES], "the form"),
  out: text("PATH", "where it goes, for tfjs a folder; beside the weights by default"),
  ...PADDING_FLAG,
  ...COMMON,
} as const;

const command = {
  usage: "deno task export",
  summary:
    "Writes a network in another program's form: for ONNX Runtime and browsers, Keras (.keras),\n" +
    "TensorFlow.js (a folder with model.json), PyTorch (a state dict) and whoever reads safetensors.\n" +
    "The last two have torchvision's names where the network is one of its: its resnet34 loads them;\n" +
    "what batch norm's epsilon has beyond PyTorch's 1e-5 is added to running_var.\n" +
    "What the weights were trained on is not part of such a file: prepare images as the run's\n" +
    "model card, or its author, says. With --to tensorboard, writes the curves of runs as event files\n" +
    "of TensorBoard, into --out (tensorboard by default): a folder for each run.",
  positional: "[RUN]...",
  flags: FLAGS,
} as const;

async function exportModel(
  flags: FlagValues<typeof FLAGS>,
  ...folders: string[]
): Promise<Outcome> {
  const { weights: path, to } = flags;
  if (to === CURVES) {
    const stray = (["weights", "shortcut-padding"] as const)
      .find((name) => flags[name] !== undefined);
    if (stray) {
      throw new UsageError(
        `--${stray} is of a network, and --to ${CURVES} writes the curves of runs: give their folders`,
      );
    }
    return await exportCurves(folders, flags.out ?? CURVES);
  }
  if (folders.length > 0) {
    throw new UsageError(
      `${command.usage} takes folders of runs with --to ${CURVES} alone; a network is given by --weights FILE`,
    );
  }
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
  const network = atOwnSize(model, networkOf(model, zeroChannels).network);
  const { graph, weights, epsilon } = network;
  const { ending, encode } = FORMS[to];
  if (network.inputTransform) {
    throw new UsageError(
      `"${path}" prepares images within the network (it scales and shifts them), which a file of ${to} is written without here: another network would come of it`,
    );
  }
  const holdsGraph = WITH_GRAPH.includes(to);
  if (isOneSided(graph) && !holdsGraph) {
    throw new UsageError(
      `"${path}" pads windows with a stride on one side alone, as TensorFlow does, and in a file of ${to} stand arrays without it: another network would come of it. --to onnx, keras or tfjs keeps it`,
    );
  }
  const isOpen = flags["shortcut-padding"] === undefined && recorded === undefined &&
    !model.file.network && paddingOf(graph) !== undefined;
  if (isOpen && holdsGraph) {
    throw new UsageError(
      `"${path}" does not say where the zero channels of option A's shortcuts are, and ${to} has to: give --shortcut-padding append (behind the others, as here) or split (half on each side, as in akamaster's nets); deno task audit with --data tells which`,
    );
  }
  const out = flags.out ?? `${await besideWeights(path)}.${ending}`;
  const options = epsilon === undefined ? {} : { epsilon };
  const written = encode(graph, fitWeights(graph, weights, path), options);
  const files: (readonly [string, Uint8Array])[] = written instanceof Uint8Array
    ? [[out, written]]
    : [...written].map(([name, bytes]) => [`${out}/${name}`, bytes]);
  await requireApart(await filesOf(path), ...files.map(([file]) => file));
  await attempt("write", out, async () => {
    if (!(written instanceof Uint8Array)) await Deno.mkdir(out, { recursive: true });
    for (const [file, bytes] of files) await writeWhole(file, bytes);
  });
  const bytes = files.reduce((sum, [, { length }]) => sum + length, 0);
  const moved = !holdsGraph && epsilon !== undefined && epsilon !== PYTORCHS_EPSILON
    ? [
      `running_var is larger by ${epsilon - PYTORCHS_EPSILON}: batch norm's epsilon was ${epsilon}`,
    ]
    : [];
  return {
    text: [`${graph.name} in ${out} (${number(bytes)} bytes)`, ...moved].join("\n"),
    json: { network: graph.name, out, bytes, to, zeroChannels },
  };
}

/** What may be read of a path: a file, or what leads a folder and lies beside that. */
async function filesOf(path: string): Promise<readonly string[]> {
  if (!await isFolder(path)) return [path];
  const entries = await Array.fromAsync(Deno.readDir(path));
  // Of the others an earlier export may be one.
  return entries.filter(({ name }) => /\.(json|bin|safetensors)$/.test(name))
    .map(({ name }) => `${path}/${name}`);
}

/** A file's path without its ending, or that of a folder. */
async function besideWeights(path: string): Promise<string> {
  if (!await isFolder(path)) return path.replace(/\.\w+$/, "");
  const own = path.replace(/[/\\]+$/, "");
  return /^\.{0,2}$/.test(basename(own)) ? resolve(path) : own;
}

/** Event files of TensorBoard, in a folder for each run, as it compares them. */
async function exportCurves(folders: readonly string[], out: string): Promise<Outcome> {
  if (folders.length === 0) {
    throw new UsageError(`${command.usage} --to ${CURVES} needs the folder of a run`);
  }
  const names = folders.map((folder) => basename(resolve(folder)));
  const twice = names.find((name, i) => names.indexOf(name) !== i);
  if (twice !== undefined) {
    throw new UsageError(`two of the runs are called "${twice}"; export each into its own --out`);
  }
  const files: string[] = [];
  for (const [i, folder] of folders.entries()) {
    const run = await readRun(folder);
    const seconds = Math.floor(Date.parse(run.start.time) / 1000);
    const file = `${out}/${names[i]}/events.out.tfevents.${seconds}.resnet-cifar`;
    await attempt("write", file, async () => {
      await Deno.mkdir(`${out}/${names[i]}`, { recursive: true });
      await writeWhole(file, tensorboardEvents(run));
    });
    files.push(file);
  }
  return { text: [...files, `tensorboard --logdir ${out}`].join("\n"), json: { out, files } };
}

/** Does what the command line says, and ends the process. */
export const start = (): Promise<never> => main(command, exportModel);

if (import.meta.main) await start();
