import { assertEquals, assertThrows } from "@std/assert";
import { sha256 } from "../../files/mod.ts";
import type { RgbImage } from "./rgb_image.ts";
import { centreCrop, crop, VIEWS, viewsOf } from "./views.ts";

function pattern(height: number, width: number): RgbImage {
  const pixels = Uint8Array.from({ length: height * width * 3 }, (_, i) => {
    const [c, x, y] = [i % 3, Math.floor(i / 3) % width, Math.floor(i / 3 / width)];
    return (x * 7 + y * 13 + c * 29 + (x * y) % 31) % 256;
  });
  return { height, width, pixels };
}

/**
 * torchvision 0.29 with Pillow 13.0 on the pattern: Resize(32) and CenterCrop(27) or TenCrop(27);
 * Resize of 16, 33, 64. The last view's height and width, and the beginning of the SHA-256 of all
 * views' bytes, one after the other.
 */
const TORCHVISION = [
  ["37x50 1-crop", 27, 27, "5b9a6d2604bdd00a"],
  ["37x50 10-crop", 27, 27, "f0c2f190ac1252f9"],
  ["37x50 multi-scale", 64, 86, "6b87a5abfb132ebe"],
  ["50x37 1-crop", 27, 27, "3da9dddf37cdda63"],
  ["50x37 10-crop", 27, 27, "ffadd2b7a3dd3cb9"],
  ["50x37 multi-scale", 86, 64, "ebb8993cd97caf85"],
  ["41x41 1-crop", 27, 27, "57901fcda8f52356"],
  ["41x41 10-crop", 27, 27, "3c27c321a639e9e9"],
  ["41x41 multi-scale", 64, 64, "48ad93fcbe9a5d3c"],
  ["170x120 1-crop", 27, 27, "619dc89709f892c5"],
  ["170x120 10-crop", 27, 27, "7111c92bf025317f"],
  ["170x120 multi-scale", 90, 64, "b19f2446cb51d9c3"],
  ["120x301 1-crop", 27, 27, "a3d72c7816450d9e"],
  ["120x301 10-crop", 27, 27, "bd6fb0a8552bc714"],
  ["120x301 multi-scale", 64, 160, "31e6599308805238"],
] as const;

Deno.test("views have the bytes that torchvision cuts out of Pillow's images", () => {
  const names: string[] = [];
  for (const [name, lastHeight, lastWidth, expected] of TORCHVISION) {
    const [size, view] = name.split(" ");
    const [height, width] = size.split("x").map(Number);
    const found = viewsOf(pattern(height, width), VIEWS.find((known) => known === view)!, {
      ...{ resized: 32, cropped: 27, scales: [16, 33, 64] },
    });
    const last = found.at(-1)!;
    assertEquals([last.height, last.width], [lastHeight, lastWidth], name);
    const bytes = Uint8Array.from(found.flatMap(({ pixels }) => [...pixels]));
    assertEquals(sha256(bytes).slice(0, 16), expected, name);
    names.push(view);
  }
  assertEquals(new Set(names).size, VIEWS.length);
});

Deno.test("the middle goes to the even pixel where there are two, as in Python", () => {
  // torchvision 0.29: CenterCrop(1) of images of 1 x 4, 1 x 6, 1 x 8 and 1 x 10 pixels.
  for (const [width, column] of [[4, 2], [6, 2], [8, 4], [10, 4]]) {
    const pixels = Uint8Array.from({ length: width * 3 }, (_, i) => Math.floor(i / 3));
    assertEquals(centreCrop({ height: 1, width, pixels }, 1).pixels[0], column);
  }
});

Deno.test("a crop that leaves the image is refused", () => {
  const image = pattern(4, 5);
  assertEquals(crop(image, 0, 0, 4, 5), image);
  for (const [top, left, height, width] of [[1, 0, 4, 5], [0, 1, 4, 5], [-1, 0, 2, 2]]) {
    assertThrows(() => crop(image, top, left, height, width), RangeError, "which has 4 x 5");
  }
});
