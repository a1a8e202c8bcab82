/** @jsxRuntime automatic */
/** @jsxImportSource preact */
/// <reference lib="dom" />
/** How files come into a page. */
import type { VNode } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { chosenFiles, droppedFiles, type NamedFile } from "./files.ts";

/**
 * Takes what is dropped anywhere on the page: beside a field it must not leave the page either.
 *
 * @param take Gets the files.
 * @param fail Gets why they can't be had.
 * @returns Whether something is held over the page.
 */
export function useDrop(
  take: (files: readonly NamedFile[]) => void,
  fail: (reason: string) => void,
): boolean {
  const [over, setOver] = useState(false);
  useEffect(() => {
    const hover = (event: DragEvent) => {
      event.preventDefault();
      setOver(event.type === "dragover");
    };
    const land = (event: DragEvent) => {
      event.preventDefault();
      setOver(false);
      if (event.dataTransfer) {
        droppedFiles(event.dataTransfer).then(take, (error: Error) => fail(error.message));
      }
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
  return over;
}

/** A button that opens the system's own dialogue. */
export function Chooser(
  { label, first, folder, take, disabled }: {
    readonly label: string;
    /** Whether it is what most people come for. */
    readonly first?: boolean;
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
        class={first ? "first" : ""}
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
