/** A made-up but plausible run's folder in memory, for tests; no network made these numbers. */
import { createHash } from "node:crypto";
import type { FileReference, ImageSample, LayerStatistics, RunEvent } from "../../log/mod.ts";
import { finetune, forDataset, paper, withImages, withIterations } from "../../recipes/mod.ts";

/** What a test can choose. */
export interface FixtureOptions {
  readonly architecture?: string;
  readonly set?: "cifar10" | "shapes10" | "photographs";
  readonly iterations?: number;
  readonly logEvery?: number;
  readonly ending?: "end" | "stop" | "failure" | "none";
  /** Killed after three quarters, gone on from the checkpoint at half. */
  readonly resumed?: boolean;
  /** With sample images and layer statistics. */
  readonly samples?: boolean;
  /** Stands wherever a log holds free text. */
  readonly text?: string;
  readonly seed?: number;
  /** Test images that are wrong after the last step, of 10,000. */
  readonly errors?: number;
  /** With the ending `failure`: the loss was no longer finite. */
  readonly diverged?: boolean;
  /** SHA-256 of the plan that the run is a part of. */
  readonly plan?: string;
}

/** Classes of CIFAR-10, in label order. */
export const CLASSES = [
  "airplane",
  "automobile",
  "bird",
  "cat",
  "deer",
  "dog",
  "frog",
  "horse",
  "ship",
  "truck",
];

/** Test images, and how many of them a finished fixture gets wrong unless told otherwise. */
export const TEST = { images: 10_000, errors: 751 };

/** A folder in memory: content by path. */
export type Folder = Map<string, Uint8Array<ArrayBuffer>>;

/** Reads such a folder where `readRun` would read a real one. */
export function readerOf(folder: Folder): (path: string) => Promise<Uint8Array> {
  return (path) => {
    const content = folder.get(path.replace(/^run\//, ""));
    return content
      ? Promise.resolve(content)
      : Promise.reject(new Deno.errors.NotFound(`no ${path}`));
  };
}

/** The text of a file of such a folder. */
export function textOf(folder: Folder, path: string): string {
  return new TextDecoder().decode(folder.get(path));
}

/** Replaces the text of a file of such a folder. */
export function setText(folder: Folder, path: string, text: string): void {
  folder.set(path, new TextEncoder().encode(text));
}

/** A run's folder: `events.jsonl` and the files that it names. */
export async function fixtureFolder(options: FixtureOptions = {}): Promise<Folder> {
  const { ending = "end", text = "made up for a test", samples = true, set = "cifar10" } = options;
  const { iterations = 2000, logEvery = 20, architecture = "resnet32" } = options;
  const { seed = 7, errors: wrong = TEST.errors } = options;
  const folder: Folder = new Map();
  const add = async (path: string, content: string): Promise<FileReference> => {
    setText(folder, path, content);
    const bytes = folder.get(path)!;
    const digest = await crypto.subtle.digest("SHA-256", bytes);
    return { path, sha256: new Uint8Array(digest).toHex(), bytes: bytes.length };
  };

  let seconds = 0;
  const now = () => new Date(Date.UTC(2026, 0, 2, 3, 4, 5) + 1000 * seconds).toISOString();
  const events: RunEvent[] = [];
  const process = {
    engine: {
      name: "wasm",
      reason: text,
      device: { summary: text, details: { threads: 2, simd: true, [text]: text } },
    },
    versions: { deno: "2.9.6", [text]: text },
    revision: "0123456789abcdef0123456789abcdef01234567",
    command: ["train", "--arch", architecture, "--note", text],
  };
  const whole = paper(architecture);
  const onSet = set === "photographs"
    ? withImages(finetune("resnet18"), { split: { training: 1000, validation: TEST.images } })
    : forDataset(whole, set);
  const recipe = iterations === 64_000 ? onSet : withIterations(onSet, iterations, text);
  events.push({
    type: "start",
    time: now(),
    version: 1,
    run: text,
    recipe,
    seed,
    ...(options.plan === undefined ? {} : { plan: options.plan }),
    ...process,
    parameters: 464_154,
    multiplyAdds: 68_862_592,
    data: {
      set,
      ...(set === "shapes10"
        ? { notice: "Procedural shapes.", errorFloor: 0.02, linearModelError: 0.314 }
        : set === "photographs"
        ? { notice: "val/ is validation and test." }
        : {}),
      hashes: { [text]: hash("1") },
      trainingImages: recipe.data.split.training,
      validationImages: recipe.data.split.validation,
      testImages: TEST.images,
      splitHashes: {
        training: seed.toString(16).padStart(64, "2"),
        validation: seed.toString(16).padStart(64, "3"),
      },
      mean: { sha256: hash("4"), of: "the training part" },
    },
    classes: CLASSES.map((name, label) => label === 3 ? `${name}${samples ? "" : text}` : name),
    logEvery,
  });
  if (samples) {
    events.push({
      type: "file",
      time: now(),
      kind: "augmented-sample",
      file: await add("augmented.json", JSON.stringify(sample(40, false))),
    });
  }

  const stretch = async (from: number, to: number) => {
    for (let iteration = from + logEvery; iteration <= to; iteration += logEvery) {
      seconds += logEvery * 0.4;
      const progress = iteration / iterations;
      const rate = 0.1 * (progress > 0.75 ? 0.01 : progress > 0.5 ? 0.1 : 1);
      const loss = 2.2 * Math.exp(-6 * progress) * (rate < 0.1 ? 0.5 : 1) + 0.01 +
        0.1 * noise(iteration + seed - 7) * rate;
      events.push({
        type: "step",
        time: now(),
        iteration,
        steps: logEvery,
        images: 128 * logEvery,
        learningRate: rate,
        loss,
        error: Math.min(0.9, loss / 2.6),
        imagesPerSecond: 320 + 10 * noise(iteration),
      });
      if (iteration % (iterations / 10) === 0) {
        const errors = Math.round(500 * Math.min(0.9, 0.075 + loss / 3));
        const common = { type: "evaluation", time: now(), iteration, loss: loss + 0.2 } as const;
        events.push({ ...common, set: "validation", images: 500, errors, error: errors / 500 });
        if (iteration === iterations) {
          events.push({
            ...common,
            set: "test",
            images: TEST.images,
            errors: wrong,
            error: wrong / TEST.images,
            predictions: await add("predictions.csv", predictionsCsv(wrong, seed)),
          });
        }
      }
    }
  };

  const half = iterations / 2;
  if (options.resumed) {
    await stretch(0, half);
    const file = { path: "checkpoint.safetensors", sha256: hash("5"), bytes: 4_000_000 };
    events.push({ type: "checkpoint", time: now(), iteration: half, file });
    await stretch(half, 0.75 * iterations);
    seconds += 3600;
    events.push({ type: "resume", time: now(), iteration: half, ...process });
    await stretch(half, ending === "end" ? iterations : 0.9 * iterations);
  } else {
    await stretch(0, ending === "end" ? iterations : 0.9 * iterations);
  }
  events.push({ type: "warning", time: now(), iteration: half, message: text });
  if (samples) {
    events.push({
      type: "file",
      time: now(),
      kind: "worst-mistakes",
      file: await add("mistakes.json", JSON.stringify(sample(24, true))),
    }, {
      type: "file",
      time: now(),
      kind: "layer-statistics",
      file: await add("layers.json", JSON.stringify(layers())),
    });
  }
  const iteration = events.findLast((event) => event.type === "step")!.iteration;
  if (ending === "end") {
    events.push({
      type: "end",
      time: now(),
      iteration,
      testError: wrong / TEST.images,
      trainingSeconds: 812.5,
      weightsSha256: createHash("sha256").update(`${recipe.architecture.name} ${seed}`)
        .digest("hex"),
    });
  } else if (ending === "failure") {
    const diverged = options.diverged ? { diverged: true as const } : {};
    events.push({ type: ending, time: now(), iteration, reason: text, ...diverged });
  } else if (ending === "stop") {
    events.push({ type: ending, time: now(), iteration, reason: text });
  }
  await add("events.jsonl", events.map((event) => JSON.stringify(event) + "\n").join(""));
  return folder;
}

/** Every n-th image is wrong, most often a cat taken for a dog; n is 13 for 751 errors. */
function predictionsCsv(errors: number, seed: number): string {
  const every = Math.floor(TEST.images / errors);
  const rows = Array.from({ length: TEST.images }, (_, i) => {
    const label = i % 10;
    const wrong = (i + seed) % every === 0 && i < every * errors;
    return `${label},${wrong ? (label + (label === 3 || i % 26 === 0 ? 2 : 8)) % 10 : label}\r\n`;
  });
  return `label,prediction\r\n${rows.join("")}`;
}

function sample(count: number, mistakes: boolean): ImageSample {
  const [height, width] = [32, 32];
  return {
    height,
    width,
    images: Array.from({ length: count }, (_, i) => {
      const pixels = new Uint8Array(height * width * 3); // [H, W, C]
      for (let y = 0; y < height; y++) {
        for (let x = 0; x < width; x++) {
          const inside = Math.hypot(x - 16 - (i % 5), y - 16) < 6 + (i % 7);
          const base = (y * width + x) * 3;
          for (let c = 0; c < 3; c++) {
            pixels[base + c] = inside ? 60 * c + 15 * (i % 10) : 255 - 6 * y - 20 * c;
          }
        }
      }
      const common = { pixels: pixels.toBase64(), index: 37 * i, label: i % 10 };
      return mistakes
        ? {
          ...common,
          prediction: (i + 2) % 10,
          confidence: 0.999 - 0.01 * i,
          labelProbability: 0.0004,
        }
        : { ...common, cropY: i % 9, cropX: (2 * i) % 9, flip: i % 2 === 1 };
    }),
  };
}

function layers(): LayerStatistics {
  return {
    images: 1000,
    layers: Array.from({ length: 31 }, (_, i) => ({
      name: i === 0 ? "bn1" : `layer${1 + Math.floor((i - 1) / 10)}.${i}`,
      std: 1.2 * Math.exp(-i / 14) + 0.2 * (i % 2) + 0.1,
    })),
  };
}

function hash(digit: string): string {
  return digit.repeat(64);
}

/** -1 to 1, the same in every process. */
function noise(i: number): number {
  const wave = Math.sin(i * 12.9898) * 43758.5453;
  return 2 * (wave - Math.floor(wave)) - 1;
}
