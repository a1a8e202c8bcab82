/**
 * Prints an architecture's layers, parameters and multiply-adds, or those of
 * the network in a file of weights.
 *
 * `deno task summary --arch resnet32`
 */
import {
  architecture,
  formatBlocks,
  formatModuleTable,
  formatSummary,
  type Graph,
  isArchitecture,
  moduleTable,
  summarise,
} from "../resnet/mod.ts";
import { choice, COMMON, type Flag, integer, text, toggle, UsageError } from "./_flags.ts";
import { main } from "./_main.ts";
import { PADDING_FLAG } from "./_training_flags.ts";

/** The paper's. */
const PAPER_BATCH = 128;

const input: Flag<readonly [number, number]> = {
  placeholder: "HxW",
  help: "height and width of an image; 32x32 by default",
  parse: (value) => {
    const match = /^(\d{1,5})x(\d{1,5})$/.exec(value);
    if (!match) throw new Error("two whole numbers such as 32x32");
    return [Number(match[1]), Number(match[2])];
  },
};

const command = {
  usage: "deno task summary",
  positional: "[FILE]",
  summary:
    "Prints an architecture's blocks, parameters, multiply-adds and activations, or those of the\n" +
    "network that a file of weights is of.",
  flags: {
    arch: text("NAME", "the network: resnet20 by default; resnet32, resnet34-cifar, plain20, ..."),
    shortcut: choice(["A", "B"], "where the width changes: parameter-free, or a 1x1 projection"),
    ...PADDING_FLAG,
    classes: integer("outputs of the last layer; 10 by default", 1, 100_000),
    input,
    layers: toggle("print every layer, not the blocks"),
    batch: integer("images whose activations are counted in bytes; 128 by default", 1, 100_000),
    style: choice(["fvcore"], "modules with parameters and FLOPs as fvcore counts them"),
    images: integer("images that pass together, for --style fvcore; 1 by default", 1, 100_000),
    mode: choice(["test", "train"], "what --style fvcore counts of batch norm; test by default"),
    ...COMMON,
  },
} as const;

if (import.meta.main) {
  await main(command, async (flags, file?: string) => {
    if (file !== undefined) {
      const stray = (["arch", "shortcut", "classes", "input"] as const)
        .find((name) => flags[name] !== undefined);
      if (stray) {
        throw new UsageError(
          `--${stray} is of a network that is named, and "${file}" says by itself what it is of: give one of them`,
        );
      }
    }
    const [height, width] = flags.input ?? [32, 32];
    const graph = file === undefined
      ? architecture(flags.arch ?? "resnet20", {
        inputShape: [height, width, 3],
        ...(flags.shortcut ? { shortcut: flags.shortcut } : {}),
        ...(flags["shortcut-padding"] ? { zeroChannels: flags["shortcut-padding"] } : {}),
        ...(flags.classes === undefined ? {} : { classes: flags.classes }),
      })
      : await graphOf(file, flags["shortcut-padding"] ?? "append");
    const { style, images, mode } = flags;
    if (flags.batch !== undefined && (flags.layers || style !== undefined)) {
      throw new UsageError(
        "--batch is for the table of blocks: leave it out with --layers and --style",
      );
    }
    if (flags.layers && style !== undefined) {
      throw new UsageError("--layers and --style are two tables: give one of them");
    }
    if (style === "fvcore") {
      const rows = moduleTable(graph, { images: images ?? 1, training: mode === "train" });
      return { text: formatModuleTable(rows), json: rows };
    }
    if (images !== undefined || mode !== undefined) {
      throw new UsageError("--images and --mode belong to --style fvcore");
    }
    const summary = summarise(graph);
    const text = flags.layers
      ? formatSummary(summary)
      : formatBlocks(summary, flags.batch ?? PAPER_BATCH);
    return { text, json: summary };
  });
}

/** The network of a file; what reads files is only loaded where there is one. */
async function graphOf(file: string, zeroChannels: "append" | "split"): Promise<Graph> {
  const { networkOf, readModel } = await import("../audit/mod.ts");
  try {
    return networkOf(await readModel(file), zeroChannels).graph;
  } catch (error) {
    const isMissing = error instanceof Error && error.cause instanceof Deno.errors.NotFound;
    if (!isMissing || !isArchitecture(file)) throw error;
    throw new UsageError(
      `no file is called "${file}"; the network of that name is --arch ${file}`,
    );
  }
}
