/**
 * Tells networks that names and shapes cannot tell apart, and how their images
 * were prepared, by trying: the weights err least where they are used as they
 * were trained.
 */
import { depthOf } from "../resnet/mod.ts";
import type { ByteImages, EngineFactory, Labels } from "../engine/mod.ts";
import { comparePaired } from "./compare.ts";
import { isFarFromPaper } from "./expected.ts";
import { type Fit, FITS_BELOW, misfits } from "./_first_norm.ts";
import { beforeTransform, type Preprocessing, preprocessings } from "./preprocessings.ts";
import { Engines, type Network, networksOf, type Run, scoreOf, type Trialled } from "./_runs.ts";

export type { Trialled } from "./_runs.ts";

/** What is tried on what. */
export interface SweepOptions {
  /** At least one. */
  readonly candidates: readonly Trialled[];
  /** Networks that are tried where no candidate errs as little as such nets do. */
  readonly variants?: () => readonly Trialled[];
  /** The preprocessings are measured on its training part, errors on its test part. */
  readonly data: { readonly train: ByteImages; readonly test: ByteImages };
  /** Makes the engines that compute. */
  readonly factory: EngineFactory;
  /** Worker threads, where the engine has them. */
  readonly threads?: number;
  /** Images on which what leads is told apart; 512 by default. */
  readonly screeningImages?: number;
  /** Whether the best is tested on the whole test part; by default it is. */
  readonly finish?: boolean;
  /** Told what is being done, for people who wait. */
  readonly onProgress?: (line: string) => void;
}

/** One candidate with one preprocessing, tested. */
export interface Trial {
  /** What was tested. */
  readonly candidate: Trialled;
  /** How its images were prepared. */
  readonly preprocessing: Preprocessing;
  /** [N], 1 where the prediction is not the label. */
  readonly wrong: Uint8Array;
  /** Sum of `wrong`. */
  readonly errors: number;
  /** N, the first images of the test part. */
  readonly images: number;
  /** Share of the logits that are below 0, before any ReLU after the last layer. */
  readonly negativeLogits: number;
}

/** A trial and how it stands to the best. */
export interface RankedTrial extends Trial {
  /** `worse` where the paired test says so; `tied` with the best where it does not. */
  readonly standing: "best" | "tied" | "worse";
  /** McNemar's exact p-value against the best, on the images of both; 1 for the best itself. */
  readonly p: number;
}

/** What a sweep found. */
export interface Sweep {
  /** Everything that was tried, each on as many of the first images as it was worth. */
  readonly screened: readonly RankedTrial[];
  /** The best on all images, then those that tie with it; empty where nothing beats guessing. */
  readonly leaders: readonly RankedTrial[];
  /** How images were prepared and cropped by what the first batch norm holds, where that fits. */
  readonly firstNorm?: Fit;
}

/** A trial on the first images is given up below this p-value: the best is the luckiest of dozens. */
const GIVEN_UP_BELOW = 0.01;
/** A leader is worse than the best below this p-value. */
const WORSE_BELOW = 0.05;
/** Multiply-adds of what is tried whole: some seconds of a core. */
const CHEAP = 5e10;
/** Images on which every network sees the ways that stand for others. */
const FIRST = 24;
/** Of those, how many are tried with all ways that they stand for. */
const WIDENED = 3;
/** Ways that are tried whatever the first batch norm says, so that it can be contradicted. */
const ALWAYS: ReadonlySet<string> = new Set(["per-pixel-all", "imagenet", "none"]);
/** Ways that fit the first batch norm so much worse than the best are not tried for its sake. */
const FITTING = 4;
/** Then images, and how many runs at most go beyond them. */
const ROUNDS = [[40, 12], [96, 6]] as const;
/** And with whatever else was tried. */
const LAST_ROUNDS = [[256, 4]] as const;

/**
 * Tries every candidate with every preprocessing: on few images first, on more what leads there,
 * and the best on all. Of preprocessings that err alike, that one leads whose images have the mean
 * and the variance that the first batch norm holds.
 *
 * @param options What is tried on what.
 * @returns What was tried, the best first. A difference that the paired test
 *   does not confirm is a tie.
 * @throws {EngineError} If the engine cannot compute a candidate.
 */
export async function sweep(options: SweepOptions): Promise<Sweep> {
  const search = new Search(options);
  try {
    return await search.run();
  } finally {
    search.dispose();
  }
}

class Search {
  readonly #options: SweepOptions;
  readonly #engines: Engines;
  readonly #ways: readonly Preprocessing[];
  /** Images on which the leaders are told apart. */
  readonly #count: number;
  readonly #all: Run[] = [];
  /** Of all networks, whose first layer is the same. */
  #fits?: readonly Fit[];

  constructor(options: SweepOptions) {
    const { data: { train, test }, factory, threads, screeningImages = 512 } = options;
    this.#options = options;
    this.#engines = new Engines(factory, threads, test);
    this.#ways = preprocessings(train);
    this.#count = Math.min(screeningImages, test.count);
  }

  dispose(): void {
    this.#engines.dispose();
  }

  async run(): Promise<Sweep> {
    const { candidates, variants, data: { test } } = this.#options;
    let going = await this.#approach(candidates);
    if (variants && this.#isFar(going[0])) {
      const others = variants();
      if (others.length > 0) going = this.#best([...going, ...await this.#approach(others)]);
    }
    for (const [images, most] of LAST_ROUNDS) {
      if (images >= this.#count) continue;
      await this.#extend(going, images);
      going = this.#best(going).slice(0, most);
    }
    await this.#extend(going, this.#count);
    const [best] = this.#best(going);
    const screened = this.#ranked(best, this.#all, GIVEN_UP_BELOW);
    if (!beatsGuessing(screened[0], test.classes)) return { screened, leaders: [] };

    const tied = this.#best(going);
    const winner = this.#fitting(tied);
    const fits = this.#fitsOf(winner.network);
    // Between ways that err alike the first batch norm decides, where it is sure of one of them.
    const decided = isAmong(fits, winner);
    const rest = tied.filter((run) => run !== winner && (!decided || isAmong(fits, run)));
    await this.#finish(winner);
    if (this.#isCheap(rest, test.count)) { for (const run of rest) await this.#finish(run); }
    const leaders = this.#ranked(winner, [winner, ...rest], WORSE_BELOW);
    return { screened, leaders, ...(this.#firstNorm ? { firstNorm: this.#firstNorm } : {}) };
  }

  /** What leads among networks, on images enough to compare it with others. */
  async #approach(candidates: readonly Trialled[]): Promise<Run[]> {
    const runs = networksOf(candidates).flatMap((network) =>
      beforeTransform(this.#ways, network.candidates[0].inputTransform)
        .map((preprocessing): Run => ({
          ...{ network, preprocessing, logits: new Float32Array(), images: 0 },
        }))
    );
    if (this.#isCheap(runs, this.#count)) {
      await this.#extend(runs, this.#count);
      return this.#best(runs);
    }
    const fits = this.#fitsOf(runs[0].network);
    const isFitting = (run: Run) => isAmong(fits, run);
    const first = runs.filter((run) => {
      const { id, like, channels } = run.preprocessing;
      return isFitting(run) ||
        (channels === "RGB" && (fits.length > 0 ? ALWAYS.has(id) : id === like));
    });
    await this.#extend(first, Math.min(FIRST, this.#count));
    const leading = this.#best(first).slice(0, WIDENED);
    // What the first batch norm tells needs no other ways that are like it.
    let going = fits.length > 0 && leading.some(isFitting)
      ? this.#best(first)
      : runs.filter(({ network, preprocessing }) =>
        leading.some((run) =>
          run.network === network && run.preprocessing.like === preprocessing.like
        )
      );
    for (const [images, most] of ROUNDS) {
      await this.#extend(going, Math.min(images, this.#count));
      going = this.#best(going).slice(0, most);
    }
    return going;
  }

  async #extend(runs: readonly Run[], images: number): Promise<void> {
    for (const run of runs) if (!this.#all.includes(run)) this.#all.push(run);
    await this.#engines.extend(runs, images, ({ candidates: [{ name }] }) => {
      this.#options.onProgress?.(`trying on ${images} images: ${name}`);
    });
  }

  async #finish(run: Run): Promise<void> {
    const { network: { candidates: [{ name }] }, preprocessing } = run;
    const { count } = this.#options.data.test;
    this.#options.onProgress?.(`testing on ${count} images: ${name}, ${preprocessing.name}`);
    if (run.images < count) await this.#engines.finish(run);
  }

  /** Those that the paired test does not set behind the best, the best first. */
  #best(runs: readonly Run[]): Run[] {
    const images = Math.min(...runs.map((run) => run.images));
    const scored = runs.map((run) => ({
      run,
      score: scoreOf(firstOf(run, images), this.#options.data.test.labels),
    })).sort((a, b) => a.score.errors - b.score.errors || a.score.loss - b.score.loss);
    return scored.filter(({ score }) =>
      comparePaired(score.wrong, scored[0].score.wrong).p >= GIVEN_UP_BELOW
    ).map(({ run }) => run);
  }

  /** Of runs that err alike, the one that the first batch norm fits best; else the first. */
  #fitting(tied: readonly Run[]): Run {
    const fits = this.#fits ?? this.#measure(tied[0].network);
    const by = ({ preprocessing: { id, channels } }: Run) =>
      fits.findIndex(({ preprocessing }) =>
        preprocessing.id === id && preprocessing.channels === channels
      );
    return tied.length === 1 || fits.length === 0
      ? tied[0]
      : tied.reduce((a, b) => by(b) < by(a) ? b : a);
  }

  #measure({ candidates: [{ inputTransform }], ...network }: Network): readonly Fit[] {
    const ways = beforeTransform(this.#ways, inputTransform);
    this.#options.onProgress?.("comparing preprocessings with the first batch norm's statistics");
    return this.#fits = misfits({ ...network, candidates: [] }, ways, this.#options.data.train);
  }

  /** The ways that give what the first batch norm holds; none where that tells nothing. */
  #fitsOf(network: Network): readonly Fit[] {
    const fits = this.#fits ?? this.#measure(network);
    const [best] = fits;
    return best && best.misfit < FITS_BELOW
      ? fits.filter(({ misfit }) => misfit < Math.max(FITTING * best.misfit, FITS_BELOW))
      : [];
  }

  get #firstNorm(): Fit | undefined {
    const best = this.#fits?.[0];
    return best && best.misfit < FITS_BELOW ? best : undefined;
  }

  #isCheap(runs: readonly Run[], images: number): boolean {
    return runs.reduce((sum, { network }) => sum + network.cost * images, 0) <= CHEAP;
  }

  #isFar(run: Run): boolean {
    const { labels } = this.#options.data.test;
    const { errors } = scoreOf(run, labels);
    return isFarFromPaper(errors, run.images, depthOf(run.network.graph));
  }

  /** Trials of runs, the best first, then by their share of errors. */
  #ranked(best: Run, runs: readonly Run[], worseBelow: number): RankedTrial[] {
    const { labels } = this.#options.data.test;
    const trials = runs.filter(({ images }) => images > 0).flatMap((run) =>
      run.network.candidates.map((candidate) => ({ run, trial: trialOf(run, candidate, labels) }))
    );
    const [first] = trials.filter(({ run }) => run === best);
    const others = trials.filter((other) => other !== first)
      .toSorted((a, b) => a.trial.errors / a.trial.images - b.trial.errors / b.trial.images);
    return [
      { ...first.trial, standing: "best", p: 1 },
      ...others.map(({ trial }): RankedTrial => {
        const images = Math.min(trial.images, first.trial.images);
        const { p } = comparePaired(
          trial.wrong.subarray(0, images),
          first.trial.wrong.subarray(0, images),
        );
        return { ...trial, standing: p < worseBelow ? "worse" : "tied", p };
      }),
    ];
  }
}

function isAmong(fits: readonly Fit[], { preprocessing: { id, channels } }: Run): boolean {
  return fits.some(({ preprocessing }) =>
    preprocessing.id === id && preprocessing.channels === channels
  );
}

function firstOf(run: Run, images: number): Run {
  const logits = run.logits.subarray(0, run.logits.length / run.images * images);
  return { ...run, images, logits };
}

function trialOf(run: Run, candidate: Trialled, labels: Labels): Trial {
  const relu = candidate.graph.output !== run.network.graph.output;
  const { wrong, errors, negativeLogits } = scoreOf(run, labels, relu);
  const { images, preprocessing } = run;
  return { candidate, preprocessing, wrong, errors, images, negativeLogits };
}

/** Whether the error lies six standard deviations below that of guessing. */
function beatsGuessing({ errors, images }: Trial, classes: number): boolean {
  const chance = 1 - 1 / classes;
  return errors < images * chance - 6 * Math.sqrt(images * chance * (1 - chance));
}
