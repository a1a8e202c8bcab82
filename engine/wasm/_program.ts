/**
 * The program that all threads run: the plan's operations as calls of kernels
 * with literal addresses, image by image, with barriers where a layer's batch
 * statistics are needed.
 *
 * Each thread works on its own images, so operations need no barrier between
 * them and run one after another on an image while it is in cache. Only sums
 * over the whole batch end a segment: a barrier, then every
 * thread computes the layer's coefficients for itself.
 */
import type { EngineOptions } from "../engine.ts";
import { decayOf, ruleOf } from "../optimiser.ts";
import type { NormaliseOp, PlanTensor } from "../plan.ts";
import { Backward } from "./_backward.ts";
import { CONTROL } from "./_control.ts";
import { Emitter, type ImageCode, type Place, type Timing } from "./_emitter.ts";
import { Forward } from "./_forward.ts";
import { roundUp } from "../_stored.ts";
import type { Layout } from "./_layout.ts";
import {
  advance,
  atomicAdd,
  atomicLoad,
  atomicNotifyAll,
  atomicStore,
  atomicWait,
  below,
  call,
  type Code,
  copyBytes,
  equal,
  exit,
  type FunctionReference,
  get,
  iadd,
  idiv,
  imul,
  int,
  isub,
  loadInt,
  loopWhile,
  type Module,
  type MultiplyAdd,
  set,
  storeInt,
  when,
} from "./assembler.ts";
import { packBackwardKernel, packForwardKernel, range } from "./kernels/convolution.ts";
import { inputKernel } from "./kernels/input.ts";
import { LOSS_BYTES, lossKernel, type MathImports } from "./kernels/loss.ts";
import { updateKernel } from "./kernels/update.ts";
import { packBackwardWinogradKernel, packForwardWinogradKernel } from "./kernels/winograd.ts";

/** What the threads can be told to do. */
export const COMMANDS = {
  stop: 0,
  /** Weights to the layouts that the convolutions read. */
  pack: 1,
  input: 2,
  forward: 3,
  loss: 4,
  backward: 5,
  /** All of a training step: input to update, and the weights packed. */
  step: 6,
  evaluate: 7,
  /** A part of a training step: input to gradients, added to those of the parts before. */
  part: 8,
  /** The end of a step in parts: update, and the weights packed. */
  update: 9,
} as const;

/** Spins of a thread at a barrier before it sleeps. */
const SPINS = 2000;

/** Emits the engine's program into a module: `serve` and `run` are its entries. */
export function emitProgram(
  module: Module,
  math: MathImports,
  multiplyAdd: MultiplyAdd,
  options: EngineOptions,
  layout: Layout,
  timing?: Timing,
): void {
  const emitter = new Emitter(module, multiplyAdd, options, layout, timing);
  const forward = new Forward(emitter);
  const backward = new Backward(emitter, forward);
  const barrier = barrierFunction(emitter);
  const programs = {
    pack: [pack(emitter)],
    input: input(emitter),
    forward: forward.training(barrier),
    loss: loss(emitter, math),
    backward: backward.training(barrier),
    evaluate: [evaluate(emitter, forward)],
  };
  const updated = update(emitter);
  const run = module.function("run", ["i32"], (_, thread) => {
    const asked = (command: number) => equal(loadInt(int(CONTROL.command)), int(command));
    const calls = (functions: readonly FunctionReference[]) =>
      functions.map((part) => call(part, get(thread)));
    const { pack, input, forward, loss, backward } = programs;
    const differentiate = [
      calls([...input, ...forward]),
      // All have read the forward sums of all images, whose place the backward sums take.
      call(barrier),
      calls([...loss, ...backward]),
    ];
    const renew = [call(updated, get(thread)), call(barrier), calls(pack)];
    return [
      Object.entries(programs).map(([name, functions]) =>
        when(asked(COMMANDS[name as keyof typeof programs]), calls(functions))
      ),
      when(asked(COMMANDS.step), [
        differentiate,
        // All gradients are there, and then all weights.
        call(barrier),
        renew,
      ]),
      when(asked(COMMANDS.part), differentiate),
      when(asked(COMMANDS.update), renew),
    ];
  });
  // The main thread: lets the others start, works as one of them, waits for all.
  module.function("command", ["i32"], (_, command) => [
    storeInt(int(CONTROL.command), get(command)),
    emitter.timed("JavaScript", []),
    call(barrier),
    when(equal(command, int(COMMANDS.stop)), exit),
    call(run, int(0)),
    call(barrier),
  ]);
  module.function("serve", ["i32"], (_, thread) =>
    loopWhile([
      call(barrier),
      when(equal(loadInt(int(CONTROL.command)), int(COMMANDS.stop)), exit),
      call(run, get(thread)),
      call(barrier),
    ], int(1)));
}

/**
 * All threads arrive before any goes on. The last one moves the generation on;
 * the others spin a while, since the wait is mostly shorter than going to sleep.
 */
function barrierFunction(emitter: Emitter): FunctionReference {
  const { threads } = emitter.layout;
  return emitter.module.function("barrier", [], (f) => {
    if (threads === 1) return [];
    const [generation, spin] = [f.i32(), f.i32()];
    const unchanged = equal(atomicLoad(int(CONTROL.generation)), generation);
    return emitter.timed("waiting", [
      set(generation, atomicLoad(int(CONTROL.generation))),
      when(
        equal(atomicAdd(int(CONTROL.arrived), int(1)), int(threads - 1)),
        [
          atomicStore(int(CONTROL.arrived), int(0)),
          atomicStore(int(CONTROL.generation), iadd(generation, int(1))),
          atomicNotifyAll(int(CONTROL.generation)),
        ],
        [
          set(spin, int(0)),
          loopWhile(advance(spin, 1), [unchanged, below(spin, int(SPINS)), 0x71]),
          when(
            unchanged,
            loopWhile(atomicWait(int(CONTROL.generation), generation), unchanged),
          ),
        ],
      ),
    ]);
  });
}

function pack(emitter: Emitter): FunctionReference {
  const { module, multiplyAdd, layout } = emitter;
  const convolutions = [...layout.convolutions.values()];
  const work = convolutions.map((convolution) => {
    const { input, output, master, packed, taps, classes, winograd } = convolution;
    const [channels, filters] = [input.channels, output.channels];
    if (winograd) {
      const forward = packForwardWinogradKernel(module, multiplyAdd, channels, filters);
      const backward = packBackwardWinogradKernel(module, multiplyAdd, channels, filters);
      return [
        call(forward, int(master), int(winograd.forward)),
        call(backward, int(master), int(winograd.backward)),
      ];
    }
    const forward = packForwardKernel(module, taps, channels, filters);
    return [
      call(forward, int(master), int(packed)),
      classes.filter(({ taps }) => taps.length > 0).map(({ taps, weights }) =>
        call(
          packBackwardKernel(module, taps, channels, filters),
          int(master),
          int(weights),
        )
      ),
    ];
  });
  return module.function(
    "pack",
    ["i32"],
    (_, thread) =>
      emitter.timed(
        "update",
        range(layout.threads).map((owner) =>
          when(
            equal(thread, int(owner)),
            work.filter((_, i) => i % layout.threads === owner),
          )
        ),
      ),
  );
}

function input(emitter: Emitter): FunctionReference[] {
  const { training } = emitter.layout;
  return [emitter.overImages("input", [], [readInput(emitter, emitter.at(training.input))])];
}

function readInput(emitter: Emitter, to: ImageCode): ImageCode {
  const { layout, options } = emitter;
  const [height, width, channels] = options.graph.inputShape;
  const kernel = inputKernel(emitter.module, {
    height,
    width,
    channels,
    storedChannels: roundUp(channels),
    cropPadding: options.cropPadding,
    scaleAddress: layout.scale,
    beforePaddingAddress: layout.beforePadding,
    meanAddress: layout.mean,
  });
  return (frame) =>
    emitter.timed(
      "input",
      call(kernel, loadInt(int(CONTROL.setAddress)), emitter.planEntry(frame), to(frame)),
    );
}

function loss(emitter: Emitter, math: MathImports): FunctionReference[] {
  const { layout, module } = emitter;
  const { output, outputGradient } = layout.training;
  if (output.shape.length !== 1) return [];
  const kernel = lossKernel(module, math, output.shape[0], output.size);
  const [logits, gradient] = [emitter.at(output), emitter.at(outputGradient!)];
  return [emitter.overImages("loss", [], [(frame) =>
    emitter.timed(
      "loss",
      call(
        kernel,
        logits(frame),
        gradient(frame),
        emitter.planEntry(frame),
        iadd(int(layout.losses), imul(frame.image, int(LOSS_BYTES))),
        iadd(frame.scratch, int(layout.lossScratch)),
      ),
    )])];
}

function update(emitter: Emitter): FunctionReference {
  const { module, layout, options: { optimiser } } = emitter;
  const { start, kernelsEnd, end } = layout.weights;
  const rule = ruleOf(optimiser);
  const scalars = rule.scalars(1, 0).length;
  const kernel = (decay: number, isMet: boolean) =>
    updateKernel(module, rule, {
      ...{ optimiser, decay, scalars, isMet },
      slotOffsets: rule.slots.map((slot) => layout.slotOffsets.get(slot)!),
      gradientOffset: layout.gradientOffset,
      gradientStride: layout.gradientStride,
      threads: layout.threads,
    });
  const decay = decayOf(optimiser, { role: "kernel" });
  const kernels = [...layout.unmet, { start: kernelsEnd, end: kernelsEnd }].flatMap((unmet, i) => [
    { from: layout.unmet[i - 1]?.end ?? start, to: unmet.start, decay, isMet: true },
    { from: unmet.start, to: unmet.end, decay, isMet: false },
  ]);
  const ranges = [
    ...kernels.filter(({ from, to }) => from < to),
    { from: kernelsEnd, to: end, decay: decayOf(optimiser, { role: "bias" }), isMet: true },
  ];
  return module.function(
    "update",
    ["i32"],
    (_, thread) =>
      emitter.timed(
        "update",
        ranges.map(({ from, to, decay, isMet }) => {
          const bound = (index: Code) =>
            iadd(
              int(from),
              imul(idiv(imul(index, int((to - from) / 16)), int(layout.threads)), int(16)),
            );
          return call(kernel(decay, isMet), bound(get(thread)), bound(iadd(thread, int(1))));
        }),
      ),
  );
}

/** The whole network on a few images after another: activations stay in cache. */
function evaluate(emitter: Emitter, forward: Forward): FunctionReference {
  const { layout } = emitter;
  const { inference } = layout;
  const inStorage = (tensor: PlanTensor): ImageCode => ({ storage, image, block }) =>
    iadd(
      iadd(storage, int(4 * tensor.offset)),
      imul(isub(image, block), int(layout.inferenceStride)),
    );
  const at: Place = Object.assign(inStorage, { stride: layout.inferenceStride });
  const layers = inference.forward.filter((op): op is NormaliseOp =>
    op.kind === "normalise" && op.batchNorm !== undefined
  );
  const output = at(inference.output);
  const bytes = 4 * inference.output.size;
  return emitter.overImages(
    "evaluate",
    layers.map((op) => forward.coefficients(op)),
    [
      readInput(emitter, at(inference.input)),
      ...inference.forward.filter(({ output }) => !output.maker)
        .map((op) => forward.operation(op, at)),
      (frame) =>
        copyBytes(
          iadd(int(layout.logits), imul(frame.image, int(bytes))),
          output(frame),
          int(bytes),
        ),
    ],
  );
}
