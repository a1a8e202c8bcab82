/**
 * Unpacks ImageNet's archives into a folder for each class.
 *
 * `deno task imagenet --train ILSVRC2012_img_train.tar --out /data/ImageNet2012`
 */
import {
  IMAGENET_COUNTS,
  type Unpacked,
  unpackTraining,
  unpackValidation,
  validationClasses,
} from "../data/photographs/mod.ts";
import { attempt, readWholeText } from "../files/mod.ts";
import { number } from "../text/mod.ts";
import { COMMON, type FlagValues, text, toggle, UsageError } from "./_flags.ts";
import { main, type Outcome } from "./_main.ts";
import { ProgressPrinter } from "./_progress.ts";

const FLAGS = {
  train: text("FILE", "ILSVRC2012_img_train.tar, a tar of a tar for each class"),
  val: text("FILE", "ILSVRC2012_img_val.tar, 50,000 images; needs --labels"),
  labels: text(
    "FILE",
    "the classes of --val: a line an image, NAME WNID, or in the images' order a WNID or the kit's id",
  ),
  classes: text(
    "FILE",
    "where --labels has ids: WNIDs in the order of ILSVRC2012_ID, not in their own",
  ),
  out: text("FOLDER", "where train/ and val/ go"),
  "dry-run": toggle("write nothing: say what is in the archives and what is there already"),
  partial: toggle("archives that have less than ImageNet's 1,281,167 and 50,000 images are right"),
  ...COMMON,
} as const;

const command = {
  usage: "deno task imagenet",
  summary:
    "Unpacks ImageNet's archives (ILSVRC 2012) into --out: train/WNID/NAME.JPEG and val/WNID/NAME.JPEG.\n" +
    "The archives are read as they were downloaded, and kept. A run that was stopped at any moment is\n" +
    "gone on with by the same command: an image is whole or not there. The development kit's\n" +
    "ILSVRC2012_validation_ground_truth.txt has ids in an order of its own; give it with --classes.",
  flags: FLAGS,
} as const;

/** Images between two lines of progress that go to a file. */
const TOLD = 50_000;

async function unpack(flags: FlagValues<typeof FLAGS>): Promise<Outcome> {
  const { train, val, labels, classes, out, partial } = flags;
  if (out === undefined || train === undefined && val === undefined) {
    throw new UsageError(
      `${command.usage} needs --out FOLDER and --train FILE or --val FILE. See ${command.usage} --help`,
    );
  }
  if ((val === undefined) !== (labels === undefined)) {
    throw new UsageError("--val and --labels go together: the archive says no image's class");
  }
  if (classes !== undefined && labels === undefined) {
    throw new UsageError(
      "--classes says what the ids of --labels are: it goes with --val and that",
    );
  }
  const dryRun = flags["dry-run"] === true;
  const printer = new ProgressPrinter();
  const onProgress = (part: string, of: number) => (images: number) => {
    const line = `${part}: ${number(images)} of ${number(of)} images`;
    if (images % TOLD === 0) printer.line(line);
    else if (images % 100 === 0) printer.passing(line);
  };
  // Before hours of unpacking: whether the list is one.
  const classOf = labels === undefined ? undefined : validationClasses(
    await attempt("read", labels, () => readWholeText(labels)),
    labels,
    classes === undefined ? undefined : await wnidsOf(classes),
  );
  const parts: Record<string, Unpacked & { readonly folder: string }> = {};
  const wrong: string[] = [];
  const done = (name: "training" | "validation", folder: string, unpacked: Unpacked) => {
    parts[name] = { ...unpacked, folder };
    const expected = IMAGENET_COUNTS[name];
    if (partial || unpacked.classes === expected.classes && unpacked.images === expected.images) {
      return;
    }
    wrong.push(
      `ImageNet has ${number(expected.images)} ${name} images of ${
        number(expected.classes)
      } classes, and this archive ${number(unpacked.images)} of ${number(unpacked.classes)}. ` +
        `If it is a part of it, say so: --partial`,
    );
  };
  if (train !== undefined) {
    const { images } = IMAGENET_COUNTS.training;
    const options = { dryRun, onProgress: onProgress("training", images) };
    done("training", `${out}/train`, await unpackTraining(train, `${out}/train`, options));
  }
  if (val !== undefined && classOf) {
    const { images } = IMAGENET_COUNTS.validation;
    const options = { dryRun, onProgress: onProgress("validation", images) };
    done("validation", `${out}/val`, await unpackValidation(val, classOf, `${out}/val`, options));
  }
  printer.clear();
  return {
    text: [
      ...Object.entries(parts).map(([name, { classes, images, wereThere, bytes, folder }]) =>
        `${name}: ${number(images)} images of ${number(classes)} classes, ${number(bytes)} bytes, ${
          dryRun ? "would be" : "are"
        } in ${folder}; ${number(wereThere)} were there before`
      ),
      ...wrong,
    ].join("\n"),
    json: { dryRun, ...parts, wrong },
    status: wrong.length > 0 ? 1 : 0,
  };
}

/** The first word of each line. */
async function wnidsOf(path: string): Promise<readonly string[]> {
  const lines = (await attempt("read", path, () => readWholeText(path))).split(/\r?\n/);
  return lines.map((line) => line.trim().split(/\s/)[0]).filter((word) => word !== "");
}

if (import.meta.main) await main(command, unpack);
