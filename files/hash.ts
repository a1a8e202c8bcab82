/** SHA-256 through node:crypto, which unlike Web Crypto hashes in pieces and synchronously. */
import { createHash } from "node:crypto";

/** A hash that takes its bytes in pieces. */
export class Sha256 {
  readonly #hash = createHash("sha256");

  /** Adds bytes, or a text's in UTF-8. */
  update(content: Uint8Array | string): void {
    this.#hash.update(content);
  }

  /** Of all so far, lower-case hexadecimal; more may follow. */
  hex(): string {
    return this.#hash.copy().digest("hex");
  }
}
