/** SHA-256 of what is there as a whole. */
import { Sha256 } from "./hash.ts";

/** SHA-256 of a buffer, or of a text in UTF-8; lower-case hexadecimal. */
export function sha256(content: Uint8Array | string): string {
  const hash = new Sha256();
  hash.update(content);
  return hash.hex();
}

/** SHA-256 of numbers as little-endian 32-bit words, on any machine. */
export function sha256OfWords(words: Uint32Array | Float32Array): string {
  const bits = new Uint32Array(words.buffer, words.byteOffset, words.length);
  const view = new DataView(new ArrayBuffer(words.byteLength));
  bits.forEach((word, i) => view.setUint32(4 * i, word, true));
  return sha256(new Uint8Array(view.buffer));
}
