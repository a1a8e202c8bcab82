import { assertEquals } from "@std/assert";
import { pngUri } from "./_image.ts";

Deno.test("an image becomes a PNG of its own pixels", async () => {
  const pixel = new Uint8Array([200, 100, 50]);
  const uri = pngUri({ height: 1, width: 1 }, pixel.toBase64());
  const png = Uint8Array.fromBase64(uri.replace("data:image/png;base64,", ""));
  const view = new DataView(png.buffer);
  assertEquals([...png.slice(0, 8)], [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
  assertEquals([view.getUint32(16), view.getUint32(20)], [1, 1]);
  assertEquals([png[24], png[25]], [8, 2]); // eight bits, RGB
  // IDAT follows IHDR (33 bytes in); its data is zlib of a filter byte and the pixels.
  assertEquals(new TextDecoder().decode(png.slice(37, 41)), "IDAT");
  const data = png.slice(41, 41 + view.getUint32(33));
  const inflated = new Blob([data]).stream().pipeThrough(new DecompressionStream("deflate"));
  assertEquals([...await new Response(inflated).bytes()], [0, 200, 100, 50]);
});
