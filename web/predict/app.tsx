/** @jsxRuntime automatic */
/** @jsxImportSource preact */
/// <reference lib="dom" />
/** The page that predicts: a network and photographs go in, the likeliest classes come out. */
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

/** Starts one prediction; the page's program has it, its text alone does not. */
export type Start = (asked: Asked, tell: (text: string) => void, seconds: number) => Work;

/** Seconds after which a prediction is ended. */
const LIMIT = 300;

/** What is offered of `--preprocess`, in words. */
export const PREPARATIONS: readonly (readonly [id: string, words: string])[] = [
  ["", "as its own run, else the per-pixel mean of CIFAR-10"],
  ["cifar10", "CIFAR-10’s channel means and deviations"],
  ["imagenet", "ImageNet’s channel means and deviations"],
  ["none", "none: 0 to 1"],
];

/** The network that was given. */
interface Network {
  readonly path: string;
  readonly files: readonly NamedFile[];
}

/** Where the work stands. */
type Outcome =
  | { readonly is: "working" | "refused"; readonly line: string }
  | { readonly is: "judged"; readonly id: number; readonly judged: Judged };

export function App({ start }: { readonly start?: Start }): VNode {
  const [network, setNetwork] = useState<Network>();
  const [photographs, setPhotographs] = useState<readonly NamedFile[]>([]);
  const ofPage = useImages(start !== undefined);
  const { images } = ofPage;
  const [preprocess, setPreprocess] = useState("");
  const [padding, setPadding] = useState<"" | "append" | "split">("");
  const [outcome, setOutcome] = useState<Outcome>();
  const [said, setSaid] = useState("");
  // What the page showed before its program ran stays as it was until then.
  const [ready, setReady] = useState(false);
  const last = useRef(0);
  useEffect(() => setReady(start !== undefined), []);

  const take = (files: readonly NamedFile[]) => {
    const given = sortGiven(files.map(([path]) => path));
    const { targets, more = 0, morePhotographs, data, unread } = given;
    const pictures = new Set(given.photographs);
    if (data !== undefined) ofPage.give(data, files);
    if (targets.length > 0) setNetwork({ path: targets[0], files });
    if (pictures.size > 0) setPhotographs(files.filter(([path]) => pictures.has(path)));
    setSaid(
      unread
        ? `${unread} is CIFAR-10 for Python, which is not read: take the binary version, cifar-10-binary.tar.gz`
        : targets.length > 1
        ? `${targets.length + more} networks were given: ${targets[0]} is taken`
        : morePhotographs !== undefined
        ? `The first ${pictures.size} photographs are taken; give the other ${morePhotographs} in parts of as many`
        : targets.length === 0 && pictures.size === 0 && data === undefined
        ? "Neither a network nor a photograph is there: give the file of the weights, and JPEG, PNG or WebP files"
        : "",
    );
  };
  const over = useDrop(take, setSaid);

  // Whatever changes, what was begun before is of no use any more.
  useEffect(() => {
    if (!start || !network || photographs.length === 0) return;
    const id = ++last.current;
    setOutcome({ is: "working", line: "reading" });
    const work = start(
      {
        files: [...network.files, ...photographs, ...images?.files ?? []],
        ...{ weights: network.path, photographs: photographs.map(([path]) => path) },
        ...(preprocess === "" ? {} : { preprocess }),
        ...(padding === "" ? {} : { padding }),
        ...(images ? { data: images.path } : {}),
      },
      (line) => id === last.current && setOutcome({ is: "working", line }),
      LIMIT,
    );
    work.done.then((result) => {
      if (id !== last.current) return;
      setOutcome(
        typeof result === "string"
          ? { is: "refused", line: result }
          : { is: "judged", id, judged: result },
      );
    });
    return () => {
      if (id === last.current) last.current++;
      work.cancel();
    };
  }, [network, photographs, images, preprocess, padding]);

  return (
    <>
      <header>
        <Pages current="predict.html" />
        <p class="eyebrow">Deep residual learning, reproduced: a prediction</p>
        <h1>What does your network take a photograph for?</h1>
        <p class="lead">
          Drop the file of a network and a photograph: this page names the five classes that it
          holds likeliest. All of it happens on this computer; nothing is uploaded.
        </p>
      </header>
      <main>
        <section aria-label="Files" class={over ? "field over" : "field"}>
          <p class="call">Drop a network and photographs</p>
          <div class="row">
            <Chooser label="Choose files" first take={take} disabled={!ready} />
          </div>
          <dl class="given">
            <div>
              <dt>Network</dt>
              <dd>{network?.path ?? "none yet: any file that the audit reads"}</dd>
            </div>
            <div>
              <dt>Photographs</dt>
              <dd>
                {photographs.length === 0
                  ? "none yet: JPEG, PNG or WebP"
                  : photographs.map(([path]) => path).join(", ")}
              </dd>
            </div>
          </dl>
          <div class="choices">
            <label>
              It was trained on images with this done to them
              <select
                value={preprocess}
                disabled={!ready}
                onChange={({ currentTarget }) => setPreprocess(currentTarget.value)}
              >
                {PREPARATIONS.map(([id, words]) => <option key={id} value={id}>{words}</option>)}
              </select>
            </label>
            <label>
              Zero channels of its shortcuts
              <select
                value={padding}
                disabled={!ready}
                onChange={({ currentTarget }) =>
                  setPadding(currentTarget.value as "" | "append" | "split")}
              >
                <option value="">as it says, else behind</option>
                <option value="append">behind</option>
                <option value="split">half before, half behind</option>
              </select>
            </label>
          </div>
        </section>
        <ImagesLine
          of={ofPage}
          none={
            <>
              A per-pixel mean is measured on CIFAR-10: drop <code>cifar-10-binary.tar.gz</code>
              {" "}
              or its folder as well.
            </>
          }
          use="a mean is measured on it where the network was trained so"
          disabled={outcome?.is === "working"}
        />
        <p class="said" role="alert">{said}</p>
        <div class="outcome" aria-live="polite">
          {outcome?.is === "working" && (
            <div class="notice calm">
              <p>
                <strong>{network?.path}</strong> {outcome.line}
              </p>
              <p>
                <progress aria-label="Predicting" />
              </p>
            </div>
          )}
          {outcome?.is === "refused" && (
            <div class="notice">
              <p>
                <strong>It can’t be said.</strong> <span class="why">{outcome.line}</span>
              </p>
            </div>
          )}
        </div>
        {outcome?.is === "judged" && (
          <Report
            key={outcome.id}
            name="predictions"
            label="Predictions"
            judged={outcome.judged}
          />
        )}
      </main>
    </>
  );
}
