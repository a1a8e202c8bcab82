/** Where the decoders have their WebAssembly from: here each reads the file that lies beside it. */

/** What a decoder takes in place of looking for its file. */
export interface DecoderFile {
  /** Its WebAssembly. */
  readonly wasmBinary?: Uint8Array;
  /** Where it would be looked for. */
  readonly locateFile?: (name: string) => string;
}

/** Of JPEG. */
export const JPEG_DECODER: DecoderFile = {};
/** Of WebP. */
export const WEBP_DECODER: DecoderFile = {};
