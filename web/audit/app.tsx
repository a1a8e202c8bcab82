/** @jsxRuntime automatic */
/** @jsxImportSource preact */
/// <reference lib="dom" />
/** The audit's page: files go in, verdicts come out, and nothing leaves the machine. */
import type { VNode } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { bytes as sizeOf } from "./sizes.ts";
import { chosenFiles, droppedFiles, type NamedFile } from "./files.ts";
import { sortGiven } from "./given.ts";
import { canKeep, forget, keep, keptFiles } from "./kept.ts";
import type { Asked, Judged } from "./messages.ts";
import { Report } from "./report.tsx";
import type { Work } from "./start.ts";

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
  /** Whether images were there to try it on. */
  readonly tried: boolean;
  readonly state: "waiting" | "working" | "judged" | "refused";
  /** What is being done, or why it was refused. */
  readonly line: string;
  readonly judged?: Judged;
}

/** CIFAR-10 as it was given. */
interface Images {
  readonly path: string;
  readonly files: readonly NamedFile[];
  readonly kept: boolean;
}

/** Paths of images stand apart from those of what is judged. */
const IMAGES = "images";

export function App({ start }: { readonly start?: Start }): VNode {
  const [entries, setEntries] = useState<readonly Entry[]>([]);
  const [shown, setShown] = useState<number>();
  const [images, setImages] = useState<Images>();
  const [keeping, setKeeping] = useState<"no" | "can" | "writing" | string>("no");
  const [said, setSaid] = useState("");
  const [over, setOver] = useState(false);
  // What the page showed before its program ran stays as it was until then.
  const [ready, setReady] = useState(false);
  const work = useRef<{ readonly id: number; readonly work: Work } | undefined>(undefined);
  const last = useRef(0);

  const change = (id: number, changed: Partial<Entry>) =>
    setEntries((all) => all.map((entry) => entry.id === id ? { ...entry, ...changed } : entry));

  const add = (targets: readonly string[], files: readonly NamedFile[]) => {
    const added = targets.map((target): Entry => ({
      ...{ id: ++last.current, target, files, tried: false },
      ...{ state: "waiting", line: "waiting" },
    }));
    setEntries((all) => [...added, ...all]);
    if (added.length > 0) setShown(added[0].id);
  };

  const take = (files: readonly NamedFile[]) => {
    const { targets, data, unread } = sortGiven(files.map(([path]) => path));
    if (data !== undefined) {
      const own = files.filter(([path]) => path === data || inFolder(path, data));
      setImages({ path: `${IMAGES}/${data}`, files: own, kept: false });
      canKeep().then((can) => setKeeping(can ? "can" : "no"));
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
        : targets.length === 0 && data === undefined
        ? "Nothing there can be judged: give the file of the weights, or the folder of a recording or a run"
        : "",
    );
  };
  const drop = async (transfer: DataTransfer) => {
    try {
      take(await droppedFiles(transfer));
    } catch (error) {
      setSaid((error as Error).message);
    }
  };

  // What was kept on an earlier visit.
  useEffect(() => {
    if (!start) return;
    setReady(true);
    keptFiles().then((files) => {
      const { data } = sortGiven(files.map(([path]) => path));
      if (data !== undefined) setImages({ path: `${IMAGES}/${data}`, files, kept: true });
    });
  }, []);

  // A drop beside the field must not leave the page.
  useEffect(() => {
    const hover = (event: DragEvent) => {
      event.preventDefault();
      setOver(event.type === "dragover");
    };
    const land = (event: DragEvent) => {
      event.preventDefault();
      setOver(false);
      if (event.dataTransfer) drop(event.dataTransfer);
    };
    addEventListener("dragover", hover);
    addEventListener("dragleave", hover);
    addEventListener("drop", land);
    return () => {
      removeEventListener("dragover", hover);
      removeEventListener("dragleave", hover);
      removeEventListener("drop", land);
    };
  });

  // One at a time, in their order.
  const waiting = entries.findLast(({ state }) => state === "waiting");
  const working = entries.find(({ state }) => state === "working");
  useEffect(() => {
    if (!start || !waiting || working) return;
    const { id, target, files } = waiting;
    change(id, { state: "working", line: "reading" });
    const given = [
      ...files,
      ...(images?.files ?? []).map(
        ([path, file]): NamedFile => [`${IMAGES}/${path}`, file],
      ),
    ];
    const begun = start(
      { files: given, target, ...(images ? { data: images.path } : {}) },
      (line) => change(id, { line }),
      images ? LIMITS.images : LIMITS.alone,
    );
    work.current = { id, work: begun };
    begun.done.then((result) =>
      change(
        id,
        typeof result === "string"
          ? { state: "refused", line: result }
          : { state: "judged", line: "", judged: result, tried: images !== undefined },
      )
    );
  }, [waiting?.id, working?.id]);

  const entry = entries.find(({ id }) => id === shown);
  const onKeep = async () => {
    if (!images) return;
    setKeeping("writing");
    try {
      await keep(images.files);
      setImages({ ...images, kept: true });
    } catch (error) {
      setKeeping(`can't be kept: ${(error as Error).message}`);
    }
  };

  return (
    <>
      <header>
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
            <Chooser label="Choose files" take={take} disabled={!ready} />
            <Chooser label="Choose a folder" folder take={take} disabled={!ready} />
          </div>
          <p class="muted">
            PyTorch (.pth, .pt, .ckpt), safetensors, ONNX, Keras (.keras, .h5), TensorFlow.js, Flax,
            NumPy; the folder of a recording or of a run.
          </p>
          <ByName judge={(name) => add([name], [])} disabled={!ready} />
        </section>
        <ImagesLine
          images={images}
          keeping={keeping}
          onKeep={onKeep}
          onForget={() => {
            forget();
            setImages(undefined);
            setKeeping("no");
          }}
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
          <Report key={entry.id} target={entry.target} judged={entry.judged} />
        )}
      </main>
    </>
  );
}

function inFolder(path: string, folder: string): boolean {
  return folder === "." ? !path.includes("/") : path.startsWith(`${folder}/`);
}

/** A button that opens the system's own dialogue. */
function Chooser(
  { label, folder, take, disabled }: {
    readonly label: string;
    readonly folder?: boolean;
    readonly take: (files: readonly NamedFile[]) => void;
    readonly disabled: boolean;
  },
): VNode {
  const input = useRef<HTMLInputElement>(null);
  return (
    <>
      <button
        type="button"
        class={folder ? "" : "first"}
        disabled={disabled}
        onClick={() => input.current?.click()}
      >
        {label}
      </button>
      <input
        ref={input}
        type="file"
        multiple
        hidden
        aria-label={label}
        {...(folder ? { webkitdirectory: true } : {})}
        onChange={({ currentTarget }) => {
          take(chosenFiles(currentTarget));
          // So that the same file can be chosen again.
          currentTarget.value = "";
        }}
      />
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

/** Whether there are images to try weights on. */
function ImagesLine(
  { images, keeping, onKeep, onForget }: {
    readonly images: Images | undefined;
    readonly keeping: string;
    readonly onKeep: () => void;
    readonly onForget: () => void;
  },
): VNode {
  if (!images) {
    return (
      <p class="images-line muted">
        With CIFAR-10 at hand (<code>cifar-10-binary.tar.gz</code>{" "}
        or its folder, dropped as well) weights are tried on it: test error, preprocessing, and
        which of the networks that look alike it is.
      </p>
    );
  }
  const size = images.files.reduce((sum, [, file]) => sum + file.size, 0);
  return (
    <div class="images-line row">
      <span>
        CIFAR-10 is here ({sizeOf(size)}): weights are tried on it
        {crossOriginIsolated
          ? ""
          : ", on one core: this server does not isolate the page, deno task web does"}.
      </span>
      {images.kept
        ? <button type="button" onClick={onForget}>Remove it from this browser</button>
        : keeping === "can"
        ? <button type="button" onClick={onKeep}>Keep it in this browser</button>
        : keeping !== "no" && (
          <span class="muted">
            {keeping === "writing" ? "being written to this browser’s own storage" : keeping}
          </span>
        )}
    </div>
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
