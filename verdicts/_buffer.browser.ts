/**
 * The package `cephes` decodes its program by Node's `Buffer`, and brings one only where there is a
 * window: not in a worker.
 */
const scope: { Buffer?: unknown } = globalThis;
scope.Buffer ??= { from: (text: string) => Uint8Array.fromBase64(text) };

export {};
