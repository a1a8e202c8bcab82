/** For `hash.ts` in a browser, whose own SHA-256 takes no pieces and makes everybody wait. */
import { sha256 } from "@noble/hashes/sha2.js";
import type { Sha256 as Here } from "./hash.ts";

/** A hash that takes its bytes in pieces. */
export class Sha256 implements Pick<Here, "update" | "hex"> {
  readonly #hash = sha256.create();

  /** Adds bytes, or a text's in UTF-8. */
  update(content: Uint8Array | string): void {
    this.#hash.update(typeof content === "string" ? new TextEncoder().encode(content) : content);
  }

  /** Of all so far, lower-case hexadecimal; more may follow. */
  hex(): string {
    return this.#hash.clone().digest().toHex();
  }
}
