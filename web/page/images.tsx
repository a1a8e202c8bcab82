/** @jsxRuntime automatic */
/** @jsxImportSource preact */
/// <reference lib="dom" />
/** CIFAR-10 as it was given to a page, now or on an earlier visit. */
import type { ComponentChildren, VNode } from "preact";
import { useEffect, useState } from "preact/hooks";
import type { NamedFile } from "./files.ts";
import { isOfImages, sortGiven } from "./given.ts";
import { canKeep, forget, keep, keptFiles } from "./kept.ts";
import { bytes as sizeOf } from "./sizes.ts";

/** CIFAR-10 as it was given. */
export interface Images {
  /** Path of its folder or archive. */
  readonly path: string;
  /** Its files; their paths stand apart from those of all else that is given. */
  readonly files: readonly NamedFile[];
}

/** The images of a page, and what can be done with them. */
export interface ImagesOfPage {
  /** Undefined where none were given. */
  readonly images: Images | undefined;
  /** Takes them out of what was given. */
  readonly give: (data: string, files: readonly NamedFile[]) => void;
  readonly keeping: Keeping;
  /** Keeps them in this browser. */
  readonly keep: () => void;
  /** Leaves them out, and removes what is kept of them. */
  readonly forget: () => void;
}

/** Whether they are kept in this browser; in words why they can't be. */
type Keeping = { readonly is: "no" | "can" | "writing" | "kept" | "failed"; readonly why?: string };

/** Paths of images stand apart from those of what they are for. */
const FOLDER = "images";

/** @param isRunning Whether the page's program runs; its text alone has no images. */
export function useImages(isRunning: boolean): ImagesOfPage {
  const [images, setImages] = useState<Images>();
  const [keeping, setKeeping] = useState<Keeping>({ is: "no" });
  const take = (data: string, files: readonly NamedFile[], then: Keeping) => {
    const own = files.filter(([path]) => isOfImages(path, data));
    setImages({
      path: `${FOLDER}/${data}`,
      files: own.map(([path, file]) => [`${FOLDER}/${path}`, file]),
    });
    setKeeping(then);
  };
  useEffect(() => {
    if (!isRunning) return;
    keptFiles().then((files) => {
      const { data } = sortGiven(files.map(([path]) => path));
      if (data !== undefined) take(data, files, { is: "kept" });
    });
  }, []);
  return {
    ...{ images, keeping },
    give(data, files) {
      take(data, files, { is: "no" });
      canKeep().then((can) => can && setKeeping({ is: "can" }));
    },
    keep() {
      setKeeping({ is: "writing" });
      keep(images!.files).then(
        () => setKeeping({ is: "kept" }),
        ({ message }: Error) => setKeeping({ is: "failed", why: message }),
      );
    },
    forget() {
      setImages(undefined);
      if (keeping.is === "kept") forget();
      setKeeping({ is: "no" });
    },
  };
}

/** Whether there are images, and whether they are kept. */
export function ImagesLine(
  { of: { images, keeping, keep, forget }, none, use, disabled = false }: {
    readonly of: ImagesOfPage;
    /** What is said where there are none. */
    readonly none: ComponentChildren;
    /** What they are used for. */
    readonly use: string;
    readonly disabled?: boolean;
  },
): VNode {
  if (!images) return <p class="images-line muted">{none}</p>;
  const size = images.files.reduce((sum, [, file]) => sum + file.size, 0);
  return (
    <div class="images-line row">
      <span>CIFAR-10 is here ({sizeOf(size)}): {use}.</span>
      {keeping.is === "kept"
        ? (
          <button type="button" disabled={disabled} onClick={forget}>
            Remove it from this browser
          </button>
        )
        : keeping.is === "writing"
        ? <span class="muted" role="status">being written to this browser’s own storage</span>
        : (
          <>
            {keeping.is === "can" && (
              <button type="button" onClick={keep}>Keep it in this browser</button>
            )}
            <button type="button" disabled={disabled} onClick={forget}>Leave it out</button>
            {keeping.is === "failed" && (
              <span class="muted" role="status">it can’t be kept: {keeping.why}</span>
            )}
          </>
        )}
    </div>
  );
}
