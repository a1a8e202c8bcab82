import { assert, assertEquals, assertRejects } from "@std/assert";
import { encode } from "fast-png";
import { DataError } from "../errors.ts";
import { AS_TORCHVISION, decodeImage, faultOf } from "./image_file.ts";
import { fitImage } from "./resample.ts";
import type { RgbImage } from "./rgb_image.ts";

/** Three ramps of 50 x 70. */
function ramps(): RgbImage {
  const [height, width] = [50, 70];
  const pixels = Uint8Array.from({ length: height * width * 3 }, (_, i) => {
    const x = Math.floor(i / 3) % width, y = Math.floor(i / 3 / width);
    return [x * 3, y * 5, (x + y) * 2][i % 3] % 256;
  });
  return { height, width, pixels };
}

function assertNear(actual: Uint8Array, expected: readonly number[], most: number): void {
  assertEquals(actual.length, expected.length);
  const worst = actual.reduce(
    (worst, value, i) => Math.max(worst, Math.abs(value - expected[i])),
    0,
  );
  assert(worst <= most, `differs by ${worst}`);
}

// Pillow 13.0: crop((10, 0, 60, 50)).resize((4, 4), BILINEAR) of the ramps.
// deno-fmt-ignore
const QUARTERS = [
  51, 35, 48, 85, 35, 70, 122, 35, 96, 156, 35, 118, 51, 91, 70, 85, 91, 92, 122, 91, 118, 156,
  91, 140, 51, 154, 96, 85, 154, 118, 122, 154, 144, 156, 154, 166, 51, 210, 118, 85, 210, 140,
  122, 210, 166, 156, 210, 188,
];
// The first two rows of the same, resized to 7 x 7.
// deno-fmt-ignore
const SEVENTHS = [
  51, 35, 48, 63, 35, 56, 83, 35, 68, 104, 35, 83, 124, 35, 98, 144, 35, 110, 156, 35, 118, 51,
  55, 56, 63, 55, 64, 83, 55, 76, 104, 55, 91, 124, 55, 106, 144, 55, 118, 156, 55, 126,
];

Deno.test("an image is cut to its middle and made smaller and larger as Pillow does it", () => {
  const quarters = fitImage(ramps(), 4, 4);
  assertEquals([...quarters.pixels], QUARTERS);
  const exact = { height: 4, width: 4, pixels: Uint8Array.from(QUARTERS) };
  assertEquals([...fitImage(exact, 7, 7).pixels.subarray(0, 42)], SEVENTHS);
});

Deno.test("an image of the right size stays as it is", () => {
  const image = ramps();
  assertEquals(fitImage(image, 50, 70), image);
});

// Pillow 13.0: the ramps' first 8 x 8 pixels at quality 95, and what Pillow reads of them first.
const JPEG =
  "/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDAAIBAQEBAQIBAQECAgICAgQDAgICAgUEBAMEBgUGBgYFBgYGBwkIBgcJBwYGCAsICQoKCgoKBggLDAsKDAkKCgr/2wBDAQICAgICAgUDAwUKBwYHCgoKCgoKCgoKCgoKCgoKCgoKCgoKCgoKCgoKCgoKCgoKCgoKCgoKCgoKCgoKCgoKCgr/wAARCAAIAAgDAREAAhEBAxEB/8QAHwAAAQUBAQEBAQEAAAAAAAAAAAECAwQFBgcICQoL/8QAtRAAAgEDAwIEAwUFBAQAAAF9AQIDAAQRBRIhMUEGE1FhByJxFDKBkaEII0KxwRVS0fAkM2JyggkKFhcYGRolJicoKSo0NTY3ODk6Q0RFRkdISUpTVFVWV1hZWmNkZWZnaGlqc3R1dnd4eXqDhIWGh4iJipKTlJWWl5iZmqKjpKWmp6ipqrKztLW2t7i5usLDxMXGx8jJytLT1NXW19jZ2uHi4+Tl5ufo6erx8vP09fb3+Pn6/8QAHwEAAwEBAQEBAQEBAQAAAAAAAAECAwQFBgcICQoL/8QAtREAAgECBAQDBAcFBAQAAQJ3AAECAxEEBSExBhJBUQdhcRMiMoEIFEKRobHBCSMzUvAVYnLRChYkNOEl8RcYGRomJygpKjU2Nzg5OkNERUZHSElKU1RVVldYWVpjZGVmZ2hpanN0dXZ3eHl6goOEhYaHiImKkpOUlZaXmJmaoqOkpaanqKmqsrO0tba3uLm6wsPExcbHyMnK0tPU1dbX2Nna4uPk5ebn6Onq8vP09fb3+Pn6/9oADAMBAAIRAxEAPwD8O9K8C9MQ/jipp1jiwea7an//2Q==";
// deno-fmt-ignore
const FIRST_ROW = [
  0, 0, 0, 2, 0, 1, 6, 0, 4, 9, 0, 5, 11, 0, 8, 14, 1, 10, 18, 0, 12, 22, 0, 13,
];

Deno.test("a JPEG is decoded as libjpeg does, to the byte", async () => {
  const { height, width, pixels } = await decodeImage(Uint8Array.fromBase64(JPEG), "ramps.jpg");
  assertEquals([height, width], [8, 8]);
  assertEquals([...pixels.subarray(0, 24)], FIRST_ROW);
});

/** Files of the first 8 x 8 pixels, and the first row that Pillow 13.0 reads of each. */
const OTHERS = {
  grey: [
    "/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDAAIBAQEBAQIBAQECAgICAgQDAgICAgUEBAMEBgUGBgYFBgYGBwkIBgcJBwYGCAsICQoKCgoKBggLDAsKDAkKCgr/wAALCAAIAAgBAREA/8QAFAABAAAAAAAAAAAAAAAAAAAACf/EABoQAAEFAQAAAAAAAAAAAAAAABEAAwUGMYH/2gAIAQEAAD8ADuKouBnoX//Z",
    [0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3, 4, 4, 4, 6, 6, 6, 7, 7, 7, 8, 8, 8],
  ],
  inks: [
    "/9j/7gAOQWRvYmUAZAAAAAAA/9sAQwACAQEBAQECAQEBAgICAgIEAwICAgIFBAQDBAYFBgYGBQYGBgcJCAYHCQcGBggLCAkKCgoKCgYICwwLCgwJCgoK/8AAFAgACAAIBEMRAE0RAFkRAEsRAP/EABQAAQAAAAAAAAAAAAAAAAAAAAn/xAAbEAACAQUAAAAAAAAAAAAAAAAABqEXIzJCZP/aAA4EQwBNAFkASwAAPwAKUjQEWknLAG60tY24H8P/2Q==",
    [0, 0, 0, 3, 0, 2, 6, 0, 4, 9, 0, 6, 12, 0, 8, 15, 0, 10, 18, 0, 12, 21, 0, 14],
  ],
  webp: [
    "UklGRjoAAABXRUJQVlA4IC4AAABwAQCdASoIAAgAAUAmJYwC7AFAAAD++/Xg+te66rv9c5ghXOJiZdnt5v8zqAAA",
    [3, 0, 1, 4, 0, 1, 7, 0, 2, 10, 0, 3, 13, 1, 5, 15, 1, 6, 18, 1, 7, 18, 1, 7],
  ],
  "lossless webp": [
    "UklGRjQAAABXRUJQVlA4TCcAAAAvB8ABALmM6H/sIgrf/zAoatsG6smfdH8jMCkEEAAFTQViAh7vfgYA",
    [0, 0, 0, 3, 0, 2, 6, 0, 4, 9, 0, 6, 12, 0, 8, 15, 0, 10, 18, 0, 12, 21, 0, 14],
  ],
} as const;

Deno.test("grey JPEG and WebP are decoded to the byte, four inks to three steps", async () => {
  // All at once: each keeps its own pixels.
  const read = await Promise.all(
    Object.entries(OTHERS).map(async ([name, [file, expected]]) =>
      [name, await decodeImage(Uint8Array.fromBase64(file), name), expected] as const
    ),
  );
  for (const [name, { height, width, pixels }, expected] of read) {
    assertEquals([height, width], [8, 8], name);
    assertNear(pixels.subarray(0, 24), expected, name === "inks" ? 3 : 0);
  }
});

// Pillow 13.0: the first 8 x 6 pixels, to be turned to the right; the first row, stored and turned.
const TURNED =
  "/9j/4AAQSkZJRgABAQAAAQABAAD/4QAiRXhpZgAATU0AKgAAAAgAAQESAAMAAAABAAYAAAAAAAD/2wBDAAIBAQEBAQIBAQECAgICAgQDAgICAgUEBAMEBgUGBgYFBgYGBwkIBgcJBwYGCAsICQoKCgoKBggLDAsKDAkKCgr/2wBDAQICAgICAgUDAwUKBwYHCgoKCgoKCgoKCgoKCgoKCgoKCgoKCgoKCgoKCgoKCgoKCgoKCgoKCgoKCgoKCgoKCgr/wAARCAAIAAYDASIAAhEBAxEB/8QAFQABAQAAAAAAAAAAAAAAAAAAAAn/xAAbEAEAAAcAAAAAAAAAAAAAAAAAAwUGISNBUf/EABUBAQEAAAAAAAAAAAAAAAAAAAMF/8QAHBEAAQMFAAAAAAAAAAAAAAAAAAECAwQFEhMh/9oADAMBAAIRAxEAPwCHMvoXHaBrgAmSPxQjwXCq1J0//9k=";
const STORED = [0, 1, 0, 0, 2, 0, 3, 1, 2, 6, 2, 3, 8, 1, 8, 11, 1, 9];
const UPRIGHT = [
  ...[4, 33, 15, 2, 29, 12, 0, 24, 10, 0, 20, 8, 1, 14, 5, 0, 10, 2, 0, 5, 1, 0, 1, 0],
];

Deno.test("the orientation that a camera notes counts where it is asked for alone", async () => {
  const file = Uint8Array.fromBase64(TURNED);
  const stored = await decodeImage(file, "turned.jpg", AS_TORCHVISION);
  assertEquals([stored.height, stored.width], [8, 6]);
  assertEquals([...stored.pixels.subarray(0, 18)], STORED);
  const upright = await decodeImage(file, "turned.jpg", {
    ...AS_TORCHVISION,
    orientation: "upright",
  });
  assertEquals([upright.height, upright.width], [6, 8]);
  assertEquals([...upright.pixels.subarray(0, 24)], UPRIGHT);
});

Deno.test("a JPEG that ends early is refused, and the next one is read", async () => {
  const file = Uint8Array.fromBase64(JPEG);
  for (const bytes of [1, 2, 20]) {
    const error = await assertRejects(
      () => decodeImage(file.subarray(0, -bytes), "cut.jpg"),
      DataError,
    );
    assert(error.message.includes("it ends early"), error.message);
  }
  // Its tables are gone: the decoder itself gives up.
  const frame = file.findIndex((byte, i) => byte === 0xff && file[i + 1] === 0xc0);
  const tableless = Uint8Array.of(0xff, 0xd8, ...file.subarray(frame));
  tableless.fill(0, 30, 60);
  const tables = tableless.findIndex((byte, i) => byte === 0xff && tableless[i + 1] === 0xc4);
  if (tables > 0) tableless[tables + 1] = 0xe5;
  await assertRejects(() => decodeImage(tableless, "tableless.jpg"), DataError, "can't be decoded");
  const trailing = Uint8Array.of(...file, 1, 2, 3);
  assertEquals(
    [...(await decodeImage(trailing, "more.jpg")).pixels.subarray(0, 24)],
    FIRST_ROW,
  );
});

// Pillow 13.0: the same pixels in four colours of a palette, and its first pixel and the last.
const PALETTE =
  "iVBORw0KGgoAAAANSUhEUgAAAAgAAAAIAgMAAAC5YVYYAAAADFBMVEULHhMLEg4PBQwDBQSTqplwAAAAHElEQVR4nGP8v5rpPwMTAwPT9dWMoQwMIQwQAABU5wTd1J9vvwAAAABJRU5ErkJggg==";

Deno.test("PNGs with a palette, in grey, of 16 bits and with transparency", async () => {
  const { pixels } = await decodeImage(Uint8Array.fromBase64(PALETTE), "palette.png");
  assertEquals([...pixels.subarray(0, 3), ...pixels.subarray(-3)], [3, 5, 4, 11, 30, 19]);
  const read = async (data: Uint8Array | Uint16Array, channels: 1 | 2 | 3 | 4) => {
    const depth = data instanceof Uint16Array ? 16 : 8;
    return [
      ...(await decodeImage(encode({ width: 1, height: 1, channels, depth, data }), "")).pixels,
    ];
  };
  assertEquals(await read(Uint8Array.of(7), 1), [7, 7, 7]);
  assertEquals(await read(Uint16Array.of(65535, 32896, 0), 3), [255, 128, 0]);
  assertEquals(await read(Uint8Array.of(0, 100, 255, 0), 4), [255, 255, 255]);
  assertEquals(await read(Uint8Array.of(0, 0), 2), [255, 255, 255]);
  const clear = encode({ width: 1, height: 1, channels: 4, data: Uint8Array.of(9, 8, 7, 0) });
  assertEquals([...(await decodeImage(clear, "", AS_TORCHVISION)).pixels], [9, 8, 7]);
});

/** 11 x 3 pixels, so that no row ends with a byte; Pillow 13.0: the second row of each. */
// deno-fmt-ignore
const PACKED = {
  "grey of 1 bit": [
    "iVBORw0KGgoAAAANSUhEUgAAAAsAAAADAQAAAABthMjmAAAAEUlEQVR42mMIdWD4/4Ah1AEADdYDCtkcvnoAAAAASUVORK5CYII=",
    [255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255],
  ],
  "palette of 1 bit": [
    "iVBORw0KGgoAAAANSUhEUgAAAAsAAAADAQMAAAB/MWcIAAAABlBMVEUAPXolYp/xqYb7AAAAEUlEQVR42mMIdWD4/4Ah1AEADdYDCtkcvnoAAAAASUVORK5CYII=",
    [37, 98, 159, 37, 98, 159, 37, 98, 159, 37, 98, 159, 37, 98, 159, 37, 98, 159, 37, 98, 159, 37, 98, 159, 37, 98, 159, 37, 98, 159, 37, 98, 159],
  ],
  "grey of 2 bits": [
    "iVBORw0KGgoAAAANSUhEUgAAAAsAAAADAgAAAAAqJLI2AAAAFElEQVR42mOQlpZguHv3DsPkyRMAFg8Em5QGn7oAAAAASUVORK5CYII=",
    [255, 255, 255, 85, 85, 85, 255, 255, 255, 85, 85, 85, 255, 255, 255, 85, 85, 85, 255, 255, 255, 85, 85, 85, 255, 255, 255, 85, 85, 85, 255, 255, 255],
  ],
  "palette of 2 bits": [
    "iVBORw0KGgoAAAANSUhEUgAAAAsAAAADAgMAAAA4kR3YAAAADFBMVEUAPXolYp9Kh8RvrOm4kVveAAAAFElEQVR42mOQlpZguHv3DsPkyRMAFg8Em5QGn7oAAAAASUVORK5CYII=",
    [111, 172, 233, 37, 98, 159, 111, 172, 233, 37, 98, 159, 111, 172, 233, 37, 98, 159, 111, 172, 233, 37, 98, 159, 111, 172, 233, 37, 98, 159, 111, 172, 233],
  ],
  "grey of 4 bits": [
    "iVBORw0KGgoAAAANSUhEUgAAAAsAAAADBAAAAAClZEeWAAAAHklEQVR42mNgXe/5uFeBwfLrxlrLDwy53prsTw8AAFgCCKAr7vvRAAAAAElFTkSuQmCC",
    [51, 51, 51, 153, 153, 153, 255, 255, 255, 85, 85, 85, 187, 187, 187, 17, 17, 17, 119, 119, 119, 221, 221, 221, 51, 51, 51, 153, 153, 153, 255, 255, 255],
  ],
  "palette of 4 bits": [
    "iVBORw0KGgoAAAANSUhEUgAAAAsAAAADBAMAAAC30eh4AAAAMFBMVEUAPXolYp9Kh8RvrOmU0Q659jPeG1gDQH0oZaJNisdyr+yX1BG8+TbhHlsGQ4AraKXHIRkwAAAAHklEQVR42mNgXe/5uFeBwfLrxlrLDwy53prsTw8AAFgCCKAr7vvRAAAAAElFTkSuQmCC",
    [111, 172, 233, 77, 138, 199, 43, 104, 165, 185, 246, 51, 151, 212, 17, 37, 98, 159, 3, 64, 125, 225, 30, 91, 111, 172, 233, 77, 138, 199, 43, 104, 165],
  ],
  "grey of 2 bits with a transparent one": [
    "iVBORw0KGgoAAAANSUhEUgAAAAsAAAADAgAAAAAqJLI2AAAAAnRSTlMAAQGU/a4AAAAUSURBVHjaY5CWlmC4e/cOw+TJEwAWDwSblAafugAAAABJRU5ErkJggg==",
    [255, 255, 255, 85, 85, 85, 255, 255, 255, 85, 85, 85, 255, 255, 255, 85, 85, 85, 255, 255, 255, 85, 85, 85, 255, 255, 255, 85, 85, 85, 255, 255, 255],
  ],
} as const;

Deno.test("PNGs of less than a byte a pixel are decoded to the byte", async () => {
  for (const [name, [file, row]] of Object.entries(PACKED)) {
    const { pixels } = await decodeImage(Uint8Array.fromBase64(file), name, AS_TORCHVISION);
    assertEquals([...pixels.subarray(33, 66)], [...row], name);
  }
  const interlaced = Uint8Array.fromBase64(PACKED["grey of 4 bits"][0]);
  interlaced[28] = 1;
  assertEquals(
    faultOf(interlaced),
    "it is an interlaced PNG of 4 bits a pixel, which is not read",
  );
  await assertRejects(() => decodeImage(interlaced, ""), DataError, "interlaced PNG of 4 bits");
});

// Pillow 13.0: 4 x 1 pixels of three channels of 16 bits, and of 8 with a palette beside them.
const SIXTEEN =
  "iVBORw0KGgoAAAANSUhEUgAAAAQAAAABEAIAAAAmzkTZAAAAHUlEQVR42gXBgQEAAAiCMLw8ezzaAAyZNI7tIno+YIkK+4/7OJ8AAAAASUVORK5CYII=";
const SUGGESTED =
  "iVBORw0KGgoAAAANSUhEUgAAAAQAAAABCAIAAAB2XpiaAAAADFBMVEVkZWZnaGlqa2xtbm+W5DCxAAAAFUlEQVR42mNgYGRiZmFlY+fg5OIGAAErAEOd+M8cAAAAAElFTkSuQmCC";

Deno.test("of 16 bits the upper ones count, and a palette beside colours does not", async () => {
  const read = async (
    file: string,
  ) => [...(await decodeImage(Uint8Array.fromBase64(file), "")).pixels];
  assertEquals(await read(SIXTEEN), [0, 0, 1, 1, 1, 1, 127, 128, 129, 255, 255, 254]);
  assertEquals(await read(SUGGESTED), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]);
});

// Pillow 13.0: two pictures of 2 x 1 pixels.
const ANIMATED =
  "UklGRoQAAABXRUJQVlA4WAoAAAACAAAAAQAAAAAAQU5JTQYAAAAAAAAAAABBTk1GKAAAAAAAAAAAAAEAAAAAAAAAAAJWUDhMDwAAAC8BAAAABxBViP4HIqL/AQBBTk1GKAAAAAAAAAAAAAEAAAAAAAAAAABWUDhMDwAAAC8BAAAABxBFjv4HIqL/AQA=";

Deno.test("what is no image, too large or damaged is refused by name", async () => {
  const refused = async (bytes: Uint8Array, what: string) => {
    const error = await assertRejects(() => decodeImage(bytes, "x.bin"), DataError);
    assert(error.message.includes(what) && error.message.includes("x.bin"), error.message);
  };
  for (
    const [letters, what] of [
      ["....ftypavif", "it is AVIF"],
      ["....ftypheic", "it is HEIC"],
      ["GIF89a", "it is GIF"],
      ["II*\0", "it is TIFF"],
      ["<svg xmlns", "it is SVG"],
      ["<!DOCTYPE html>", "a web page"],
      ["RIFF....WAVE", "begins with the bytes 52494646"],
    ]
  ) await refused(new TextEncoder().encode(letters), what);
  await refused(new Uint8Array(), "it is empty");
  const png = encode({ width: 2, height: 2, channels: 3, data: new Uint8Array(12) });
  await refused(png.subarray(0, 20), "can't be decoded");
  const large = png.slice();
  new DataView(large.buffer).setUint32(16, 1_000_000);
  new DataView(large.buffer).setUint32(20, 1_000_000);
  await refused(large, "at most 100000000 are read. Make it smaller");
  // Before a training begins, too.
  assertEquals(faultOf(large), "it has 1000000 x 1000000 pixels, and at most 100000000 are read");
  assertEquals(faultOf(png), undefined);
  const animated = Uint8Array.fromBase64(ANIMATED);
  await refused(animated, "it is an animated WebP, which is not read");
  assertEquals(faultOf(animated), "it is an animated WebP, which is not read");
  assertEquals(faultOf(png.subarray(0, 20)), "it ends early, after 20 bytes");
  await refused(Uint8Array.fromBase64(JPEG).subarray(0, 300), "can't be decoded");
});

Deno.test("a JPEG of more pixels than its bytes can say is refused before it is decoded", async () => {
  const small = Uint8Array.fromBase64(JPEG);
  const claiming = (width: number, height: number) => {
    const file = small.slice();
    const frame = file.findIndex((byte, i) => byte === 0xff && [0xc0, 0xc2].includes(file[i + 1]));
    new DataView(file.buffer).setUint16(frame + 5, height);
    new DataView(file.buffer).setUint16(frame + 7, width);
    return file;
  };
  assertEquals(faultOf(claiming(1024, small.length)), undefined);
  const more = claiming(1024, small.length + 1);
  const reason = `it has ${small.length} bytes, too few for 1024 x ${small.length + 1} pixels`;
  assertEquals(faultOf(more), reason);
  await assertRejects(() => decodeImage(more, "grey.jpg"), DataError, reason);
});
