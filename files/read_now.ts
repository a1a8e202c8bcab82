/** Text that is read before anything else is done. */
import { MOST_TEXT_BYTES, requireReadable } from "./read_whole.ts";

/** {@link readWholeText} at once. */
export function readWholeTextSync(path: string, mostBytes: number = MOST_TEXT_BYTES): string {
  requireReadable(path, Deno.statSync(path), mostBytes);
  return Deno.readTextFileSync(path);
}
