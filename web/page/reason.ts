/** Why something failed, for whoever reads a page. */

/** The language's own errors: what has one of these names is a defect of ours. */
const DEFECTS = /^(Aggregate|Eval|Internal|Range|Reference|Syntax|Type|URI)?Error$/;

/** What an error says; of a defect its stack as well. */
export function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return `unexpected, please report it\n${error}`;
  if (error.name === "NotReadableError" || error.name === "NotFoundError") {
    return "a file was changed, moved or removed since it was given: give it again";
  }
  if (isLackOfMemory(error)) {
    return "there is not enough memory for it in this browser; the command has more";
  }
  if (!DEFECTS.test(error.name)) return error.message;
  return `unexpected, please report it\n${error.message}\n${error.stack}`;
}

/** What Chromium and Firefox say where an array or a WebAssembly memory finds no room. */
function isLackOfMemory({ name, message }: Error): boolean {
  return name === "RangeError" &&
    /allocation failed|out of memory|invalid (typed )?array (buffer )?length|could not allocate/i
      .test(message);
}
