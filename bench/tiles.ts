/**
 * Times other tiles for the convolutions of a network's training step on the
 * GPU at hand, each beside the one that `tileFor` chooses: what to change in
 * that function for a device is read off this table.
 *
 * `deno run bench/tiles.ts --arch resnet32 --batch 128`
 */
import { parseArgs } from "@std/cli/parse-args";
import { EngineError, PLAIN_SGD } from "../engine/mod.ts";
import {
  convolutionKernel,
  type ConvolutionShape,
  type ConvolutionTile,
  type ConvolutionVariant,
  Executor,
  type KernelLimits,
  type Launch,
  openGpu,
  programLimits,
  tilesFor,
  vectors,
  whole,
  writeProgram,
} from "../engine/bench/mod.ts";
import { architecture } from "../resnet/mod.ts";

const HELP = `Times other tiles for a network's convolutions on this GPU.

deno run bench/tiles.ts [flags]

  --arch NAME    the network; resnet32 by default
  --batch N      images in a batch; 128 by default
  --runs N       timed launches of each tile; 15 by default
  --most N       tiles tried for each convolution; all by default
  --best N       tiles shown for each convolution; 3 by default
  --help         print this help
`;

const NUMBERS = ["batch", "runs", "most", "best"] as const;

const flags = parseArgs(Deno.args, {
  string: ["arch", ...NUMBERS],
  boolean: ["help"],
  default: { arch: "resnet32", batch: "128", runs: "15", most: "100000", best: "3" },
  unknown: (flag) => {
    console.error(`unknown argument "${flag}"\n\n${HELP}`);
    Deno.exit(2);
  },
});
if (flags.help) {
  console.log(HELP);
  Deno.exit();
}
const [batchSize, runs, most, best] = NUMBERS.map((name) => {
  const value = Number(flags[name]);
  if (Number.isInteger(value) && value > 0) return value;
  console.error(`--${name} must be a whole number above 0, found "${flags[name]}"`);
  Deno.exit(2);
});

/** What `convolutionKernel` made a launch's kernel from. */
interface Made {
  readonly shape: ConvolutionShape;
  readonly variant: ConvolutionVariant;
  readonly tile: ConvolutionTile;
}

const gpu = await openGpu();
if (!gpu.hasTimestamps) {
  throw new EngineError(`timing tiles: ${gpu.description.summary} has no timestamp queries`);
}
console.log(`${gpu.description.summary}; ${flags.arch}, batch ${batchSize}`);
const limits = programLimits(gpu);
const program = writeProgram({
  graph: architecture(flags.arch),
  batchSize,
  optimiser: { ...PLAIN_SGD, momentum: 0.9, weightDecay: 1e-4 },
  batchNorm: { epsilon: 1e-5, momentum: 0.1 },
  cropPadding: 4,
}, limits);
const executor = new Executor(gpu.device);
executor.allocate(program.storages);

const launches = [...program.training, ...program.backward].filter(({ kernel }) =>
  kernel.group === "convolution" || kernel.group === "input gradient"
);
for (const [label, equal] of Map.groupBy(launches, ({ kernel }) => kernel.label)) {
  const made = JSON.parse(label.slice(label.indexOf("{"))) as Made;
  const [launch] = equal;
  const milliseconds = await time(launch, made);
  const { shape: { input, output, stride, dilation }, variant: { source, epilogue } } = made;
  console.log(
    `\n${equal.length} x ${launch.kernel.group} ${input.height}x${input.width}x${input.channels} to ${output.height}x${output.width}x${output.channels}, stride ${stride}, dilation ${dilation}, ${source}, ${epilogue.kind}`,
  );
  print("as chosen", milliseconds, made.tile, launch);
  const others: { readonly tile: ConvolutionTile; readonly milliseconds: number }[] = [];
  for (const tile of candidates(made, limits).slice(0, most)) {
    others.push({ tile, milliseconds: await time(launch, { ...made, tile }) });
  }
  others.sort((a, b) => a.milliseconds - b.milliseconds);
  for (const { tile, milliseconds: theirs } of others.slice(0, best)) {
    print(`${(theirs / milliseconds).toFixed(2)} of it`, theirs, tile, launch);
  }
}
gpu.device.destroy();

function print(what: string, milliseconds: number, tile: ConvolutionTile, launch: Launch): void {
  const flops = launch.kernel.operations(batchSize) / (milliseconds * 1e6);
  console.log(
    what.padStart(12) + `${milliseconds.toFixed(4)} ms`.padStart(13) +
      `${flops.toFixed(0)} GFLOP/s`.padStart(15) + `  ${JSON.stringify(tile)}`,
  );
}

/** Every tile of powers of two that fits the device and leaves no lane without work. */
function candidates({ shape, variant, tile: chosen }: Made, limits: KernelLimits) {
  const { output: { height, width, channels }, input, dilation } = shape;
  const tiles: ConvolutionTile[] = [];
  const upTo = (most: number) => [1, 2, 4, 8, 16, 32].filter((n) => n <= most);
  for (const rows of upTo(Math.min(8, height)).filter((rows) => rows % dilation === 0)) {
    const allBlocks = Math.ceil(height / rows);
    for (const filters of upTo(Math.min(4, vectors(channels)))) {
      if (rows * filters > 16) continue;
      // Lanes of a few columns would read short runs of memory.
      const widths = upTo(width).filter((n) => n >= Math.min(8, width) && n % dilation === 0);
      for (const columns of widths) {
        for (const blocks of upTo(allBlocks)) {
          const wholeImage = columns >= width && blocks === allBlocks;
          for (const images of wholeImage ? upTo(8) : [1]) {
            for (const teams of upTo(Math.ceil(vectors(channels) / filters))) {
              const invocations = columns * blocks * images * teams;
              if (invocations < 64 || invocations > 256) continue;
              for (const chunk of upTo(Math.min(4, vectors(input.channels)))) {
                tiles.push({ rows, filters, columns, blocks, images, teams, chunk });
              }
            }
          }
        }
      }
    }
  }
  return tiles.filter((tile) => {
    if (JSON.stringify(tile) === JSON.stringify(chosen)) return false;
    try {
      convolutionKernel(shape, variant, limits, tile);
      return true;
    } catch (error) {
      if (error instanceof RangeError) return false; // more memory than there is
      throw error;
    }
  });
}

/** The median of several launches. */
async function time(launch: Launch, { shape, variant, tile }: Made): Promise<number> {
  const kernel = convolutionKernel(shape, variant, limits, tile);
  let { slices } = launch;
  const rows = { none: 0, statistics: 3, gradient: 2 }[variant.epilogue.kind];
  if (rows > 0) {
    // Another tile leaves another number of partial sums.
    const floats = 4 * tilesFor(kernel.tiling, batchSize) * rows * vectors(shape.output.channels);
    slices = [...slices.slice(0, -1), whole({ label: "sums", bytes: 4 * floats })];
  }
  const sums = rows > 0 ? [slices[slices.length - 1].storage] : [];
  executor.allocate(sums);
  executor.setStep({ images: batchSize });
  const [bound] = executor.bind([{ kernel, slices }]);
  const times = await executor.submitTimed(Array(runs + 2).fill(bound), batchSize);
  executor.free(sums);
  const sorted = times.slice(2).toSorted((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] / 1e6;
}
