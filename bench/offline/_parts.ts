/** Files cut into numbered parts, with their checksums. */
import { createHash } from "node:crypto";
import { join } from "node:path";

/** The checksums of all parts, as `sha256sum --check` reads them. */
export const MANIFEST = "MANIFEST.sha256";

/** The names of parts. */
export const PART = /\.tar\.xz\.\d{3,}$/;

/** A part as the manifest lists it. */
export interface Part {
  /** `NAME.000`, `NAME.001`, ... */
  readonly name: string;
  readonly bytes: number;
  /** SHA-256 in hexadecimal. */
  readonly sha256: string;
}

/**
 * Writes a stream as files of `size` bytes, the last one as long as the rest.
 *
 * @param folder Where the parts go.
 * @param name What their names begin with.
 * @param size Bytes of a part at most.
 */
export async function writeParts(
  stream: ReadableStream<Uint8Array<ArrayBuffer>>,
  folder: string,
  name: string,
  size: number,
): Promise<Part[]> {
  const parts: Part[] = [];
  let open: { name: string; file: Deno.FsFile; bytes: number } | undefined;
  let hash = createHash("sha256");
  const close = () => {
    if (!open) return;
    open.file.close();
    parts.push({ name: open.name, bytes: open.bytes, sha256: hash.digest("hex") });
    open = undefined;
  };
  for await (const chunk of stream) {
    for (let start = 0; start < chunk.length;) {
      if (!open) {
        const part = `${name}.${String(parts.length).padStart(3, "0")}`;
        const file = await Deno.create(join(folder, part));
        open = { name: part, file, bytes: 0 };
        hash = createHash("sha256");
      }
      const piece = chunk.subarray(start, start + size - open.bytes);
      for (let written = 0; written < piece.length;) {
        written += await open.file.write(piece.subarray(written));
      }
      hash.update(piece);
      open.bytes += piece.length;
      start += piece.length;
      if (open.bytes === size) close();
    }
  }
  close();
  return parts;
}

/** The manifest's text. */
export function manifest(parts: readonly Part[]): string {
  return parts.map(({ sha256, name }) => `${sha256}  ${name}\n`).join("");
}
