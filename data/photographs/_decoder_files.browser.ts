/** For `_decoder_files.ts` in a browser: a page requests nothing, so the files are within it. */
import jpeg from "@jsquash/jpeg/codec/dec/mozjpeg_dec.wasm" with { type: "bytes" };
import webp from "@jsquash/webp/codec/dec/webp_dec.wasm" with { type: "bytes" };
import type { DecoderFile } from "./_decoder_files.ts";

export type { DecoderFile };

const within = (wasmBinary: Uint8Array): DecoderFile => ({
  ...{ wasmBinary, locateFile: (name) => name },
});

export const JPEG_DECODER: DecoderFile = within(jpeg);
export const WEBP_DECODER: DecoderFile = within(webp);
