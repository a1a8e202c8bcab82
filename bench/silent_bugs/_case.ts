/** A case of the bench: the files of one training script, with a mistake or without. */
import { RandomStream } from "../../random/mod.ts";
import type { CleanScript } from "./clean.ts";
import {
  type Change,
  changed,
  type Mistake,
  type Net,
  NETS,
  type Style,
  STYLES,
} from "./_mistake.ts";

/** What is run: `train.py` and what it imports. */
export interface Case {
  /** `no-shuffle/loop/resnet8`, or `clean/compiled/resnet14`; of a drawn case with its seed behind. */
  readonly id: string;
  /** Of the script's own random numbers, and of what is put into it. */
  readonly seed: number;
  /** What was put in; undefined: the script is right. */
  readonly mistake?: Mistake;
  /** By file name. */
  readonly files: ReadonlyMap<string, string>;
  /** Steps that are recorded. */
  readonly steps: number;
  /** Whether the script ends by itself after these steps, and so tests. */
  readonly tests: boolean;
  /** Whether it is trained on a tenth of the images: what that does to their number is no mistake. */
  readonly tenth: boolean;
}

/** Of a right script on all images: enough for its images, modes and steps. */
const CLEAN_STEPS = 12;
/** Of a right script on a tenth of the images: past the end of its first epoch. */
const CLEAN_STEPS_OF_TENTH = 46;

/** Has no loader of which a recorder could end the epoch: it would stop before any evaluation. */
const WITHOUT_LOADER: Style = "functional";

/** Where a change is made, with what its values are. */
export interface Variant {
  /** The file in which it is made. */
  readonly file: "train.py" | "resnet.py";
  /** What is replaced. */
  readonly change: Change;
  /** What `<<name>>` stands for. */
  readonly values: Readonly<Record<string, string>>;
}

/** Reads a file of `styles/` or `nets/`. */
export function source(folder: "styles" | "nets", name: string): Promise<string> {
  return Deno.readTextFile(new URL(`${folder}/${name}.py`, import.meta.url));
}

/**
 * Ways in which a mistake can be put into a style and a net, without their values.
 *
 * @returns None where it can't be put there.
 */
export function waysOf(
  { script, net }: Mistake,
  style: Style,
  withNet: Net,
): readonly Omit<Variant, "values">[] {
  return [
    ...(script?.[style] ?? []).map((change) => ({ file: "train.py" as const, change })),
    ...(net?.[withNet] ?? []).map((change) => ({ file: "resnet.py" as const, change })),
  ];
}

/**
 * Draws the way and the values of a mistake.
 *
 * @param seed From 0 to 2^32 - 1; equal seeds give equal variants.
 * @returns Undefined where the mistake can't be put into this style and net.
 */
export function drawVariant(
  mistake: Mistake,
  style: Style,
  net: Net,
  seed: number,
): Variant | undefined {
  const ways = waysOf(mistake, style, net);
  if (ways.length === 0) return undefined;
  const random = new RandomStream(seed, "probe", hash(`${mistake.id}/${style}/${net}`));
  const way = ways[random.below(ways.length)];
  // A list of constants belongs together: lists of equal length share one draw.
  const draws = new Map<number, number>();
  const values = Object.fromEntries(
    Object.entries(mistake.values ?? {}).map(([name, of]) => {
      const drawn = draws.get(of.length) ?? random.below(of.length);
      draws.set(of.length, drawn);
      return [name, of[drawn]];
    }),
  );
  return { ...way, values };
}

/**
 * A script with a mistake.
 *
 * @param seed Decides the way and the values.
 * @returns Undefined where the mistake can't be put into this style and net.
 */
export async function caseOf(
  mistake: Mistake,
  style: Style,
  net: Net,
  seed: number,
): Promise<Case | undefined> {
  const variant = drawVariant(mistake, style, net, seed);
  if (variant === undefined) return undefined;
  return {
    id: `${mistake.id}/${style}/${net}`,
    seed,
    mistake,
    files: withVariant(await rightFiles(style, net), variant),
    steps: mistake.steps,
    tests: mistake.tests === true || style === WITHOUT_LOADER,
    tenth: mistake.whole !== true,
  };
}

/** Files with a variant of a mistake put into them. */
export function withVariant(
  files: ReadonlyMap<string, string>,
  { file, change, values }: Variant,
): ReadonlyMap<string, string> {
  return new Map([...files, [file, changed(files.get(file)!, change, values)]]);
}

/**
 * A right script.
 *
 * @param seed Of its random numbers.
 */
export async function cleanCase(clean: CleanScript, net: Net, seed = 0): Promise<Case> {
  const files = await rightFiles(clean.script, net);
  return {
    id: `clean/${clean.id}/${net}`,
    seed,
    files: clean.change === undefined
      ? files
      : withVariant(files, { file: "train.py", change: clean.change, values: {} }),
    steps: clean.whole ? CLEAN_STEPS : CLEAN_STEPS_OF_TENTH,
    tests: true,
    tenth: clean.whole !== true,
  };
}

/**
 * The script that stands for the one that this bench began with: many mistakes
 * together, of which the first to change is that no augmentation reaches the net.
 */
export async function systemCCase(seed = 0): Promise<Case> {
  const files = await rightFiles("system_c", "resnet8");
  return {
    id: "system-c",
    seed,
    mistake: {
      id: "system-c",
      what: "a Subset's transform, each image's own mean, ImageNet's stem, a plateau schedule",
      met: [],
      expects: ["augmentation"],
      steps: 8,
    },
    files: new Map([...files].filter(([name]) => name !== "resnet.py")),
    steps: 8,
    tests: false,
    tenth: true,
  };
}

/**
 * A mistake, or a right script, once: in a style, with a net and under a seed
 * (which decides way and values) that are drawn.
 *
 * @param seed Of all draws; the case of each id has its own sequence.
 */
export async function drawnCase(of: Mistake | CleanScript, seed: number): Promise<Case> {
  const random = new RandomStream(seed, "probe", hash(of.id));
  const net = NETS[random.below(NETS.length)];
  const own = random.below(10_000);
  if (!("expects" in of)) return withSeed(await cleanCase(of, net, own));
  const styles = STYLES.filter((style) => waysOf(of, style, net).length > 0);
  const style = styles[random.below(styles.length)];
  return withSeed((await caseOf(of, style, net, own))!);
}

const withSeed = (one: Case): Case => ({ ...one, id: `${one.id}/${one.seed}` });

/** Writes a case's files into a folder, which is made. */
export async function writeCase({ files }: Case, folder: string): Promise<void> {
  await Deno.mkdir(folder, { recursive: true });
  for (const [name, text] of files) await Deno.writeTextFile(`${folder}/${name}`, text);
}

/** A file of `styles/` as `train.py`, with the net and what else it imports. */
export async function rightFiles(script: string, net: Net): Promise<ReadonlyMap<string, string>> {
  const train = await source("styles", script);
  const files = new Map([["train.py", train], ["resnet.py", await source("nets", net)]]);
  if (/^from vision import/m.test(train)) {
    files.set("vision.py", await source("styles", "vision"));
    files.set("plain_transforms.py", await source("styles", "plain_transforms"));
  }
  return files;
}

/** FNV-1a, 32 bits: a case's own sequence of random numbers. */
function hash(text: string): number {
  let value = 0x811c9dc5;
  for (const byte of new TextEncoder().encode(text)) {
    value = Math.imul(value ^ byte, 0x01000193) >>> 0;
  }
  return value;
}
