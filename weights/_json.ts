/** Files that are JSON. */

/** A model's description or an index of shards; that of ResNet-1202 by Keras takes 6 MB. */
const LONGEST = 8 * 1024 * 1024;

const parsed = new WeakMap<Uint8Array, Record<string, unknown> | null>();

/** The object that a file is, parsed once; undefined for other files. */
export function jsonOf(bytes: Uint8Array): Record<string, unknown> | undefined {
  let object = parsed.get(bytes);
  if (object === undefined) {
    object = parse(bytes);
    parsed.set(bytes, object);
  }
  return object ?? undefined;
}

function parse(bytes: Uint8Array): Record<string, unknown> | null {
  const start = bytes.findIndex((byte) => byte > 0x20);
  if (bytes[start] !== "{".charCodeAt(0) || bytes.length > LONGEST) return null;
  try {
    const value: unknown = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
    return isRecord(value) ? value : null;
  } catch {
    return null;
  }
}

/** Whether a value is an object and no array. */
export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
