/** @jsxRuntime automatic */
/** @jsxImportSource preact */
/// <reference lib="dom" />
/** The audit's page: files go in, verdicts come out, and nothing leaves the machine. */
import type { VNode } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { Chooser, useDrop } from "../page/drop.tsx";
import type { NamedFile } from "../page/files.ts";
import { sortGiven } from "../page/given.ts";
import { ImagesLine, useImages } from "../page/images.tsx";
import type { Work } from "../page/jobs.ts";
import type { Judged } from "../page/messages.ts";
import { Pages } from "../page/pages.tsx";
import { Report } from "../page/report.tsx";
import type { Asked } from "./messages.ts";

/** Starts one audit; the page's program has it, its text alone does not. */
export type Start = (asked: Asked, tell: (text: string) => void, seconds: number) => Work;

/** Seconds after which an audit is ended: of files alone, and with images to try. */
const LIMITS = { alone: 120, images: 3600 } as const;

/** Networks that can be judged by their name, without any file. */
const NAMED = ["resnet34", "resnet18", "resnet34-cifar", "resnet20", "resnet110"] as const;

/** One thing that is judged. */
interface Entry {
  readonly id: number;
  readonly target: string;
  readonly files: readonly NamedFile[];
  /** The architecture that it is said to be. */
  readonly as?: string;
  readonly state: "waiting" | "working" | "judged" | "refused";
  /** What is being done, or why it was refused. */
  readonly line: string;
  readonly judged?: Judged;
}

export function App({ start }: { readonly start?: Start }): VNode {
  const [entries, setEntries] = useState<readonly Entry[]>([]);
  const [shown, setShown] = useState<number>();
  const ofPage = useImages(start !== undefined);
  const { images } = ofPage;
  const [said, setSaid] = useState("");
  // What the page showed before its program ran stays as it was until then.
  const [ready, setReady] = useState(false);
  const work = useRef<{ readonly id: number; readonly work: Work } | undefined>(undefined);
  const last = useRef(0);
  const as = useRef<HTMLInputElement>(null);

  const change = (id: number, changed: Partial<Entry>) =>
    setEntries((all) => all.map((entry) => entry.id === id ? { ...entry, ...changed } : entry));

  const add = (targets: readonly string[], files: readonly NamedFile[]) => {
    const said = as.current?.value.trim();
    const added = targets.map((target): Entry => ({
      ...{ id: ++last.current, target, files, ...(said ? { as: said } : {}) },
      ...{ state: "waiting", line: "waiting" },
    }));
    setEntries((all) => [...added, ...all]);
    if (added.length > 0) setShown(added[0].id);
  };

  const take = (files: readonly NamedFile[]) => {
    const { targets, more, photographs, data, unread } = sortGiven(files.map(([path]) => path));
    if (data !== undefined) {
      ofPage.give(data, files);
      // What was judged before is judged again with them.
      if (targets.length === 0) {
        setEntries((all) =>
          all.map((entry) =>
            entry.id === shown && entry.state === "judged"
              ? { ...entry, state: "waiting", line: "waiting" }
              : entry
          )
        );
      }
    }
    add(targets, files);
    setSaid(
      unread
        ? `${unread} is CIFAR-10 for Python, which is not read: take the binary version, cifar-10-binary.tar.gz`
        : more !== undefined
        ? `The first ${targets.length} are judged; give the other ${more} in parts of as many`
        : targets.length > 0 || data !== undefined
        ? ""
        : photographs.length > 0
        ? `${
          photographs[0]
        } is an image: what a network takes it for says the page “Predict a photograph”`
        : "Nothing there can be judged: give the file of the weights, or the folder of a recording or a run",
    );
  };
  const over = useDrop(take, setSaid);

  useEffect(() => setReady(start !== undefined), []);

  // One at a time, in their order.
  const waiting = entries.findLast(({ state }) => state === "waiting");
  const working = entries.find(({ state }) => state === "working");
  useEffect(() => {
    if (!start || !waiting || working) return;
    const { id, target, files, as } = waiting;
    change(id, { state: "working", line: "reading" });
    const begun = start(
      {
        ...{ files: [...files, ...images?.files ?? []], target },
        ...(as === undefined ? {} : { as }),
        ...(images ? { data: images.path } : {}),
      },
      (line) => change(id, { line }),
      images ? LIMITS.images : LIMITS.alone,
    );
    work.current = { id, work: begun };
    begun.done.then((result) =>
      change(
        id,
        typeof result === "string"
          ? { state: "refused", line: result }
          : { state: "judged", line: "", judged: result },
      )
    );
  }, [waiting?.id, working?.id]);

  const entry = entries.find(({ id }) => id === shown);
  return (
    <>
      <header>
        <Pages current="index.html" />
        <p class="eyebrow">Deep residual learning, reproduced: the audit</p>
        <h1>Why is your ResNet stuck?</h1>
        <p class="lead">
          Drop the file of your network here: in seconds this page says what it does otherwise than
          “Deep Residual Learning” (He et al., 2015), and what to change first. All of it happens on
          this computer; nothing is uploaded.
        </p>
      </header>
      <main>
        <section aria-label="Files" class={over ? "field over" : "field"}>
          <p class="call">Drop files or a folder</p>
          <div class="row">
            <Chooser label="Choose files" first take={take} disabled={!ready} />
            <Chooser label="Choose a folder" folder take={take} disabled={!ready} />
          </div>
          <p class="muted">
            PyTorch (.pth, .pt, .ckpt), safetensors, ONNX, Keras (.keras, .h5), TensorFlow.js, Flax,
            NumPy; the folder of a recording or of a run.
          </p>
          <ByName judge={(name) => add([name], [])} disabled={!ready} />
          <div class="row">
            <label for="as">Said to be (may stay empty):</label>
            <input
              id="as"
              ref={as}
              type="text"
              placeholder="resnet20"
              autocomplete="off"
              spellcheck={false}
              disabled={!ready}
            />
          </div>
        </section>
        <ImagesLine
          of={ofPage}
          none={
            <>
              With CIFAR-10 at hand (<code>cifar-10-binary.tar.gz</code>{" "}
              or its folder, dropped as well) weights are tried on it: test error, preprocessing,
              and which of the networks that look alike it is.
            </>
          }
          use={`weights are tried on it${
            globalThis.crossOriginIsolated
              ? ""
              : ", on one core: this server does not isolate the page, deno task web does"
          }`}
          disabled={working !== undefined}
        />
        <Assurance />
        <p class="said" role="alert">{said}</p>
        {entries.length > 1 && (
          <nav aria-label="What was given">
            <ul class="entries">
              {entries.map(({ id, target, state }) => (
                <li key={id}>
                  <button
                    type="button"
                    aria-current={id === shown ? "true" : undefined}
                    onClick={() => setShown(id)}
                  >
                    {target} <span class="muted">{state}</span>
                  </button>
                </li>
              ))}
            </ul>
          </nav>
        )}
        <div class="outcome" aria-live="polite">
          {entry && entry.state !== "judged" && (
            <Progress
              entry={entry}
              cancel={() => {
                if (work.current?.id === entry.id) work.current.work.cancel();
                else change(entry.id, { state: "refused", line: "cancelled" });
              }}
            />
          )}
        </div>
        {entry?.judged && entry.state === "judged" && (
          <Report
            key={entry.id}
            name={entry.target.slice(entry.target.lastIndexOf("/") + 1) || "audit"}
            label={`Audit of ${entry.target}`}
            judged={entry.judged}
          />
        )}
      </main>
    </>
  );
}

/** A network without a file. */
function ByName(
  { judge, disabled }: { readonly judge: (name: string) => void; readonly disabled: boolean },
): VNode {
  const select = useRef<HTMLSelectElement>(null);
  return (
    <form
      class="row"
      onSubmit={(event) => {
        event.preventDefault();
        if (select.current) judge(select.current.value);
      }}
    >
      <label for="named">No file at hand? A network by its name:</label>
      <select id="named" ref={select} disabled={disabled}>
        {NAMED.map((name) => <option key={name}>{name}</option>)}
      </select>
      <button type="submit" disabled={disabled}>Judge it</button>
    </form>
  );
}

/** What is done, or why nothing was. */
function Progress(
  { entry, cancel }: { readonly entry: Entry; readonly cancel: () => void },
): VNode {
  if (entry.state === "refused") {
    return (
      <div class="notice">
        <p>
          <strong>{entry.target} can’t be judged.</strong> <span class="why">{entry.line}</span>
        </p>
      </div>
    );
  }
  return (
    <div class="notice calm">
      <p>
        <strong>{entry.target}</strong> {entry.line}
      </p>
      <p class="row">
        <progress aria-label={`${entry.target} is judged`} />
        <button type="button" onClick={cancel}>Cancel</button>
      </p>
    </div>
  );
}

/** Why a reader may believe it. */
function Assurance(): VNode {
  return (
    <details>
      <summary>How do I know that nothing is uploaded?</summary>
      <p>
        This page is one file. Its content policy names no address that it may connect to (<code>
          connect-src 'none'
        </code>), and the worker that reads your files has the same policy: the browser refuses
        whatever either would send. Load the page, turn the network off, and it works the same. What
        you give it is read in place and is gone with the page, but for CIFAR-10, if you ask for it
        to be kept.
      </p>
    </details>
  );
}
