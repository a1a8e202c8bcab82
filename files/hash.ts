/** SHA-256 through node:crypto, which unlike Web Crypto hashes in pieces and synchronously. */
import { createHash } from "node:crypto";

/** A hash that takes its bytes in pieces. */
export class Sha256 {
  #hash = createHash("sha256");

  update(bytes: Uint8Array): void {
    this.#hash.update(bytes);
  }

  /** Lower-case hexadecimal; ends the hash. */
  hex(): string {
    return this.#hash.digest("hex");
  }
}

/** SHA-256 of a buffer, lower-case hexadecimal. */
export function sha256(bytes: Uint8Array): string {
  const hash = new Sha256();
  hash.update(bytes);
  return hash.hex();
}

/** SHA-256 of numbers as little-endian 32-bit words, on any machine. */
export function sha256OfWords(words: Uint32Array | Float32Array): string {
  const bits = new Uint32Array(words.buffer, words.byteOffset, words.length);
  const view = new DataView(new ArrayBuffer(words.byteLength));
  bits.forEach((word, i) => view.setUint32(4 * i, word, true));
  return sha256(new Uint8Array(view.buffer));
}
