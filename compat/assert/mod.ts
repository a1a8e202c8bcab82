export function assert(x: unknown, msg?: string): asserts x {
  if (!x) throw new Error(msg);
}
