import { printable } from "./printable.ts";

/**
 * A name from a file, for a message: in quotes, with control characters
 * escaped and cut to a readable length.
 */
export function quote(name: string): string {
  return printable(JSON.stringify(name.length > 100 ? `${name.slice(0, 100)}...` : name));
}
