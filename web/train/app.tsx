/** @jsxRuntime automatic */
/** @jsxImportSource preact */
/// <reference lib="dom" />
/** The page that trains: one button, and everything that happens after it. */
import type { VNode } from "preact";
import { useEffect, useReducer, useRef, useState } from "preact/hooks";
import { PAPER_DATASET } from "../../paper/mod.ts";
import { duration, number, percent } from "../../text/mod.ts";
import { Chooser, useDrop } from "../page/drop.tsx";
import type { NamedFile } from "../page/files.ts";
import { sortGiven } from "../page/given.ts";
import { ImagesLine, useImages } from "../page/images.tsx";
import { Pages } from "../page/pages.tsx";
import { saveFile } from "../page/save.ts";
import { Batch, Curves, FirstLayer } from "./figures.tsx";
import type { Form, JudgedRule, KeptRun, Told, Wanted } from "./messages.ts";
import type { Ask } from "./start.ts";
import { type Change, changed, freeName, NOTHING, type Shown } from "./state.ts";

/** Networks that are offered; the command has more. */
const NETWORKS = [
  ...["resnet8", "resnet14", "resnet20", "resnet32", "resnet44", "resnet56", "resnet110"],
  ...["plain20", "plain32", "plain56"],
] as const;

/** Starts the worker; the page's program has it, its text alone does not. */
export type Start = (tell: (told: Told) => void) => Ask;

/** Seconds between two batches for whoever wants little to move. */
const CALM_SECONDS = 10;

const DEMO: Wanted = { set: "shapes10", architecture: "resnet8", seed: 0 };

export function App({ start }: { readonly start?: Start }): VNode {
  const [shown, change] = useReducer<Shown, Change>(changed, NOTHING);
  const ofPage = useImages(start !== undefined);
  const given = ofPage.images;
  const [said, setSaid] = useState("");
  const worker = useRef<Ask>(undefined);
  const ask: Ask = (asked) => {
    setSaid("");
    worker.current?.(asked);
  };

  useEffect(() => {
    if (!start) return;
    const calm = matchMedia("(prefers-reduced-motion: reduce)");
    let seen = -Infinity;
    worker.current = start((told) => {
      if (told.type === "saved") saveFile(told.name, told.media, told.content);
      else if (told.type === "failed") setSaid(told.message);
      else if (told.type !== "seen") change(told);
      else if (!calm.matches || performance.now() - seen > CALM_SECONDS * 1000) {
        seen = performance.now();
        change(told);
      }
      if (told.type === "ready") ask({ type: "list" });
    });
  }, []);

  const take = (files: readonly NamedFile[]) => {
    const { data } = sortGiven(files.map(([path]) => path));
    setSaid(
      data === undefined
        ? "That is not CIFAR-10 in its binary version: give cifar-10-binary.tar.gz or the folder that is in it"
        : "",
    );
    if (data !== undefined) ofPage.give(data, files);
  };
  useDrop(take, setSaid);

  const train = (run: string, wanted: Wanted, threads?: number) => {
    change({ type: "asked", run });
    ask({
      ...{ type: "train", run, wanted, engine: "auto" },
      ...(given && wanted.set !== "shapes10"
        ? { given: { files: given.files, data: given.path } }
        : {}),
      ...(threads === undefined ? {} : { threads }),
    });
  };
  const begin = (wanted: Wanted, threads?: number) =>
    train(freeName(wanted, shown), wanted, threads);
  const goOn = ({ run, set, architecture }: KeptRun) => train(run, { ...DEMO, set, architecture });

  const { phase, ready } = shown;
  const busy = phase === "preparing" || phase === "training" || phase === "pausing";
  const current = shown.runs.find(({ run }) => run === shown.run);
  const latest = current ?? shown.runs[0];
  const unfinished = latest && latest.testError === undefined && latest.iteration > 0 &&
      (latest.set === "shapes10" || given)
    ? latest
    : undefined;
  return (
    <>
      <header>
        <Pages current="train.html" />
        <p class="eyebrow">Deep residual learning, reproduced: a training</p>
        <h1>Train a residual network in this page</h1>
        <p class="lead">
          Press the button: a ResNet-8 learns to tell ten kinds of drawn shapes apart, on this
          computer alone, in a minute or a few; nothing is downloaded and nothing is uploaded.
        </p>
      </header>
      <main>
        <div class="row">
          {busy
            ? (
              <button
                key="main"
                type="button"
                class="main-button first"
                disabled={phase !== "training"}
                onClick={() => {
                  change({ type: "pausing" });
                  ask({ type: "pause" });
                }}
              >
                Pause
              </button>
            )
            : (
              <button
                key="main"
                type="button"
                class="main-button first"
                disabled={!ready}
                onClick={() => unfinished ? goOn(unfinished) : begin(DEMO)}
              >
                {unfinished
                  ? `Go on from step ${number(unfinished.iteration)}`
                  : phase === "finished"
                  ? "Train another"
                  : "Train"}
              </button>
            )}
        </div>
        <State shown={shown} />
        <Saves shown={shown} busy={busy} save={(run, form) => ask({ type: "save", run, form })} />
        <Other
          busy={busy || !ready}
          hasImages={given !== undefined}
          take={take}
          begin={begin}
          threads={shown.isolated ? undefined : 1}
        />
        <ImagesLine
          of={ofPage}
          none=" "
          use="it can be trained on"
          disabled={busy}
        />
        <p role="alert" class="one-line">{said}</p>
        <Runs
          runs={shown.runs}
          unreadable={shown.unreadable}
          busy={busy}
          hasImages={given !== undefined}
          goOn={goOn}
          forget={(run) => ask({ type: "forget", run })}
        />
        <h2>As it learns</h2>
        <Curves shown={shown} />
        <Batch batch={shown.batch} />
        <FirstLayer filters={shown.filters} />
        <Assurance shown={shown} />
        <Checklist rules={shown.rules} />
      </main>
    </>
  );
}

/** Where the training stands; what is said aloud is only what happens seldom. */
function State({ shown }: { readonly shown: Shown }): VNode {
  const { phase, progress, started, iterations, finished, line, warnings } = shown;
  const iteration = finished?.iteration ?? progress?.iteration ?? started?.iteration ?? 0;
  const left = progress && started && phase === "training"
    ? (iterations - iteration) * 128 / progress.imagesPerSecond
    : undefined;
  // One text, so that nothing within it moves.
  const steps = iterations === 0 ? "" : [
    `step ${number(iteration)} of ${number(iterations)}`,
    ...(progress && phase === "training"
      ? [
        `loss ${progress.loss.toFixed(3)}`,
        `${percent(progress.error)} wrong in training`,
        `rate ${progress.learningRate}`,
        `${number(Math.round(progress.imagesPerSecond))} images/s`,
      ]
      : []),
    ...(left !== undefined && Number.isFinite(left) ? [`about ${duration(left)} left`] : []),
  ].join(" · ");
  return (
    <div class="state">
      <progress
        value={iterations > 0 ? iteration / iterations : 0}
        max={1}
        aria-label="Steps taken"
      />
      <p>
        {steps}
      </p>
      <p role="status">
        {phase === "refused"
          ? <strong>It can’t go on: {line}</strong>
          : phase === "paused"
          ? "paused: what was learned is kept. Go on whenever you like"
          : finished
          ? (
            <>
              <strong>{percent(finished.testError)} test error</strong>{" "}
              ({number(finished.testErrors)} of {number(finished.testImages)} images wrong)
              {finished.errorFloor !== undefined &&
                `; the floor is ${percent(finished.errorFloor)}, the share of wrong labels`}
              {finished.linearModelError !== undefined &&
                `; a linear model has ${percent(finished.linearModelError)}`}
            </>
          )
          : line || (phase === "none"
            ? "600 steps of 128 images; the test images are looked at once, at the end"
            : "")}
      </p>
      <p class="muted">
        {[...(started ? [`${started.engine}: ${started.device}`] : []), ...warnings.slice(-1)]
          .join(" · ")}
      </p>
    </div>
  );
}

const FORMS: readonly (readonly [Form, string])[] = [
  ["safetensors", "weights (safetensors)"],
  ["onnx", "weights (ONNX)"],
  ["report", "report"],
  ["log", "log"],
];

/** What can be taken away of the run that is shown. */
function Saves({ shown, busy, save }: {
  readonly shown: Shown;
  readonly busy: boolean;
  readonly save: (run: string, form: Form) => void;
}): VNode {
  const { run } = shown;
  const can = !busy && run !== undefined && shown.runs.some((kept) => kept.run === run);
  return (
    <p class="row saves">
      Save:
      {FORMS.map(([form, label]) => (
        <button
          key={form}
          type="button"
          disabled={!can}
          onClick={() => save(run!, form)}
        >
          {label}
        </button>
      ))}
    </p>
  );
}

/** Another network, or other images. */
function Other({ busy, hasImages, take, begin, threads }: {
  readonly busy: boolean;
  readonly hasImages: boolean;
  readonly take: (files: readonly NamedFile[]) => void;
  readonly begin: (wanted: Wanted, threads?: number) => void;
  readonly threads: number | undefined;
}): VNode {
  const form = useRef<HTMLFormElement>(null);
  const submit = (event: Event) => {
    event.preventDefault();
    const fields = new FormData(form.current!);
    const count = (name: string) => {
      const text = String(fields.get(name) ?? "");
      return text === "" ? undefined : Number(text);
    };
    const iterations = count("iterations");
    begin({
      set: fields.get("set") === PAPER_DATASET ? PAPER_DATASET : DEMO.set,
      architecture: String(fields.get("architecture")),
      seed: count("seed") ?? 0,
      ...(iterations === undefined ? {} : { iterations }),
    }, threads ?? count("threads"));
  };
  return (
    <details>
      <summary>Another network, or CIFAR-10</summary>
      <p class="muted">
        For CIFAR-10 drop <code>cifar-10-binary.tar.gz</code>{" "}
        or its folder anywhere on this page, or choose the archive; it is read in place. The paper’s
        recipe takes 64,000 steps: hours to days here, so give a number of steps, which the schedule
        is shortened to.
      </p>
      <form ref={form} onSubmit={submit}>
        <div class="choices">
          <label>
            Images
            <select name="set" disabled={busy} key={String(hasImages)}>
              <option value={DEMO.set}>drawn shapes, built in</option>
              <option value={PAPER_DATASET} disabled={!hasImages} selected={hasImages}>
                {hasImages ? "CIFAR-10" : "CIFAR-10 (not given yet)"}
              </option>
            </select>
          </label>
          <label>
            Network
            <select name="architecture" disabled={busy}>
              {NETWORKS.map((name) => <option key={name}>{name}</option>)}
            </select>
          </label>
          <label>
            Steps
            <input name="iterations" type="number" min={1} max={1e6} placeholder="all" />
          </label>
          <label>
            Seed
            <input name="seed" type="number" min={0} max={0xffffffff} defaultValue="0" />
          </label>
          <label>
            Threads
            <input
              name="threads"
              type="number"
              min={1}
              max={64}
              placeholder="all"
              disabled={threads !== undefined}
            />
          </label>
        </div>
        <p class="row">
          <button type="submit" disabled={busy}>Train this</button>
          <Chooser label="Choose CIFAR-10’s archive" take={take} disabled={busy} />
        </p>
      </form>
    </details>
  );
}

/** Runs of this and of earlier visits. */
function Runs({ runs, unreadable, busy, hasImages, goOn, forget }: {
  readonly runs: readonly KeptRun[];
  readonly unreadable: readonly string[];
  readonly busy: boolean;
  readonly hasImages: boolean;
  readonly goOn: (run: KeptRun) => void;
  readonly forget: (run: string) => void;
}): VNode {
  return (
    <details>
      <summary>Runs in this browser ({number(runs.length + unreadable.length)})</summary>
      <ul class="runs">
        {runs.map((run) => {
          const lacks = run.set !== "shapes10" && !hasImages;
          return (
            <li key={run.run}>
              <span>
                <strong>{run.run}</strong> {run.testError === undefined
                  ? `step ${number(run.iteration)} of ${number(run.iterations)}`
                  : `${percent(run.testError)} test error after ${number(run.iterations)} steps`}
                {lacks && "; drop its images to go on"}
              </span>
              <button type="button" disabled={busy || lacks} onClick={() => goOn(run)}>
                {run.testError === undefined ? "Go on" : "Show"}
              </button>
              <Remove run={run.run} {...{ busy, forget }} />
            </li>
          );
        })}
        {unreadable.map((run) => (
          <li key={run}>
            <span>
              <strong>{run}</strong>{" "}
              its log can’t be read: it is of another version of this page, or damaged
            </span>
            <Remove {...{ run, busy, forget }} />
          </li>
        ))}
      </ul>
    </details>
  );
}

function Remove({ run, busy, forget }: {
  readonly run: string;
  readonly busy: boolean;
  readonly forget: (run: string) => void;
}): VNode {
  return (
    <button type="button" disabled={busy} onClick={() => forget(run)}>
      Remove <span class="hidden">{run}</span>
    </button>
  );
}

/** The rules of the paper's checklist that a log shows, as far as it goes. */
function Checklist({ rules }: { readonly rules: readonly JudgedRule[] }): VNode {
  const count = (outcome: JudgedRule["outcome"]) =>
    number(rules.filter((rule) => rule.outcome === outcome).length);
  return (
    <>
      <h2>The paper’s checklist, as the run goes</h2>
      <p class="one-line">
        {rules.length === 0
          ? "Each rule is held against the log of the run, at its start, at each validation and at its end."
          : `${count("pass")} of ${number(rules.length)} rules are kept so far, ${
            count("fail")
          } broken; of ${count("not-observable")} the log holds too little yet, or ever.`}
      </p>
      <p class="muted">
        A short run on drawn shapes breaks what the paper says of CIFAR-10 and of 64,000 steps; its
        log names each departure with its reason.
      </p>
      <ul class="rules">
        {rules.map(({ id, section, requirement, outcome, evidence }) => (
          <li key={id} class={outcome}>
            <span class="hidden">
              {outcome === "pass" ? "kept: " : outcome === "fail" ? "broken: " : "not seen: "}
            </span>
            {requirement} <span class="muted">({section}, {id})</span>
            {outcome === "fail" && <span class="evidence">{evidence}</span>}
          </li>
        ))}
      </ul>
    </>
  );
}

/** Why a reader may believe it, and what this browser lacks. */
function Assurance({ shown }: { readonly shown: Shown }): VNode {
  return (
    <>
      <h2>What computes, and what is kept</h2>
      <p>
        It is the code of <code>deno task train</code>{" "}
        in a worker of this page: WebGPU where there is a real graphics adapter, else WebAssembly.
        {shown.ready && (shown.isolated
          ? " This page is isolated, so WebAssembly uses all cores."
          : " This page was served without the headers that isolate it, so WebAssembly uses one core; deno task web sends them.")}
        {shown.ready && (shown.keeps
          ? " Checkpoints and the log are kept in this browser’s private files, every 100 steps: close the tab, come back, and go on."
          : " This browser keeps no files for this page, as in a private window or for a page from a file: a run ends with its tab.")}
        {" "}
        Nothing is uploaded: the page’s content policy names no address that it may connect to
        (<code>connect-src 'none'</code>), and the worker’s is the same.
      </p>
      <p class="hash">
        {shown.finished && (
          <>
            The weights have the SHA-256{" "}
            <code>{shown.finished.weightsSha256}</code>: on WebAssembly with relaxed SIMD the
            command comes to the same with as many threads on this machine.
          </>
        )}
      </p>
    </>
  );
}
