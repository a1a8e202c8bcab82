/** A search that tells on the terminal what it does. */
import type { Told } from "../audit/mod.ts";
import { ProgressPrinter } from "./_progress.ts";

/** Runs work that tells what it does: lines to standard error, the last of them overwritten. */
export async function telling<T>(work: (told: Told) => Promise<T>): Promise<T> {
  const printer = new ProgressPrinter();
  try {
    return await work({
      line: (text) => printer.line(text),
      passing: (text) => printer.passing(text),
    });
  } finally {
    printer.clear();
  }
}
